package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session"
)

// Nodes returns a store that sends every call to the next of the given ones, as a
// load balancer does: several handles on the same data must keep the contract
// together as one does alone. A cursor goes to the store that it came from.
func Nodes(stores ...session.Store) session.Store { return &nodes{stores: stores} }

type nodes struct {
	stores []session.Store
	turn   atomic.Uint64

	mu      sync.Mutex
	cursors []cursor // by their number, from 1
}

type cursor struct {
	of session.Store
	at uint64
}

func (n *nodes) next() session.Store { return n.stores[n.turn.Add(1)%uint64(len(n.stores))] }

func (n *nodes) Get(ctx context.Context, id session.ID) (session.Record, error) {
	return n.next().Get(ctx, id)
}

func (n *nodes) List(ctx context.Context, user session.UserID) ([]session.Record, error) {
	return n.next().List(ctx, user)
}

func (n *nodes) Count(ctx context.Context, cutoffs session.Cutoffs) (int, error) {
	return n.next().Count(ctx, cutoffs)
}

func (n *nodes) SignInEpoch(ctx context.Context, user session.UserID) (uint64, error) {
	return n.next().SignInEpoch(ctx, user)
}

func (n *nodes) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	return n.next().Create(ctx, c)
}

func (n *nodes) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	return n.next().SwitchPlatform(ctx, id, platform, at, limit)
}

func (n *nodes) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	return n.next().Refresh(ctx, id, version, at)
}

func (n *nodes) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	return n.next().Suspect(ctx, id, version, noticed)
}

func (n *nodes) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	return n.next().Rotate(ctx, id, version, to)
}

func (n *nodes) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	return n.next().ConfirmSecret(ctx, id, secret, at)
}

func (n *nodes) Touch(ctx context.Context, activity []session.Activity) error {
	return n.next().Touch(ctx, activity)
}

func (n *nodes) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	return n.next().End(ctx, e)
}

func (n *nodes) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	return n.next().Expire(ctx, x)
}

func (n *nodes) Purge(ctx context.Context, p session.Purging) (int, error) {
	return n.next().Purge(ctx, p)
}

func (n *nodes) RaiseRev(ctx context.Context, user session.UserID) (uint64, error) {
	return n.next().RaiseRev(ctx, user)
}

func (n *nodes) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	c := n.cursor(after)
	feed, err := c.of.Changes(ctx, c.at, renew)
	if err != nil {
		return session.Feed{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cursors = append(n.cursors, cursor{c.of, feed.Next})
	feed.Next = uint64(len(n.cursors))
	return feed, nil
}

// cursor of that number. What is none, no store can place.
func (n *nodes) cursor(number uint64) cursor {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case number == 0:
		return cursor{of: n.next()}
	case number > uint64(len(n.cursors)):
		return cursor{n.next(), number}
	}
	return n.cursors[number-1]
}

func (n *nodes) Close() (err error) {
	for _, s := range n.stores {
		err = errors.Join(err, s.Close())
	}
	return err
}
