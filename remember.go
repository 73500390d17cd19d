package session

import (
	"context"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/clientview"
	"github.com/vedfolnir/session/internal/memory"
	"github.com/vedfolnir/session/internal/people"
	"github.com/vedfolnir/session/internal/rotation"
)

// profile is what the directory said of a person, ready to be sent.
type profile = people.Known[Person]

// clientView is what clients see of the person.
func (p Person) clientView() *clientview.Person {
	view := clientview.NewPerson(string(p.User.ID), p.User.Username, p.User.Email)
	for _, pl := range p.Platforms {
		view.AddPlatform(string(pl.ID), pl.Name, pl.Type, pl.InstanceURL, pl.IsDefault)
	}
	return view
}

// found is what a snapshot or a record says of a live session.
type found struct {
	Session
	rev     uint64
	profile *profile // nil: not remembered
	tokens  rotation.Tokens
	client  uint64 // a digest of the one that signed in
}

// snapshot is what this node remembers of a record.
func (m *Manager) snapshot(r Record) memory.Session {
	return memory.Session{
		Kind:  memory.Kind{Idle: r.Limits.Idle, Persistent: r.Persistent, Guest: r.Guest, Impersonator: string(r.Impersonator), From: r.ImpersonatedFrom},
		Until: r.Limits.Until, ID: r.ID, User: string(r.UserID), Platform: string(r.PlatformID), Version: r.Version, Rev: r.Rev,
		Created: r.CreatedAt, Renewed: r.RenewedAt, Activity: r.LastActivity,
		Tokens: *r.tokens(), Client: m.eye.Digest(client.Info(r.Client)), Ended: !r.EndedAt.IsZero(),
	}
}

func (r *Record) tokens() *rotation.Tokens {
	return &rotation.Tokens{Current: r.Secret, Previous: r.Previous, FirstUsed: r.FirstUsed, Rotated: r.RotatedAt}
}

// remembered returns this node's snapshot while the lease holds.
func (m *Manager) remembered(id ID) (f found, ok bool) {
	var s memory.Session
	p, ok := m.memory.Recall(id, &s)
	if !ok {
		return f, false
	}
	return found{Session{
		Limits: Limits{s.Kind.Idle, s.Until}, Persistent: s.Kind.Persistent, Guest: s.Kind.Guest, Impersonator: UserID(s.Kind.Impersonator), ImpersonatedFrom: s.Kind.From,
		ID: id, UserID: UserID(s.User), PlatformID: PlatformID(s.Platform), Version: s.Version,
		CreatedAt: s.Created, RenewedAt: s.Renewed, LastActivity: s.Activity,
	}, s.Rev, p, s.Tokens, s.Client}, true
}

// read asks the store, together with whoever else is asking for the same. What was
// asked before this request came may say yes to it, never no: to one that presents a
// token, only that this opens the session.
func (m *Manager) read(ctx context.Context, id ID, presented ...SecretHash) (Record, error) {
	r, err := m.memory.ReadSession(ctx, id, func(ctx context.Context) (Record, error) { return m.store.Get(ctx, id) }, func(r Record) bool {
		return m.policy.Check(r.Session, m.Now()) == "" && (presented == nil || r.tokens().Standing(presented[0], m.Now(), m.policy.Overlap).Opens())
	})
	return r, storeError("read session", err)
}

// readProfile asks the directory, together with whoever else is asking.
func (m *Manager) readProfile(ctx context.Context, user UserID) (*profile, error) {
	p, err := m.memory.ReadProfile(ctx, string(user), m.ask)
	return p, storeError("ask the directory", err)
}

// readProfileAnew asks for what the directory knows by now.
func (m *Manager) readProfileAnew(ctx context.Context, user UserID) (*profile, error) {
	p, err := m.memory.ReadProfileAnew(ctx, string(user), m.ask)
	return p, storeError("ask the directory", err)
}

// askDirectory tells of a guest no more than the id.
func (m *Manager) askDirectory(ctx context.Context, user string) (p Person, err error) {
	if !people.IsGuest(user) {
		p, err = m.directory.Person(ctx, UserID(user))
	}
	p.User.ID = UserID(user)
	return p, err
}

// stored takes in changes that this node has made.
func (m *Manager) stored(records ...Record) {
	for _, r := range records {
		m.memory.Stored(r)
		m.watchers.Ring(r.UserID)
	}
	m.tellBus()
}

// heard takes in a change from the store's feed, which may be one of this node's
// own.
func (m *Manager) heard(ch Change) {
	m.memory.Heard(memory.Change{
		User: string(ch.User), Rev: ch.Rev, ID: ch.Session, Version: ch.Version, Ended: ch.Ended, Directory: ch.Directory,
	})
	m.watchers.Ring(ch.User)
}

// unsure is called after a change whose outcome is not known.
func (m *Manager) unsure(id ID) {
	m.memory.Forget(id)
	m.feed.Ring()
}

// sawEpoch has everybody look again when history was lost.
func (m *Manager) sawEpoch(epoch uint64) {
	if m.memory.SawEpoch(epoch) {
		m.watchers.RingAll()
	}
}
