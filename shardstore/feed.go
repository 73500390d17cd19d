package shardstore

import (
	"context"
	"slices"
	"sync"

	"github.com/vedfolnir/session"
)

// cursorsKept is more than the changes that a feed keeps at least, for a cursor is
// only new where there was a change.
const cursorsKept = 20_000

// cursors are the places in all the feeds that were given out, by number.
type cursors struct {
	mu     sync.Mutex
	places map[uint64][]uint64
	last   uint64
}

func (c *cursors) find(n uint64) ([]uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.places[n]
	return p, ok
}

func (c *cursors) add(place []uint64) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places == nil {
		c.places = map[uint64][]uint64{}
	}
	c.last++
	c.places[c.last] = place
	delete(c.places, c.last-cursorsKept)
	return c.last
}

// Changes implements [session.Store]. A cursor stands for one in each of the feeds;
// the time is the first store's. Those of one session are in one feed, and so keep
// their order.
func (s *Store) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	from, known := s.cursors.find(after)
	if !known {
		from = make([]uint64, len(s.stores))
	}
	feeds := make([]session.Feed, len(s.stores))
	err := s.each(func(i int, one session.Store) (err error) {
		feeds[i], err = one.Changes(ctx, from[i], renew)
		return err
	})
	if err != nil {
		return session.Feed{}, err
	}
	all := session.Feed{Next: after, Gap: after != 0 && !known, Now: feeds[0].Now}
	to := make([]uint64, len(feeds))
	for i, feed := range feeds {
		all.Changes = append(all.Changes, feed.Changes...)
		all.Gap = all.Gap || feed.Gap
		all.Epoch = s.heard(i, feed.Epoch)
		to[i] = feed.Next
	}
	if !slices.Equal(from, to) {
		all.Next = s.cursors.add(to)
	}
	return all, nil
}
