package session

import (
	"context"
	"sync"
)

// reads lets misses of one key share one read, and lets a change that is seen
// while a read is in flight spoil it: a spoilt result is not kept, nobody joins
// it any more, and whoever waited on it reads again. So a slow read that straddles
// a revoke cannot revive the session.
type reads[K comparable, V any] struct {
	mu       sync.Mutex
	inFlight map[K]*read[V]
	closed   bool
	wg       sync.WaitGroup
}

type read[V any] struct {
	done   chan struct{}
	value  V
	err    error
	spoilt bool // guarded by reads.mu until done is closed
}

// do returns what load finds. The load runs to its end for the sake of all who
// wait, whatever becomes of this caller; keep is called with its result unless
// that was spoilt, before any later spoil of the key returns.
func (r *reads[K, V]) do(ctx context.Context, key K, load func(context.Context) (V, error), keep func(V)) (V, error) {
	for {
		flight := r.join(ctx, key, load, keep)
		select {
		case <-flight.done:
			if !flight.spoilt {
				return flight.value, flight.err
			}
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
}

func (r *reads[K, V]) join(ctx context.Context, key K, load func(context.Context) (V, error), keep func(V)) *read[V] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flight := r.inFlight[key]; flight != nil {
		return flight
	}
	flight := &read[V]{done: make(chan struct{})}
	if r.closed {
		flight.err = ErrClosed
		close(flight.done)
		return flight
	}
	if r.inFlight == nil {
		r.inFlight = map[K]*read[V]{}
	}
	r.inFlight[key] = flight
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		flight.value, flight.err = load(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.inFlight[key] == flight {
			delete(r.inFlight, key)
		}
		if !flight.spoilt && flight.err == nil {
			keep(flight.value)
		}
		close(flight.done)
	})
	return flight
}

// spoil the read of key that is in flight, if there is one.
func (r *reads[K, V]) spoil(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flight := r.inFlight[key]; flight != nil {
		flight.spoilt = true
		delete(r.inFlight, key)
	}
}

// spoilAll spoils every read that is in flight.
func (r *reads[K, V]) spoilAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, flight := range r.inFlight {
		flight.spoilt = true
	}
	clear(r.inFlight)
}

// close refuses further reads and waits for those in flight.
func (r *reads[K, V]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wg.Wait()
}
