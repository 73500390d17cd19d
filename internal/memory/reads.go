package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// reads lets misses of one key share one read, and lets a change that is seen
// while a read is in flight spoil it: a spoilt result is not kept, nobody joins
// it any more, and whoever waited on it reads again. So a slow read that straddles
// a revoke cannot revive the session.
type reads[K comparable, V any] struct {
	patience time.Duration // how long a load may take
	refusal  error         // of a read that is asked for after close

	mu       sync.Mutex
	inFlight map[K]*read[V]
	spoils   uint64
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

// beside is for a read that somebody makes for themselves: it keeps what that
// found, unless anything was spoilt since. (Any key at all: such reads are few.)
func (r *reads[K, V]) beside(since uint64, keep func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spoils == since {
		keep()
	}
}

// since is for beside: take it before the read. After close it refuses.
func (r *reads[K, V]) since() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, r.refusal
	}
	return r.spoils, nil
}

func (r *reads[K, V]) join(ctx context.Context, key K, load func(context.Context) (V, error), keep func(V)) *read[V] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if flight := r.inFlight[key]; flight != nil {
		return flight
	}
	flight := &read[V]{done: make(chan struct{})}
	if r.closed {
		flight.err = r.refusal
		close(flight.done)
		return flight
	}
	if r.inFlight == nil {
		r.inFlight = map[K]*read[V]{}
	}
	r.inFlight[key] = flight
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.patience)
		defer cancel()
		defer r.settle(key, flight, keep)
		flight.err = errors.New("the read ended its goroutine")
		flight.value, flight.err = load(ctx)
	})
	return flight
}

// settle tells those who wait. A panic of the load is an error for all of them:
// the goroutine is nobody's own, so nobody else could recover from it.
func (r *reads[K, V]) settle(key K, flight *read[V], keep func(V)) {
	if p := recover(); p != nil {
		flight.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight[key] == flight {
		delete(r.inFlight, key)
	}
	if !flight.spoilt && flight.err == nil {
		keep(flight.value)
	}
	close(flight.done)
}

// spoil the reads in flight of every key that is among.
func (r *reads[K, V]) spoil(among func(K) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spoils++
	for key, flight := range r.inFlight {
		if among(key) {
			flight.spoilt = true
			delete(r.inFlight, key)
		}
	}
}

// close refuses further reads and waits for those in flight.
func (r *reads[K, V]) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.wg.Wait()
}
