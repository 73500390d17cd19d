// Package wake tells goroutines that something became of what they look at. What
// it was, each finds out by looking, so that none can fall behind.
package wake

import (
	"context"
	"sync"
	"time"
)

// Bell wakes one goroutine. Rung several times before anybody looks, it has rung
// once.
type Bell chan struct{}

// NewBell returns one that has not rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring does not block.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// Wait until the bell rings, the time is up, or closed is. The error is ctx's.
func (b Bell) Wait(ctx context.Context, timeout time.Duration, closed <-chan struct{}) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-b:
	case <-timer.C:
	case <-closed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Registry holds the bells of those who look at each key. It is safe for
// concurrent use, and its zero value is empty.
type Registry[K comparable] struct {
	mu    sync.RWMutex
	byKey map[K]map[Bell]struct{}
	count int
}

// Add the bell of somebody who looks at the key.
func (r *Registry[K]) Add(key K, b Bell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil {
		r.byKey = map[K]map[Bell]struct{}{}
	}
	if r.byKey[key] == nil {
		r.byKey[key] = map[Bell]struct{}{}
	}
	r.byKey[key][b] = struct{}{}
	r.count++
}

// Remove the bell; it may be removed already.
func (r *Registry[K]) Remove(key K, b Bell) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.byKey[key][b]; !ok {
		return
	}
	delete(r.byKey[key], b)
	if len(r.byKey[key]) == 0 {
		delete(r.byKey, key)
	}
	r.count--
}

// Ring the bells of the key.
func (r *Registry[K]) Ring(key K) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for b := range r.byKey[key] {
		b.Ring()
	}
}

// RingAll the bells there are.
func (r *Registry[K]) RingAll() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, bells := range r.byKey {
		for b := range bells {
			b.Ring()
		}
	}
}

// Len is how many bells there are.
func (r *Registry[K]) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.count
}
