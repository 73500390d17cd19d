package session

import (
	"sync"
	"time"
)

// cache holds snapshots of live sessions, and what the directory said of their
// users. It is sharded by the handle's first byte, a hash of the user, so that a
// session and its user are found under one lock.
type cache struct{ shards [64]shard }

// maxSnapshots bounds a shard: a million sessions in all, about 150 MB. Past it
// an arbitrary one makes way.
const maxSnapshots = 1 << 20 / 64

type shard struct {
	mu       sync.RWMutex
	sessions map[ID]snapshot
	users    []userSlot
	slots    map[UserID]uint32 // index into users
	free     []uint32
}

// snapshot has no pointers, so that the garbage collector passes over a million
// of them, and at most 128 bytes, so that a map holds it in place.
type snapshot struct {
	secret, previous                                     SecretHash
	created, renewed, authenticated, activity, firstUsed int64 // Unix microseconds; 0: zero
	version                                              uint64
	user, platform                                       uint32 // index into users, and into the user's platforms
}

// userSlot lives as long as one of its user's snapshots.
type userSlot struct {
	id        UserID
	sessions  int
	rev       uint64
	platforms []PlatformID
	profile   *profile // nil: not read, or dropped
}

// found is what a snapshot or a record says of a live session.
type found struct {
	Session
	secrets
	rev     uint64
	profile *profile
}

func (c *cache) of(id ID) *shard         { return &c.shards[id[0]%64] }
func (c *cache) ofUser(id UserID) *shard { return &c.shards[shardOf(id)[0]%64] }

func (c *cache) get(id ID) (found, bool) {
	s := c.of(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	snap, ok := s.sessions[id]
	if !ok {
		return found{}, false
	}
	user := &s.users[snap.user]
	return found{
		Session: Session{
			ID: id, UserID: user.id, PlatformID: user.platforms[snap.platform], Version: snap.version,
			CreatedAt: fromMicros(snap.created), RenewedAt: fromMicros(snap.renewed),
			AuthenticatedAt: fromMicros(snap.authenticated), LastActivity: fromMicros(snap.activity),
		},
		secrets: secrets{snap.secret, snap.previous, fromMicros(snap.firstUsed)},
		rev:     user.rev, profile: user.profile,
	}, true
}

// keep the record that was read, unless a newer one is there. Of the same version
// it may carry newer activity, which raises none.
func (c *cache) keep(r Record) {
	s := c.of(r.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[r.ID]; ok {
		if have.version <= r.Version {
			s.replace(r)
		}
		return
	}
	if !r.EndedAt.IsZero() {
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
func (c *cache) changed(r Record) {
	s := c.of(r.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[r.ID]; ok && have.version < r.Version {
		s.replace(r)
	}
	s.raiseRev(r.UserID, r.Rev)
}

// heard takes in a change from the feed, which may be one of this node's own.
func (c *cache) heard(ch Change) {
	s := c.ofUser(ch.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[ch.Session]; ok && (ch.Ended || have.version < ch.Version) {
		s.drop(ch.Session)
	}
	s.raiseRev(ch.User, ch.Rev)
	if slot, ok := s.slots[ch.User]; ok && ch.Directory {
		s.users[slot].profile = nil
	}
}

// forget the snapshot, whatever it says.
func (c *cache) forget(id ID) {
	s := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

func (c *cache) forgetAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.sessions, s.users, s.slots, s.free = nil, nil, nil, nil
		s.mu.Unlock()
	}
}

// setProfile remembers what was read of a person, unless a later reading is there.
func (c *cache) setProfile(p *profile) {
	s := c.ofUser(p.person.User.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, ok := s.slots[p.person.User.ID]
	if !ok {
		return
	}
	if have := s.users[slot].profile; have == nil || !p.read.Before(have.read) {
		s.users[slot].profile = p
	}
}

func (c *cache) touched(id ID, at time.Time) {
	s := c.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if snap, ok := s.sessions[id]; ok && snap.activity < at.UnixMicro() {
		snap.activity = at.UnixMicro()
		s.sessions[id] = snap
	}
}

func (c *cache) size() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.sessions)
		s.mu.RUnlock()
	}
	return n
}

// What follows is called with the lock held.

func (s *shard) replace(r Record) {
	if r.EndedAt.IsZero() {
		s.put(r)
	} else {
		s.drop(r.ID)
	}
}

func (s *shard) put(r Record) {
	if s.sessions == nil {
		s.sessions, s.slots = map[ID]snapshot{}, map[UserID]uint32{}
	}
	slot := s.slot(r.UserID)
	user := &s.users[slot]
	if _, ok := s.sessions[r.ID]; !ok {
		user.sessions++
	}
	user.rev = max(user.rev, r.Rev)
	s.sessions[r.ID] = snapshot{
		secret: r.Secret, previous: r.Previous,
		created: toMicros(r.CreatedAt), renewed: toMicros(r.RenewedAt), authenticated: toMicros(r.AuthenticatedAt),
		activity: max(toMicros(r.LastActivity), s.sessions[r.ID].activity), firstUsed: toMicros(r.FirstUsed),
		version: r.Version, user: slot, platform: user.platform(r.PlatformID),
	}
}

func (s *shard) drop(id ID) {
	snap, ok := s.sessions[id]
	if !ok {
		return
	}
	delete(s.sessions, id)
	user := &s.users[snap.user]
	if user.sessions--; user.sessions == 0 {
		delete(s.slots, user.id)
		*user = userSlot{}
		s.free = append(s.free, snap.user)
	}
}

func (s *shard) slot(id UserID) uint32 {
	if slot, ok := s.slots[id]; ok {
		return slot
	}
	var slot uint32
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		slot = uint32(len(s.users))
		s.users = append(s.users, userSlot{})
	}
	s.users[slot].id = id
	s.slots[id] = slot
	return slot
}

func (s *shard) raiseRev(id UserID, rev uint64) {
	if slot, ok := s.slots[id]; ok {
		s.users[slot].rev = max(s.users[slot].rev, rev)
	}
}

func (u *userSlot) platform(id PlatformID) uint32 {
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
