package background

import (
	"context"
	"sync"
	"time"

	"github.com/vedfolnir/session/internal/wake"
)

// Gathered are the latest times of things, on their way to a store that is told of
// many at once. It is safe for concurrent use.
type Gathered[K comparable, A any] struct {
	store func(context.Context, []A) error
	make  func(K, time.Time) A
	bell  wake.Bell

	mu      sync.Mutex
	waiting map[K]time.Time
}

// Gather returns one that has nothing yet. The store is told in its own words,
// which make puts a thing and its time into.
func Gather[K comparable, A any](store func(context.Context, []A) error, make func(K, time.Time) A) *Gathered[K, A] {
	return &Gathered[K, A]{store: store, make: make, bell: wake.NewBell(), waiting: map[K]time.Time{}}
}

// Add a time; an earlier one of the same thing is stored no more.
func (g *Gathered[K, A]) Add(key K, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.After(g.waiting[key]) {
		g.waiting[key] = at
	}
	g.bell.Ring()
}

// Run flushes whatever was added, delay after the first of it, and gives each
// flush as long as patience. It tells failed of errors, and tries again. What waits
// when ctx is over is left for a last Flush.
func (g *Gathered[K, A]) Run(ctx context.Context, delay, patience time.Duration, failed func(error)) {
	for {
		select {
		case <-g.bell:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		flushing, cancel := context.WithTimeout(ctx, patience)
		if err := g.Flush(flushing); err != nil && ctx.Err() == nil {
			failed(err)
		}
		cancel()
	}
}

// Flush stores what waits. What could not be stored waits on.
func (g *Gathered[K, A]) Flush(ctx context.Context) error {
	g.mu.Lock()
	taken := g.waiting
	g.waiting = map[K]time.Time{}
	g.mu.Unlock()
	var batch []A
	for key, at := range taken {
		batch = append(batch, g.make(key, at))
	}
	if len(batch) == 0 {
		return nil
	}
	err := g.store(ctx, batch)
	if err != nil {
		for key, at := range taken {
			g.Add(key, at)
		}
	}
	return err
}
