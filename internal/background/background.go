// Package background has the loops that go on until they are told to stop. Each
// runs in its caller's goroutine and returns when ctx is over.
package background

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/vedfolnir/session/internal/wake"
)

// Follow calls read at once, then whenever the bell rings, and never later than
// the interval after the last call, and gives it as long as patience. It tells
// turned of the first error in a row, and of nil once read succeeds again.
func Follow(ctx context.Context, bell wake.Bell, interval, patience time.Duration, read func(context.Context) error, turned func(error)) {
	failing := false
	for timer := time.NewTimer(interval); ; timer.Reset(interval) {
		reading, cancel := context.WithTimeout(ctx, patience)
		err := read(reading)
		cancel()
		if failed := err != nil; failed != failing && ctx.Err() == nil {
			failing = failed
			turned(err)
		}
		select {
		case <-bell:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Told writes an error as a warning of what fails, and none as what goes on again.
func Told(l *slog.Logger, fails, again string) func(error) {
	return func(err error) {
		if err != nil {
			l.Warn(fails, "error", err)
		} else {
			l.Info(again)
		}
	}
}

// Every calls do at the interval, give or take a tenth, so that nodes do not work
// in step.
func Every(ctx context.Context, interval time.Duration, do func()) {
	for {
		select {
		case <-time.After(interval - interval/10 + rand.N(interval/5+1)):
		case <-ctx.Done():
			return
		}
		do()
	}
}

// InBatches repeats do, which says how many it did, until a batch of that size is
// not full, and returns how many that were in all.
func InBatches(size int, do func() (int, error)) (total int, err error) {
	for n := size; n >= size; {
		if n, err = do(); err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}
