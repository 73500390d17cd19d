package session

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// profile is what the directory said of a person, ready to be sent.
type profile struct {
	person    Person
	user      []byte   // JSON
	platforms [][]byte // JSON, in the person's order
	read      time.Time
}

// Authenticate finds the session that the token opens.
//
// It returns [ErrNotFound] for a token that opens none, an [*EndedError] with the
// reason for one that has ended or is past a deadline, and a [*StoreError] if the
// store or the directory could not tell. What this node remembers may say yes; a
// refusal is always the store's. A previous token presented after its overlap
// ends the session.
func (m *Manager) Authenticate(ctx context.Context, token Token, client Client) (Context, error) {
	presented := token.hash()
	if f, ok := m.remembered(token.id); ok {
		now := m.Now()
		switch m.policy.standing(f.secrets, presented, now) {
		case currentSecret, previousSecret:
			if m.policy.Check(f.Session, now) == "" {
				return m.withProfile(ctx, f)
			}
		}
	}
	r, err := m.read(ctx, token.id)
	if err != nil {
		return Context{}, err
	}
	switch m.policy.standing(r.secrets(), presented, m.Now()) {
	case unknownSecret:
		return Context{}, ErrNotFound
	case replayedSecret:
		return Context{}, m.endReplayed(ctx, r, client)
	case unconfirmedSecret:
		if r, err = m.confirm(ctx, r); err != nil {
			return Context{}, err
		}
	}
	return m.admit(ctx, r, nil)
}

// Get returns user, platform and session of a handle, with the errors of
// Authenticate. (The specification's get_session_context.)
func (m *Manager) Get(ctx context.Context, id ID) (Context, error) {
	if f, ok := m.remembered(id); ok && m.policy.Check(f.Session, m.Now()) == "" {
		return m.withProfile(ctx, f)
	}
	r, err := m.read(ctx, id)
	if err != nil {
		return Context{}, err
	}
	return m.admit(ctx, r, nil)
}

// Validate reports whether the session lives and is the user's. The error is not
// nil only if that could not be told.
func (m *Manager) Validate(ctx context.Context, id ID, user UserID) (bool, error) {
	c, err := m.Get(ctx, id)
	if _, ended := Ended(err); ended || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && c.Session.UserID == user, err
}

// remembered returns this node's snapshot while the lease holds.
func (m *Manager) remembered(id ID) (found, bool) {
	if !m.lease.holds(time.Now()) {
		return found{}, false
	}
	return m.cache.get(id)
}

// read asks the store, together with whoever else is asking for the same.
func (m *Manager) read(ctx context.Context, id ID) (Record, error) {
	r, err := m.sessions.do(ctx, id, func(ctx context.Context) (Record, error) {
		return m.store.Get(ctx, id)
	}, func(r Record) {
		if m.lease.holds(time.Now()) {
			m.cache.keep(r)
		}
	})
	if err != nil {
		return Record{}, storeError("read session", err)
	}
	return r, nil
}

// alive returns the session as it is at that instant, or why it has ended. What
// the caller holds may be older than the session: it may say yes, for nothing but
// an end shortens a session, and never no.
func (m *Manager) alive(ctx context.Context, s Session, at time.Time) (Session, error) {
	if m.policy.Check(s, at) == "" {
		return s, nil
	}
	r, err := m.read(ctx, s.ID)
	if err != nil {
		return s, err
	}
	if reason := m.policy.Check(r.Session, at); reason != "" {
		return s, &EndedError{r.ID, reason}
	}
	return r.Session, nil
}

// admit applies the policy to what the store says. A profile that is nil is the
// one that is remembered, or read.
func (m *Manager) admit(ctx context.Context, r Record, p *profile) (Context, error) {
	m.sawEpoch(r.Epoch)
	if reason := m.policy.Check(r.Session, m.Now()); reason != "" {
		return Context{}, &EndedError{r.ID, reason}
	}
	f := found{Session: r.Session, rev: r.Rev, profile: p}
	if p == nil {
		if have, ok := m.remembered(r.ID); ok {
			f.profile = have.profile
		}
	}
	return m.withProfile(ctx, f)
}

// withProfile completes a live session. A person whom the directory no longer
// knows has no sessions.
func (m *Manager) withProfile(ctx context.Context, f found) (Context, error) {
	if f.profile == nil || !m.Now().Before(f.profile.read.Add(m.config.DirectoryTTL)) {
		p, err := m.readProfile(ctx, f.UserID)
		if err != nil {
			return Context{}, m.signOutUnknown(ctx, f.Session, err)
		}
		f.profile = p
	}
	return Context{
		Session: f.Session, profile: f.profile, platform: f.PlatformID, deadlines: m.policy.Deadlines(f.Session),
		stamp: Stamp{Epoch: m.epoch.Load(), Version: f.Version, Rev: f.rev},
	}, nil
}

// signOutUnknown ends the sessions of a person whom the directory no longer knows;
// any other error passes.
func (m *Manager) signOutUnknown(ctx context.Context, s Session, err error) error {
	if !errors.Is(err, ErrUnknownUser) {
		return err
	}
	if _, err := m.RevokeUser(ctx, s.UserID, UserDisabled, System); err != nil {
		return err
	}
	return &EndedError{s.ID, UserDisabled}
}

// readProfile asks the directory, together with whoever else is asking.
func (m *Manager) readProfile(ctx context.Context, user UserID) (*profile, error) {
	p, err := m.people.do(ctx, user, func(ctx context.Context) (*profile, error) {
		return m.askDirectory(ctx, user)
	}, m.cache.setProfile)
	return p, storeError("ask the directory", err)
}

// readProfileAnew asks for what the directory knows by now.
func (m *Manager) readProfileAnew(ctx context.Context, user UserID) (*profile, error) {
	if m.background.Err() != nil {
		return nil, ErrClosed
	}
	since := m.people.since()
	p, err := m.askDirectory(ctx, user)
	if err == nil {
		m.people.beside(since, func() { m.cache.setProfile(p) })
	}
	return p, storeError("ask the directory", err)
}

func (m *Manager) askDirectory(ctx context.Context, user UserID) (*profile, error) {
	read := m.Now()
	person, err := m.directory.Person(ctx, user)
	if err != nil {
		return nil, err
	}
	person.User.ID = user
	return newProfile(person, read), nil
}

// Person asks the directory about the session's user, past what is remembered.
// The errors are those of Get.
func (m *Manager) Person(ctx context.Context, c Context) (Person, error) {
	p, err := m.readProfileAnew(ctx, c.Session.UserID)
	if err != nil {
		return Person{}, m.signOutUnknown(ctx, c.Session, err)
	}
	return Person{User: p.person.User, Platforms: slices.Clone(p.person.Platforms)}, nil
}

func newProfile(person Person, read time.Time) *profile {
	p := &profile{person: person, read: read}
	u := person.User
	p.user = appendObject(nil, "id", u.ID, "username", u.Username, "email", u.Email)
	for _, pl := range person.Platforms {
		p.platforms = append(p.platforms, appendObject(nil,
			"id", pl.ID, "name", pl.Name, "type", pl.Type, "instance_url", pl.InstanceURL, "is_default", pl.IsDefault))
	}
	return p
}

// appendObject writes a JSON object of alternating names and values.
func appendObject(dst []byte, pairs ...any) []byte {
	separator := byte('{')
	for i := 0; i < len(pairs); i += 2 {
		dst = append(append(dst, separator), '"')
		dst = append(append(dst, pairs[i].(string)...), '"', ':')
		value, err := json.Marshal(pairs[i+1])
		if err != nil {
			panic(err) // only strings, ids and booleans are written
		}
		dst, separator = append(dst, value...), ','
	}
	return append(dst, '}')
}

// confirm notes that the new token of a rotation has arrived: from now on the
// previous one is good for the overlap only.
func (m *Manager) confirm(ctx context.Context, r Record) (Record, error) {
	confirmed, err := m.store.ConfirmSecret(ctx, r.ID, r.Secret, m.Now())
	if err != nil {
		m.unsure(r.ID)
		return Record{}, storeError("confirm token", err)
	}
	m.stored(confirmed)
	return confirmed, nil
}

// endReplayed ends a session whose previous token was presented after its
// overlap: somebody else holds it. (OAuth 2.0 Security BCP, RFC 9700, 4.14.2.)
func (m *Manager) endReplayed(ctx context.Context, r Record, client Client) error {
	if !r.EndedAt.IsZero() {
		return &EndedError{r.ID, r.EndReason}
	}
	if _, err := m.end(ctx, Ending{User: r.UserID, ID: r.ID, Reason: TokenReplayed, By: System}); err != nil {
		return err
	}
	m.config.Audit.Audit(ctx, AuditEvent{Time: m.Now(), Action: "token_replayed", User: r.UserID, Session: r.ID, By: System, Client: client})
	return &EndedError{r.ID, TokenReplayed}
}
