// Package gather lets one goroutine do what many ask for, in batches: while it works
// on one, requests wait together, and the next batch takes them. It is how a store
// commits what waits in one transaction.
//
// What was added before Close is done before Close returns. Everything is safe for
// concurrent use.
package gather

import (
	"runtime"
	"sync"

	"github.com/vedfolnir/session/internal/wake"
)

// Queue holds what waits.
type Queue[T any] struct {
	pick func(waiting []T) (batch, rest []T)
	do   func(batch []T)

	mu      sync.Mutex
	waiting []T
	closed  bool
	bell    wake.Bell
	stopped chan struct{}
}

// Start begins to work: pick takes the next batch out of what waits, which is never
// empty, and must take the first; do works on it. Neither is called twice at once.
func Start[T any](pick func(waiting []T) (batch, rest []T), do func(batch []T)) *Queue[T] {
	q := &Queue[T]{pick: pick, do: do, bell: wake.NewBell(), stopped: make(chan struct{})}
	go q.run()
	return q
}

// Add reports whether the request will be done: it will not after Close.
func (q *Queue[T]) Add(request T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, request)
	q.bell.Ring()
	return true
}

// Close returns when everything that was added is done. It may be called twice.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	q.bell.Ring()
	q.mu.Unlock()
	<-q.stopped
}

func (q *Queue[T]) run() {
	defer close(q.stopped)
	for range q.bell {
		for {
			batch, closed := q.take()
			if len(batch) == 0 && closed {
				return
			}
			if len(batch) == 0 {
				break
			}
			q.do(batch)
			runtime.Gosched() // lets those who were answered ask again, for fuller batches
		}
	}
}

func (q *Queue[T]) take() (batch []T, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		batch, q.waiting = q.pick(q.waiting)
	}
	return batch, q.closed
}

// UpTo picks the first n of what waits.
func UpTo[T any](n int) func(waiting []T) (batch, rest []T) {
	return func(waiting []T) (batch, rest []T) {
		n := min(n, len(waiting))
		return waiting[:n:n], waiting[n:]
	}
}
