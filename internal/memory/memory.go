// Package memory is what one node remembers of a store of sessions and of a
// directory of their users, and for how long it may.
//
// Three rules hold it to the truth:
//
//   - A session is remembered only while the lease holds, which whoever follows
//     the store's changes renews; in an outage for longer, if that is wanted.
//   - Reads of the same thing that are under way share one answer, and a change
//     that is heard of meanwhile spoils it: it is not kept, nobody joins it any
//     more, and whoever waited reads again.
//   - Of two that are remembered of one session the higher version wins, whatever
//     order they arrive in.
//
// Sessions are remembered without pointers, so that a million of them cost the
// garbage collector nothing.
package memory

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/rotation"
)

// Session is what is remembered of a live one. Times have microseconds; they come
// back in UTC.
type Session struct {
	ID             [16]byte
	User, Platform string
	Version        uint64 // of the session
	Rev            uint64 // of its user

	Created, Renewed, Activity time.Time
	Until                      time.Time // its own end; zero: there is none

	Kind   Kind
	Tokens rotation.Tokens
	Client uint64 // a digest of the one that signed in, or was looked at last
	Ended  bool   // it is to be forgotten
}

// Kind is what many sessions have in common.
type Kind struct {
	Idle         time.Duration // limits of its own; zero: none
	Persistent   bool
	Guest        bool
	Impersonator string
	From         [16]byte // the impersonator's session
}

// Change is what the store says has changed.
type Change struct {
	User      string
	Rev       uint64   // of the user, after it
	ID        [16]byte // of the session; zero: only the user changed
	Version   uint64   // of the session, after it
	Ended     bool
	Directory bool // what the directory says of the user changed
}

// Profile is what the directory says of a user; the zero value stands for nothing.
type Profile interface {
	comparable
	AskedAt() time.Time // when the directory was asked for it
}

// Memory of sessions, which the store holds as an R, and of their users, of whom
// the directory says a P. It is safe for concurrent use.
type Memory[R any, P Profile] struct {
	snapshot  func(R) Session
	snapshots snapshots[P]
	sessions  reads[[16]byte, R]
	people    reads[string, P]
	lease     lease
	length    time.Duration // of the lease
	epoch     atomic.Uint64
}

// New returns an empty memory, whose leases will be that long; 0: it has none. Of a
// record it remembers what snapshot makes of it. A shared read has as long as
// patience, and fails with refusal once the memory is closed.
func New[R any, P Profile](snapshot func(R) Session, lease, patience time.Duration, refusal error) *Memory[R, P] {
	return &Memory[R, P]{
		snapshot: snapshot, length: max(0, lease),
		sessions: reads[[16]byte, R]{patience: patience, joinable: max(0, lease), refusal: refusal},
		people:   reads[string, P]{patience: patience, joinable: patience, refusal: refusal},
	}
}

// Close refuses further reads and waits for those in flight.
func (m *Memory[R, P]) Close() {
	m.sessions.close()
	m.people.close()
}

// Renew lets the lease hold from start on, which is to be taken before the changes
// were asked for that justify it. Without leases it does nothing.
func (m *Memory[R, P]) Renew(start time.Time) {
	if m.length > 0 {
		m.lease.renew(start.Add(m.length))
	}
}

// Linger lets what is remembered be good for so long after the end of the lease: the
// store is away, and cannot say whether it still is. The next Renew ends that; so does
// EndLease. Nothing new is remembered meanwhile. Zero or less does nothing, and to call
// it again does no more.
func (m *Memory[R, P]) Linger(grace time.Duration) {
	if grace > 0 {
		m.lease.extend(grace)
	}
}

// Lingers reports whether the lease is over, and what is remembered good all the same.
func (m *Memory[R, P]) Lingers() bool { return m.lease.mayLinger() && m.lease.lingers(time.Now()) }

// EndLease lets nothing be remembered until the next Renew.
func (m *Memory[R, P]) EndLease() { m.lease.end() }

// Recall writes what is remembered of the session to into and returns what is of
// its user, while the lease holds or what is remembered lingers.
func (m *Memory[R, P]) Recall(id [16]byte, into *Session) (profile P, ok bool) {
	if now := time.Now(); !m.lease.holds(now) && !m.lease.lingers(now) {
		return profile, false
	}
	return m.snapshots.get(id, into)
}

// ReadSession loads a record, together with whoever else is reading the same, and
// remembers it. The load runs to its end whatever becomes of this caller. A load that
// somebody else began is waited for if a lease from its begin still holds, and what it
// finds is returned only if it is enough: it may be older than this call.
func (m *Memory[R, P]) ReadSession(ctx context.Context, id [16]byte, load func(context.Context) (R, error), enough func(R) bool) (R, error) {
	return m.sessions.do(ctx, id, load, func(r R) {
		if m.lease.holds(time.Now()) {
			m.snapshots.keep(m.snapshot(r))
		} else { // an end that was seen is held to
			m.snapshots.changed(m.snapshot(r))
		}
	}, enough)
}

// ReadProfile asks the directory, together with whoever else is asking about the
// same user, and remembers the answer.
func (m *Memory[R, P]) ReadProfile(ctx context.Context, user string, ask func(context.Context, string) (P, error)) (P, error) {
	keep := func(p P) { m.snapshots.setProfile(user, p) }
	return m.people.do(ctx, user, func(ctx context.Context) (P, error) { return ask(ctx, user) }, keep, func(P) bool { return true })
}

// ReadProfileAnew asks the directory for what it knows by now: it joins nobody
// who has asked before.
func (m *Memory[R, P]) ReadProfileAnew(ctx context.Context, user string, ask func(context.Context, string) (P, error)) (P, error) {
	since, err := m.people.since()
	if err != nil {
		var none P
		return none, err
	}
	p, err := ask(ctx, user)
	if err == nil {
		m.people.beside(since, func() { m.snapshots.setProfile(user, p) })
	}
	return p, err
}

// Stored takes in a change of this node: what the store holds now.
func (m *Memory[R, P]) Stored(r R) {
	s := m.snapshot(r)
	m.spoilSessions(s.User)
	m.snapshots.changed(s)
}

// Heard takes in a change from the store's feed: first no read that is in flight
// may still be kept, then what was remembered goes.
func (m *Memory[R, P]) Heard(ch Change) {
	m.spoilSessions(ch.User)
	if ch.Directory {
		m.people.spoil(func(user string) bool { return user == ch.User })
	}
	m.snapshots.heard(ch)
}

// Forget the session, after a change whose outcome is not known.
func (m *Memory[R, P]) Forget(id [16]byte) {
	m.sessions.spoil(func(other [16]byte) bool { return other == id })
	m.snapshots.forget(id)
}

// ForgetUser is Forget for all sessions of the user.
func (m *Memory[R, P]) ForgetUser(user string) {
	m.spoilSessions(user)
	m.snapshots.forgetUser(user)
}

// ForgetAll there is.
func (m *Memory[R, P]) ForgetAll() {
	m.sessions.spoil(func([16]byte) bool { return true })
	m.people.spoil(func(string) bool { return true })
	m.snapshots.forgetAll()
}

// Touched takes in later activity of a session, which raises no version.
func (m *Memory[R, P]) Touched(id [16]byte, at time.Time) { m.snapshots.touched(id, at) }

// Looked takes in the digest of the client that was looked at last.
func (m *Memory[R, P]) Looked(id [16]byte, client uint64) { m.snapshots.looked(id, client) }

// Len is how many sessions are remembered.
func (m *Memory[R, P]) Len() int { return m.snapshots.size() }

// Epoch is the highest that was seen.
func (m *Memory[R, P]) Epoch() uint64 { return m.epoch.Load() }

// SawEpoch forgets everything when the store's epoch has risen, for then history
// was lost, and reports whether it did. The first one is only noted.
func (m *Memory[R, P]) SawEpoch(epoch uint64) (forgot bool) {
	for {
		have := m.epoch.Load()
		if epoch <= have {
			return false
		}
		if m.epoch.CompareAndSwap(have, epoch) {
			if have != 0 {
				m.ForgetAll()
			}
			return have != 0
		}
	}
}

// spoilSessions spoils the reads of all of the user's sessions: with each the
// user's rev is read, which a change of another one may raise. (Handles of the
// same shard are another user's now and then, who reads again.)
func (m *Memory[R, P]) spoilSessions(user string) {
	shard := handle.Shard(user)
	m.sessions.spoil(func(id [16]byte) bool { return [2]byte(id[:2]) == shard })
}
