package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/rotation"
)

// Authenticate finds the session that the token opens.
//
// It returns [ErrNotFound] for a token that opens none, an [*EndedError] with the
// reason for one that has ended or is past a deadline, and a [*StoreError] if the
// store or the directory could not tell. What this node remembers may say yes; a
// refusal is always the store's. A previous token presented after its overlap
// ends the session. What is remarkable about seen is noticed, kept and judged; see
// the package suspicion.
func (m *Manager) Authenticate(ctx context.Context, token Token, seen Client) (Context, error) {
	presented, now := token.hash(), m.Now()
	if f, ok := m.remembered(token.id); ok &&
		f.tokens.Standing(presented, now, m.policy.Overlap).Settled() && m.policy.Check(f.Session, now) == "" &&
		m.eye.Passes(token.id, f.client, client.Info(seen), now) {
		return m.withProfile(ctx, f)
	}
	r, err := m.read(ctx, token.id, presented)
	if err != nil {
		return Context{}, err
	}
	switch r.tokens().Standing(presented, m.Now(), m.policy.Overlap) {
	case rotation.Unknown:
		return Context{}, ErrNotFound
	case rotation.Replayed:
		return Context{}, m.endReplayed(ctx, r, seen)
	case rotation.Unconfirmed:
		if r, err = m.confirm(ctx, r); err != nil {
			return Context{}, err
		}
	}
	if r, err = m.suspect(ctx, r, seen, m.eye.Look(r.known(), client.Info(seen), now)); err != nil {
		return Context{}, err
	}
	m.memory.Looked(r.ID, m.eye.Digest(client.Info(seen)))
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

// alive returns the session as it is at that instant, or why it has ended. What
// the caller holds may be older than the session: it may say yes, for nothing but
// an end shortens a session, and never no.
func (m *Manager) alive(ctx context.Context, s Session, at time.Time) (Session, error) {
	if m.policy.Check(s, at) == "" {
		return s, nil
	}
	r, err := m.readAlive(ctx, s.ID, at)
	return r.Session, err
}

// readAlive returns what the store says of a session that lives at that instant.
func (m *Manager) readAlive(ctx context.Context, id ID, at time.Time) (Record, error) {
	r, err := m.read(ctx, id)
	if err == nil {
		err = m.refuse(ctx, r.Session, at)
	}
	return r, err
}

// refuse says why the session can no longer be used, since when, and from which
// device it was ended; nil: it can. What a clock ended has ended at its deadline,
// whenever that was noticed.
func (m *Manager) refuse(ctx context.Context, s Session, now time.Time) error {
	e := &EndedError{ID: s.ID, Reason: m.policy.Check(s, now), At: s.EndedAt, By: s.EndedBy}
	if e.Reason == "" {
		return nil
	}
	if due := m.policy.Deadlines(s).First(); e.At.IsZero() || e.Reason.Expired() && due.Before(e.At) {
		e.At = due
	}
	if !s.EndedFrom.IsZero() {
		if from, err := m.read(ctx, s.EndedFrom); err == nil && from.UserID == s.UserID {
			e.Device = from.Client.Device()
		}
	}
	return e
}

// admit applies the policy to what the store says. A profile that is nil is the
// one that is remembered, or read.
func (m *Manager) admit(ctx context.Context, r Record, p *profile) (Context, error) {
	m.sawEpoch(r.Epoch)
	if err := m.refuse(ctx, r.Session, m.Now()); err != nil {
		return Context{}, err
	}
	if p == nil {
		have, _ := m.remembered(r.ID)
		p = have.profile
	}
	return m.withProfile(ctx, found{Session: r.Session, rev: r.Rev, profile: p})
}

// withProfile completes a live session. A person whom the directory no longer
// knows has no sessions.
func (m *Manager) withProfile(ctx context.Context, f found) (Context, error) {
	if f.profile == nil || !m.Now().Before(f.profile.Asked.Add(m.config.DirectoryTTL)) {
		p, err := m.readProfile(ctx, f.UserID)
		if err != nil {
			return Context{}, m.signOutUnknown(ctx, f.Session, err)
		}
		f.profile = p
	}
	deadlines, err := m.deadlines(ctx, f.Session)
	if err != nil {
		return Context{}, err
	}
	return Context{
		Session: f.Session, profile: f.profile, platform: f.PlatformID, deadlines: deadlines,
		stamp: Stamp{Epoch: m.memory.Epoch(), Version: f.Version, Rev: f.rev},
	}, nil
}

// deadlines of a live session. An impersonation ends with the session that it was
// begun from, whatever ends that: here, for everybody who looks at it.
func (m *Manager) deadlines(ctx context.Context, s Session) (Deadlines, error) {
	d := m.policy.Deadlines(s)
	if s.Impersonator == "" {
		return d, nil
	}
	from, err := m.Get(ctx, s.ImpersonatedFrom)
	reason, ended := Ended(err)
	if ended || errors.Is(err, ErrNotFound) || err == nil && from.Session.Actor() != string(s.Impersonator) {
		return d, m.endNow(ctx, s, cmp.Or(reason, RevokedByAdmin))
	}
	d.Absolute = earliest(d.Absolute, from.deadlines.First())
	return d, err
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
	return &EndedError{ID: s.ID, Reason: UserDisabled, At: m.Now(), By: System}
}

// Person asks the directory about the session's user, past what is remembered.
// The errors are those of Get.
func (m *Manager) Person(ctx context.Context, c Context) (Person, error) {
	p, err := m.readProfileAnew(ctx, c.Session.UserID)
	if err != nil {
		return Person{}, m.signOutUnknown(ctx, c.Session, err)
	}
	return Person{User: p.Person.User, Platforms: slices.Clone(p.Person.Platforms)}, nil
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
		return m.refuse(ctx, r.Session, m.Now())
	}
	err := m.endNow(ctx, r.Session, TokenReplayed)
	if _, ended := Ended(err); ended {
		m.config.Audit.Audit(ctx, AuditEvent{Time: m.Now(), Action: "token_replayed", User: r.UserID, Session: r.ID, By: System, Client: client})
	}
	return err
}

// endNow ends a session that ends by itself, and is how that is told.
func (m *Manager) endNow(ctx context.Context, s Session, reason Reason) error {
	if _, err := m.end(ctx, Ending{User: s.UserID, ID: s.ID, Reason: reason, By: System}); err != nil {
		return err
	}
	return &EndedError{ID: s.ID, Reason: reason, At: m.Now(), By: System}
}
