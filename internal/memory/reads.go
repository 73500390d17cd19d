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
//
// Not every change is seen in time. So a read is joined only while what it may find is
// not older than what may be remembered, and what was begun before somebody asked may
// say yes to them, but never no.
type reads[K comparable, V any] struct {
	patience time.Duration // how long a load may take
	joinable time.Duration // how long after its begin; 0: never
	refusal  error         // of a read that is asked for after close

	mu       sync.Mutex
	inFlight map[K]*read[V]
	old      map[*read[V]]K // in flight, and joined no more
	spoils   uint64
	closed   bool
	wg       sync.WaitGroup
}

type read[V any] struct {
	young  lease // while it may be joined
	done   chan struct{}
	value  V
	err    error
	spoilt bool // guarded by reads.mu until done is closed
}

// do returns what load finds. The load runs to its end for the sake of all who
// wait, whatever becomes of this caller; keep is called with its result unless
// that was spoilt, before any later spoil of the key returns. What a read has found
// that was begun before this call is returned only if it is enough.
func (r *reads[K, V]) do(ctx context.Context, key K, load func(context.Context) (V, error), keep func(V), enough func(V) bool) (V, error) {
	for before := true; ; before = false { // a read that is joined later was begun later
		flight, own := r.join(ctx, key, load, keep)
		select {
		case <-flight.done:
			if !flight.spoilt && (own || !before || flight.err != nil || enough(flight.value)) {
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

// join a read in flight, or begin one of one's own.
func (r *reads[K, V]) join(ctx context.Context, key K, load func(context.Context) (V, error), keep func(V)) (flight *read[V], own bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	before := r.inFlight[key]
	if before != nil && before.young.holds(now) {
		return before, false
	}
	flight = &read[V]{done: make(chan struct{})}
	flight.young.renew(now.Add(r.joinable))
	if r.closed {
		flight.err = r.refusal
		close(flight.done)
		return flight, true
	}
	if r.inFlight == nil {
		r.inFlight, r.old = map[K]*read[V]{}, map[*read[V]]K{}
	}
	if before != nil {
		r.old[before] = key
	}
	r.inFlight[key] = flight
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.patience)
		defer cancel()
		defer r.settle(key, flight, keep)
		flight.err = errors.New("the read ended its goroutine")
		flight.value, flight.err = load(ctx)
	})
	return flight, true
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
	delete(r.old, flight)
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
	for flight, key := range r.old {
		if among(key) {
			flight.spoilt = true
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
