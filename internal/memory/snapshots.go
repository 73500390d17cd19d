package memory

import (
	"cmp"
	"sync"
	"time"

	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/rotation"
)

// snapshots hold live sessions, and a P for each of their users. They are sharded
// by the handle's first byte, a hash of the user, so that a session and its user
// are found under one lock. The zero value is ready for use.
type snapshots[P Profile] struct{ shards [64]shard[P] }

// maxSnapshots bounds a shard: a million sessions in all, about 150 MB. Past it
// an arbitrary one makes way.
const maxSnapshots = 1 << 20 / 64

type shard[P Profile] struct {
	mu       sync.RWMutex
	sessions map[[16]byte]snapshot
	users    []userSlot[P]
	slots    map[string]uint16 // index into users
	free     []uint16
	kinds    kinds
}

// snapshot has no pointers, so that the garbage collector passes over a million
// of them, and at most 128 bytes, so that a map holds it in place.
type snapshot struct {
	secret, previous                      [32]byte
	created, renewed, activity, firstUsed int64 // Unix microseconds; 0: zero
	until                                 int64
	version, client                       uint64
	platform                              uint32 // index into the user's platforms
	user, kind                            uint16 // index into users, of which there are no more than snapshots, and likewise into kinds
}

// userSlot lives as long as one of its user's snapshots.
type userSlot[P Profile] struct {
	id        string
	sessions  int
	rev       uint64
	platforms []string
	profile   P // the zero value: not read, or dropped
}

func (c *snapshots[P]) of(id [16]byte) *shard[P]     { return &c.shards[id[0]%64] }
func (c *snapshots[P]) ofUser(user string) *shard[P] { return &c.shards[handle.Shard(user)[0]%64] }

// get writes what is remembered to where it is wanted: this is the way most
// requests go, and a Session is large.
func (c *snapshots[P]) get(id [16]byte, into *Session) (profile P, ok bool) {
	s := c.of(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	snap, ok := s.sessions[id]
	if !ok {
		return profile, false
	}
	user := &s.users[snap.user]
	*into = Session{
		ID: id, User: user.id, Platform: user.platforms[snap.platform], Version: snap.version, Rev: user.rev,
		Created: fromMicros(snap.created), Renewed: fromMicros(snap.renewed), Activity: fromMicros(snap.activity), Until: fromMicros(snap.until),
		Tokens: rotation.Tokens{Current: snap.secret, Previous: snap.previous, FirstUsed: fromMicros(snap.firstUsed)},
		Kind:   s.kinds.list[snap.kind].kind, Client: snap.client,
	}
	return user.profile, true
}

// keep the record that was read, unless a newer one is there. Of the same version
// it may carry newer activity, which raises none.
func (c *snapshots[P]) keep(r Session) {
	s := c.of(r.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[r.ID]; ok {
		if have.version <= r.Version {
			s.replace(r)
		}
		return
	}
	if r.Ended {
		return
	}
	for id := range s.sessions {
		if len(s.sessions) < maxSnapshots {
			break
		}
		s.drop(id)
	}
	s.put(r)
}

// changed takes in a change of this node. A snapshot that is not there is not
// made: a later change may have taken it away already.
func (c *snapshots[P]) changed(r Session) {
	s := c.of(r.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[r.ID]; ok && have.version < r.Version {
		s.replace(r)
	}
	s.raiseRev(r.User, r.Rev)
}

// heard takes in a change from the feed, which may be one of this node's own.
func (c *snapshots[P]) heard(ch Change) {
	s := c.ofUser(ch.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[ch.ID]; ok && (ch.Ended || have.version < ch.Version) {
		s.drop(ch.ID)
	}
	s.raiseRev(ch.User, ch.Rev)
	if slot, ok := s.slots[ch.User]; ok && ch.Directory {
		var none P
		s.users[slot].profile = none
	}
}

// forget the snapshot, whatever it says.
func (c *snapshots[P]) forget(id [16]byte) {
	s := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// forgetUser forgets the user's snapshots, which are not found by the user otherwise.
func (c *snapshots[P]) forgetUser(user string) {
	s := c.ofUser(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, ok := s.slots[user]
	if !ok {
		return
	}
	for id, snap := range s.sessions {
		if snap.user == slot {
			s.drop(id)
		}
	}
}

func (c *snapshots[P]) forgetAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.sessions, s.users, s.slots, s.free, s.kinds = nil, nil, nil, nil, kinds{}
		s.mu.Unlock()
	}
}

// setProfile remembers what was said of a user, unless it is known from later.
func (c *snapshots[P]) setProfile(user string, p P) {
	s := c.ofUser(user)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, ok := s.slots[user]
	if !ok {
		return
	}
	var none P
	if have := s.users[slot].profile; have == none || !p.AskedAt().Before(have.AskedAt()) {
		s.users[slot].profile = p
	}
}

func (c *snapshots[P]) touched(id [16]byte, at time.Time) {
	s := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if snap, ok := s.sessions[id]; ok && snap.activity < at.UnixMicro() {
		snap.activity = at.UnixMicro()
		s.sessions[id] = snap
	}
}

func (c *snapshots[P]) looked(id [16]byte, client uint64) {
	s := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if snap, ok := s.sessions[id]; ok {
		snap.client = client
		s.sessions[id] = snap
	}
}

func (c *snapshots[P]) size() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.sessions)
		s.mu.RUnlock()
	}
	return n
}

// What follows is called with the lock held.

func (s *shard[P]) replace(r Session) {
	if !r.Ended {
		s.put(r)
	} else {
		s.drop(r.ID)
	}
}

func (s *shard[P]) put(r Session) {
	if s.sessions == nil {
		s.sessions, s.slots = map[[16]byte]snapshot{}, map[string]uint16{}
	}
	slot := s.slot(r.User)
	user := &s.users[slot]
	have, ok := s.sessions[r.ID]
	if ok {
		s.kinds.release(have.kind)
	} else {
		user.sessions++
	}
	user.rev = max(user.rev, r.Rev)
	s.sessions[r.ID] = snapshot{
		secret: r.Tokens.Current, previous: r.Tokens.Previous, firstUsed: toMicros(r.Tokens.FirstUsed),
		created: toMicros(r.Created), renewed: toMicros(r.Renewed), until: toMicros(r.Until),
		activity: max(toMicros(r.Activity), have.activity),
		version:  r.Version, client: cmp.Or(have.client, r.Client), user: slot, platform: user.platform(r.Platform),
		kind: s.kinds.hold(r.Kind),
	}
}

func (s *shard[P]) drop(id [16]byte) {
	snap, ok := s.sessions[id]
	if !ok {
		return
	}
	delete(s.sessions, id)
	s.kinds.release(snap.kind)
	user := &s.users[snap.user]
	if user.sessions--; user.sessions == 0 {
		delete(s.slots, user.id)
		*user = userSlot[P]{}
		s.free = append(s.free, snap.user)
	}
}

func (s *shard[P]) slot(id string) uint16 {
	if slot, ok := s.slots[id]; ok {
		return slot
	}
	var slot uint16
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		slot = uint16(len(s.users))
		s.users = append(s.users, userSlot[P]{})
	}
	s.users[slot].id = id
	s.slots[id] = slot
	return slot
}

func (s *shard[P]) raiseRev(id string, rev uint64) {
	if slot, ok := s.slots[id]; ok {
		s.users[slot].rev = max(s.users[slot].rev, rev)
	}
}

func (u *userSlot[P]) platform(id string) uint32 {
	for i, have := range u.platforms {
		if have == id {
			return uint32(i)
		}
	}
	u.platforms = append(u.platforms, id)
	return uint32(len(u.platforms) - 1)
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
