// Package memstore keeps sessions in memory: the reference implementation of
// [session.Store], for tests, demonstrations, and programs whose sessions may go
// when they do.
//
// One mutex guards everything, so that what it does is plainly right. Nothing
// survives the process; so that a client of an earlier process notices, the epoch
// is the time of [New] in Unix seconds.
package memstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// feedLength is how many changes the feed keeps at least.
const feedLength = 10_000

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("memstore: closed: open a new store")

// Store is a [session.Store] in memory.
type Store struct {
	mu       sync.Mutex
	closed   bool
	epoch    uint64
	sessions map[session.ID]session.Record
	users    map[session.UserID]*user
	feed     []session.Change // feed[i] has the cursor trimmed+i+1
	trimmed  uint64
}

// user is the row that is locked first; here the mutex is the lock.
type user struct {
	signInEpoch, rev uint64
	live             map[session.ID]struct{} // not ended
}

// New returns an empty store.
func New() *Store {
	return &Store{
		epoch:    uint64(time.Now().Unix()),
		sessions: map[session.ID]session.Record{},
		users:    map[session.UserID]*user{},
		trimmed:  1, // so that no real cursor is 0
	}
}

var _ session.Store = (*Store)(nil)

// begin locks the store for one call, or says why there is none. Here nothing
// waits, so a cancelled context means that nothing has happened.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	return nil
}

func (s *Store) user(id session.UserID) *user {
	u := s.users[id]
	if u == nil {
		u = &user{signInEpoch: 1, live: map[session.ID]struct{}{}}
		s.users[id] = u
	}
	return u
}

// complete adds what is read with a record.
func (s *Store) complete(r session.Record) session.Record {
	r.Epoch = s.epoch
	if u := s.users[r.UserID]; u != nil {
		r.Rev = u.rev
	}
	return r
}

// put stores a changed record and its place in the feed.
func (s *Store) put(r session.Record) session.Record {
	s.sessions[r.ID] = r
	r = s.complete(r)
	s.publish(session.Change{User: r.UserID, Rev: r.Rev, Session: r.ID, Version: r.Version, Ended: !r.EndedAt.IsZero()})
	return r
}

func (s *Store) publish(ch session.Change) {
	if len(s.feed) >= 2*feedLength {
		s.trimmed += uint64(len(s.feed) - feedLength)
		s.feed = append(s.feed[:0:0], s.feed[len(s.feed)-feedLength:]...)
	}
	s.feed = append(s.feed, ch)
}

// living returns the record if it has not ended.
func (s *Store) living(id session.ID) (session.Record, error) {
	r, ok := s.sessions[id]
	switch {
	case !ok:
		return session.Record{}, session.ErrNotFound
	case !r.EndedAt.IsZero():
		return session.Record{}, &session.EndedError{ID: id, Reason: r.EndReason}
	}
	return r, nil
}

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if err := s.begin(ctx); err != nil {
		return session.Record{}, err
	}
	defer s.mu.Unlock()
	r, ok := s.sessions[id]
	if !ok {
		return session.Record{}, session.ErrNotFound
	}
	return s.complete(r), nil
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, id session.UserID) ([]session.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.list(id), nil
}

func (s *Store) list(id session.UserID) (records []session.Record) {
	if u := s.users[id]; u != nil {
		for id := range u.live {
			records = append(records, s.complete(s.sessions[id]))
		}
	}
	return records
}

// Count implements [session.Store].
func (s *Store) Count(ctx context.Context, cutoffs session.Cutoffs) (n int, err error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	for _, r := range s.sessions {
		if r.EndedAt.IsZero() && cutoffs.Reason(r.Session) == "" {
			n++
		}
	}
	return n, nil
}

// SignInEpoch implements [session.Store].
func (s *Store) SignInEpoch(ctx context.Context, id session.UserID) (uint64, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if u := s.users[id]; u != nil {
		return u.signInEpoch, nil
	}
	return 1, nil
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	if err := s.begin(ctx); err != nil {
		return session.Created{}, err
	}
	defer s.mu.Unlock()
	if u := s.users[c.Record.UserID]; c.SignInEpoch != 0 && (u == nil && c.SignInEpoch != 1 || u != nil && c.SignInEpoch != u.signInEpoch) {
		return session.Created{}, session.ErrConflict
	}
	if _, taken := s.sessions[c.Record.ID]; taken {
		return session.Created{}, session.ErrConflict
	}
	doomed, err := c.Plan(s.list(c.Record.UserID))
	if err != nil {
		return session.Created{}, err
	}
	u := s.user(c.Record.UserID)
	u.rev++
	var created session.Created
	for _, d := range doomed {
		created.Ended = append(created.Ended, s.end(d, c.Record.CreatedAt))
	}
	u.live[c.Record.ID] = struct{}{}
	created.Record = s.put(c.Record)
	return created, nil
}

// end is only called for records that live; the user's rev has been raised.
func (s *Store) end(d session.Doomed, at time.Time) session.Record {
	r := s.sessions[d.ID]
	r.EndedAt, r.EndReason, r.EndedBy, r.EndedFrom = at, d.Reason, d.By, d.From
	r.Version++
	delete(s.users[r.UserID].live, r.ID)
	return s.put(r)
}

// SwitchPlatform implements [session.Store].
func (s *Store) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	if err := s.begin(ctx); err != nil {
		return session.Record{}, false, err
	}
	defer s.mu.Unlock()
	r, err := s.living(id)
	if err != nil {
		return session.Record{}, false, err
	}
	if r.PlatformID == platform {
		return s.complete(r), false, nil
	}
	if r.Switches == 0 || !at.Before(r.SwitchesSince.Add(time.Hour)) {
		r.SwitchesSince, r.Switches = at, 0
	}
	if limit > 0 && r.Switches >= limit {
		return session.Record{}, false, &session.SwitchLimitError{RetryAfter: r.SwitchesSince.Add(time.Hour).Sub(at)}
	}
	r.Switches++
	r.PlatformID = platform
	r.Version++
	return s.put(r), true, nil
}

// Refresh implements [session.Store].
func (s *Store) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	return s.guarded(ctx, id, version, func(r *session.Record) { r.RenewedAt = at })
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	return s.guarded(ctx, id, version, func(r *session.Record) {
		r.Secret, r.Previous, r.FirstUsed, r.RotatedAt = to.Secret, to.Previous, time.Time{}, to.At
		r.Proof, r.PreviousProof = to.Proof, to.PreviousProof
		r.Client, r.Fingerprint, r.Signals = to.Client, to.Fingerprint, to.Signals
	})
}

// Suspect implements [session.Store].
func (s *Store) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	return s.guarded(ctx, id, version, func(r *session.Record) {
		r.Signals = noticed.Signals
		if noticed.StepUp {
			r.Proof, r.PreviousProof = assurance.Proof{}, assurance.Proof{}
		}
	})
}

func (s *Store) guarded(ctx context.Context, id session.ID, version uint64, change func(*session.Record)) (session.Record, error) {
	if err := s.begin(ctx); err != nil {
		return session.Record{}, err
	}
	defer s.mu.Unlock()
	r, err := s.living(id)
	if err != nil {
		return session.Record{}, err
	}
	if r.Version != version {
		return session.Record{}, session.ErrConflict
	}
	change(&r)
	r.Version++
	return s.put(r), nil
}

// ConfirmSecret implements [session.Store].
func (s *Store) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	if err := s.begin(ctx); err != nil {
		return session.Record{}, err
	}
	defer s.mu.Unlock()
	r, err := s.living(id)
	if err != nil {
		return session.Record{}, err
	}
	if r.Secret != secret || !r.FirstUsed.IsZero() {
		return s.complete(r), nil
	}
	r.FirstUsed = at
	r.Version++
	return s.put(r), nil
}

// Touch implements [session.Store].
func (s *Store) Touch(ctx context.Context, activity []session.Activity) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, a := range activity {
		if r, err := s.living(a.ID); err == nil && a.At.After(r.LastActivity) {
			r.LastActivity = a.At
			s.sessions[a.ID] = r
		}
	}
	return nil
}

// End implements [session.Store].
func (s *Store) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var doomed []session.Doomed
	for _, r := range s.list(e.User) {
		if r.ID != e.Except && (e.ID.IsZero() || e.ID == r.ID) {
			doomed = append(doomed, session.Doomed{ID: r.ID, Reason: e.Reason, By: e.By, From: e.From})
		}
	}
	if len(doomed) == 0 && !e.RaiseEpoch {
		return nil, nil
	}
	u := s.user(e.User)
	u.rev++
	if e.RaiseEpoch {
		u.signInEpoch++
		s.publish(session.Change{User: e.User, Rev: u.rev})
	}
	ended := make([]session.Record, 0, len(doomed))
	for _, d := range doomed {
		ended = append(ended, s.end(d, e.At))
	}
	return ended, nil
}

// Expire implements [session.Store].
func (s *Store) Expire(ctx context.Context, x session.Expiring) (ended []session.Record, err error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	raised := map[session.UserID]bool{}
	for _, r := range s.sessions {
		reason := x.Cutoffs.Reason(r.Session)
		if len(ended) >= x.Limit || !r.EndedAt.IsZero() || reason == "" || x.User != "" && x.User != r.UserID {
			continue
		}
		if !raised[r.UserID] {
			s.user(r.UserID).rev++
			raised[r.UserID] = true
		}
		ended = append(ended, s.end(session.Doomed{ID: r.ID, Reason: reason, By: session.System}, x.At))
	}
	return ended, nil
}

// Purge implements [session.Store].
func (s *Store) Purge(ctx context.Context, p session.Purging) (n int, err error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	for id, r := range s.sessions {
		if n < p.Limit && !r.EndedAt.IsZero() && r.EndedAt.Before(p.EndedBefore) && (p.User == "" || p.User == r.UserID) {
			delete(s.sessions, id)
			if r.Guest {
				delete(s.users, r.UserID)
			}
			n++
		}
	}
	return n, nil
}

// RaiseRev implements [session.Store].
func (s *Store) RaiseRev(ctx context.Context, id session.UserID) (uint64, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	u := s.user(id)
	u.rev++
	s.publish(session.Change{User: id, Rev: u.rev, Directory: true})
	return u.rev, nil
}

// Changes implements [session.Store].
func (s *Store) Changes(ctx context.Context, after uint64, _ bool) (session.Feed, error) {
	if err := s.begin(ctx); err != nil {
		return session.Feed{}, err
	}
	defer s.mu.Unlock()
	end := s.trimmed + uint64(len(s.feed))
	feed := session.Feed{Next: end, Epoch: s.epoch}
	switch {
	case after == 0:
	case after < s.trimmed || after > end:
		feed.Gap = true
	default:
		feed.Changes = append(feed.Changes, s.feed[after-s.trimmed:]...)
	}
	return feed, nil
}

// Close lets go of everything. It may be called twice.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.sessions, s.users, s.feed = nil, nil, nil
	return nil
}
