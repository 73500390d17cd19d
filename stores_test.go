package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session"
)

// countingStore counts what reaches the store.
type countingStore struct {
	session.Store
	reads, writes, touches atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, id session.ID) (session.Record, error) {
	s.reads.Add(1)
	return s.Store.Get(ctx, id)
}

func (s *countingStore) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	s.writes.Add(1)
	return s.Store.Create(ctx, c)
}

func (s *countingStore) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	s.writes.Add(1)
	return s.Store.SwitchPlatform(ctx, id, platform, at, limit)
}

func (s *countingStore) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	s.writes.Add(1)
	return s.Store.End(ctx, e)
}

func (s *countingStore) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	s.writes.Add(1)
	return s.Store.ConfirmSecret(ctx, id, secret, at)
}

func (s *countingStore) Touch(ctx context.Context, activity []session.Activity) error {
	s.writes.Add(1)
	s.touches.Add(1)
	return s.Store.Touch(ctx, activity)
}

// barrierStore stops the first Expire on its way to the store.
type barrierStore struct {
	session.Store
	once          sync.Once
	reached, pass chan struct{}
}

func (s *barrierStore) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	s.once.Do(func() { close(s.reached); <-s.pass })
	return s.Store.Expire(ctx, x)
}

// slowReads holds the result of every Get back, after the store has given it.
type slowReads struct {
	session.Store
	mu   sync.Mutex
	hold chan struct{} // nil: do not
	read chan struct{} // told when a result is held back
}

func (s *slowReads) Get(ctx context.Context, id session.ID) (session.Record, error) {
	r, err := s.Store.Get(ctx, id)
	s.mu.Lock()
	hold := s.hold
	s.hold = nil
	s.mu.Unlock()
	if hold != nil {
		s.read <- struct{}{}
		<-hold
	}
	return r, err
}

func (s *slowReads) holdNext() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = make(chan struct{})
	return s.hold
}

// brokenStore fails every call while it is down.
type brokenStore struct {
	session.Store
	down atomic.Bool
}

var errDown = errors.New("connection refused")

func (s *brokenStore) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if s.down.Load() {
		return session.Record{}, errDown
	}
	return s.Store.Get(ctx, id)
}

func (s *brokenStore) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	if s.down.Load() {
		return session.Feed{}, errDown
	}
	return s.Store.Changes(ctx, after, renew)
}

// replacedStore has a successor from now on, and can tell, but not renew.
type replacedStore struct {
	session.Store
	now  atomic.Bool
	told atomic.Int64
}

func (s *replacedStore) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	if s.now.Load() {
		if renew {
			return session.Feed{}, errDown
		}
		s.told.Add(1)
	}
	return s.Store.Changes(ctx, after, renew)
}

func (s *brokenStore) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.End(ctx, e)
}

// changing is a directory whose people change.
type changing struct {
	mu     sync.Mutex
	people session.StaticDirectory
}

func (d *changing) set(people session.StaticDirectory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people = people
}

func (d *changing) Person(ctx context.Context, id session.UserID) (session.Person, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.people.Person(ctx, id)
}

// asked counts how often a directory is asked, and runs a hook before each answer.
type asked struct {
	session.Directory
	times atomic.Int64
	hook  atomic.Pointer[func()]
}

func (d *asked) Person(ctx context.Context, id session.UserID) (session.Person, error) {
	d.times.Add(1)
	if hook := d.hook.Load(); hook != nil {
		(*hook)()
	}
	return d.Directory.Person(ctx, id)
}

// panicking panics at every Get while it is told to.
type panicking struct {
	session.Store
	now atomic.Bool
}

func (s *panicking) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if s.now.Load() {
		panic("index out of range")
	}
	return s.Store.Get(ctx, id)
}
