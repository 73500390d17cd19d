// Package shardstore makes one [session.Store] of several, each of which keeps the
// sessions of some of the people: a database that has become too small is followed
// by more, not by a larger one.
//
// A handle begins with 16 bits that are a hash of its user. Of n stores the first
// keeps the first nth of those 65,536 shards, and so on. So everything of one person
// is in one store, whose transactions are all that a change needs; nothing is ever
// committed in two. The number of stores, and their order, are the same on every
// node and at every start; to double the stores, each is split in two.
//
// What the stores have in common is made of what each says: the feed is that of all,
// and its epoch is the sum of theirs, which rises when any of them does. A node's
// lease is renewed by all the feeds together. While one store is away, its people
// get [session.StoreError]; those of the others are served, without snapshots: each
// of their requests asks their store.
package shardstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/handle"
)

// shards is how many a handle can begin with.
const shards = 1 << 16

// ErrWrongShard: a new session's handle does not begin with its user's shard.
// [session.Manager] makes none such.
var ErrWrongShard = errors.New("shardstore: the handle is not of its user's shard: make it with session.Manager")

// Store is a [session.Store] made of others.
type Store struct {
	stores  []session.Store
	epochs  []atomic.Uint64 // of each, as last heard
	cursors cursors
	next    atomic.Uint64 // which store the next sweep begins with
}

var _ session.Store = (*Store)(nil)

// New returns the store that consists of these, in this order. Each has to answer
// once, within ctx. From now on they are its own: [Store.Close] closes them.
func New(ctx context.Context, stores ...session.Store) (*Store, error) {
	if len(stores) == 0 || len(stores) > shards {
		return nil, fmt.Errorf("shardstore: there are %d stores: give 1 to %d", len(stores), shards)
	}
	s := &Store{stores: stores, epochs: make([]atomic.Uint64, len(stores))}
	if _, err := s.Changes(ctx, 0, true); err != nil {
		return nil, fmt.Errorf("shardstore: read epochs: %w", err)
	}
	return s, nil
}

// Place says which of n stores keeps the sessions of the user, from 0.
func Place(user session.UserID, n int) int { return place(handle.Shard(string(user)), n) }

func place(shard [2]byte, n int) int { return int(binary.BigEndian.Uint16(shard[:])) * n / shards }

func (s *Store) byUser(user session.UserID) int { return Place(user, len(s.stores)) }

func (s *Store) byHandle(id session.ID) int { return place([2]byte(id[:2]), len(s.stores)) }

// heard takes in the epoch of one store and returns that of all.
func (s *Store) heard(i int, epoch uint64) (sum uint64) {
	for have := s.epochs[i].Load(); epoch > have && !s.epochs[i].CompareAndSwap(have, epoch); have = s.epochs[i].Load() {
	}
	for i := range s.epochs {
		sum += s.epochs[i].Load()
	}
	return sum
}

// told gives records of one store the epoch of all.
func (s *Store) told(i int, records ...*session.Record) {
	for _, r := range records {
		if !r.ID.IsZero() {
			r.Epoch = s.heard(i, r.Epoch)
		}
	}
}

func (s *Store) toldAll(i int, records []session.Record) []session.Record {
	for n := range records {
		s.told(i, &records[n])
	}
	return records
}

// at has the store of the handle do something.
func (s *Store) at(id session.ID, do func(session.Store) (session.Record, error)) (session.Record, error) {
	i := s.byHandle(id)
	r, err := do(s.stores[i])
	s.told(i, &r)
	return r, err
}

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID) (session.Record, error) {
	return s.at(id, func(one session.Store) (session.Record, error) { return one.Get(ctx, id) })
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, user session.UserID) ([]session.Record, error) {
	i := s.byUser(user)
	records, err := s.stores[i].List(ctx, user)
	return s.toldAll(i, records), err
}

// Count implements [session.Store].
func (s *Store) Count(ctx context.Context, cutoffs session.Cutoffs) (int, error) {
	counts := make([]int, len(s.stores))
	err := s.each(func(i int, one session.Store) (err error) {
		counts[i], err = one.Count(ctx, cutoffs)
		return err
	})
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// SignInEpoch implements [session.Store].
func (s *Store) SignInEpoch(ctx context.Context, user session.UserID) (uint64, error) {
	return s.stores[s.byUser(user)].SignInEpoch(ctx, user)
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	i := s.byUser(c.Record.UserID)
	if s.byHandle(c.Record.ID) != i {
		return session.Created{}, ErrWrongShard
	}
	created, err := s.stores[i].Create(ctx, c)
	s.told(i, &created.Record)
	s.toldAll(i, created.Ended)
	return created, err
}

// SwitchPlatform implements [session.Store].
func (s *Store) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (r session.Record, changed bool, err error) {
	r, err = s.at(id, func(one session.Store) (r session.Record, err error) {
		r, changed, err = one.SwitchPlatform(ctx, id, platform, at, limit)
		return r, err
	})
	return r, changed, err
}

// Refresh implements [session.Store].
func (s *Store) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	return s.at(id, func(one session.Store) (session.Record, error) { return one.Refresh(ctx, id, version, at) })
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, id session.ID, version uint64, r session.Rotation) (session.Record, error) {
	return s.at(id, func(one session.Store) (session.Record, error) { return one.Rotate(ctx, id, version, r) })
}

// ConfirmSecret implements [session.Store].
func (s *Store) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	return s.at(id, func(one session.Store) (session.Record, error) { return one.ConfirmSecret(ctx, id, secret, at) })
}

// Suspect implements [session.Store].
func (s *Store) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	return s.at(id, func(one session.Store) (session.Record, error) { return one.Suspect(ctx, id, version, noticed) })
}

// Touch implements [session.Store].
func (s *Store) Touch(ctx context.Context, activity []session.Activity) error {
	parts := make([][]session.Activity, len(s.stores))
	for _, a := range activity {
		i := s.byHandle(a.ID)
		parts[i] = append(parts[i], a)
	}
	return s.each(func(i int, one session.Store) error {
		if len(parts[i]) == 0 && len(activity) > 0 {
			return nil
		}
		return one.Touch(ctx, parts[i])
	})
}

// End implements [session.Store].
func (s *Store) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	i := s.byUser(e.User)
	ended, err := s.stores[i].End(ctx, e)
	return s.toldAll(i, ended), err
}

// Expire implements [session.Store].
func (s *Store) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	all := []session.Record{}
	err := s.sweep(x.User, x.Limit, func(i, limit int) (int, error) {
		part := x
		part.Limit = limit
		ended, err := s.stores[i].Expire(ctx, part)
		all = append(all, s.toldAll(i, ended)...)
		return len(ended), err
	})
	return all, err
}

// Purge implements [session.Store].
func (s *Store) Purge(ctx context.Context, p session.Purging) (int, error) {
	sum := 0
	err := s.sweep(p.User, p.Limit, func(i, limit int) (int, error) {
		part := p
		part.Limit = limit
		n, err := s.stores[i].Purge(ctx, part)
		sum += n
		return n, err
	})
	return sum, err
}

// sweep goes from store to store until so many sessions were swept: each time it
// begins with another, so that none is always left for last, and one that is away
// does not keep the others from being swept. A user's are in one store.
func (s *Store) sweep(user session.UserID, limit int, do func(i, limit int) (int, error)) error {
	if user != "" {
		_, err := do(s.byUser(user), limit)
		return err
	}
	var errs []error
	first := s.next.Add(1)
	for n := range uint64(len(s.stores)) {
		i := int((first + n) % uint64(len(s.stores)))
		swept, err := do(i, limit)
		errs = append(errs, err)
		if limit -= swept; limit <= 0 {
			break
		}
	}
	return errors.Join(errs...)
}

// RaiseRev implements [session.Store].
func (s *Store) RaiseRev(ctx context.Context, user session.UserID) (uint64, error) {
	return s.stores[s.byUser(user)].RaiseRev(ctx, user)
}

// Close closes all the stores. It may be called twice.
func (s *Store) Close() error {
	return s.each(func(_ int, one session.Store) error { return one.Close() })
}

// each does something with all stores at once, and returns when the last has
// answered. The error is that of the first store that has one.
func (s *Store) each(do func(i int, one session.Store) error) error {
	errs := make([]error, len(s.stores))
	var all sync.WaitGroup
	for i, one := range s.stores {
		all.Go(func() { errs[i] = do(i, one) })
	}
	all.Wait()
	return cmp.Or(errs...)
}
