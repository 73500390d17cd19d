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

// Follow calls read with renew at once, and again when the interval after that call
// is over; and whenever the bell rings in between without, which puts off nothing. It
// gives it as long as patience. Once read has succeeded with renew it tells renewed
// when that began. It tells turned of the first error in a row, and then of the nil
// with which something is renewed again.
func Follow(ctx context.Context, bell wake.Bell, interval, patience time.Duration, read func(ctx context.Context, renew bool) error, renewed func(start time.Time), turned func(error)) {
	failing, renew := false, true
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		start := time.Now()
		reading, cancel := context.WithTimeout(ctx, patience)
		err := read(reading, renew)
		cancel()
		if renew && err == nil {
			renewed(start)
		}
		if failed := err != nil; failed != failing && (failed || renew) && ctx.Err() == nil {
			failing = failed
			turned(err)
		}
		if renew {
			timer.Reset(interval)
		}
		select {
		case <-timer.C:
			renew = true
		case <-bell:
			select {
			case <-timer.C:
				renew = true
			default:
				renew = false
			}
		case <-ctx.Done():
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
