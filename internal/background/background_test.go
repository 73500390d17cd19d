package background_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/internal/background"
	"github.com/vedfolnir/session/internal/wake"
)

var errDown = errors.New("down")

// What is read for a bell renews nothing, and puts off none of what does.
func TestFollowRenewsAtOnceAndAtTheIntervalAndLooksWhenRung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		type read struct {
			at    time.Duration
			renew bool
		}
		var reads []read
		var renewed []time.Duration
		var turns []error
		var fails atomic.Bool
		start, bell := time.Now(), wake.NewBell()
		go background.Follow(ctx, bell, 10*time.Second, time.Second, func(_ context.Context, renew bool) error {
			reads = append(reads, read{time.Since(start), renew})
			if renew && fails.Load() {
				return errDown
			}
			return nil
		}, func(at time.Time) { renewed = append(renewed, at.Sub(start)) }, func(err error) { turns = append(turns, err) })
		for range 2 {
			time.Sleep(3 * time.Second)
			bell.Ring()
		}
		synctest.Wait()
		fails.Store(true)
		time.Sleep(15 * time.Second)
		bell.Ring()
		time.Sleep(10 * time.Second) // three failures are told once, whatever can be looked at in between
		fails.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []read{
			{0, true},
			{3 * time.Second, false},
			{6 * time.Second, false},
			{10 * time.Second, true},
			{20 * time.Second, true},
			{21 * time.Second, false},
			{30 * time.Second, true},
			{40 * time.Second, true},
		}; !slices.Equal(reads, want) {
			t.Errorf("read at %v, want %v", reads, want)
		}
		if want := []time.Duration{0, 40 * time.Second}; !slices.Equal(renewed, want) {
			t.Errorf("renewed at %v, want %v", renewed, want)
		}
		if len(turns) != 2 || !errors.Is(turns[0], errDown) || turns[1] != nil {
			t.Errorf("told of %v", turns)
		}
	})
}

func TestFollowRenewsThoughTheBellNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		last, renewals, bell := time.Now(), 0, wake.NewBell()
		background.Follow(ctx, bell, 10*time.Second, time.Minute, func(_ context.Context, renew bool) error {
			if gap := time.Since(last); gap > 16*time.Second { // this read, the interval, and what was under way when that was over
				t.Errorf("%v without a renewal", gap)
			}
			if renew {
				last, renewals = time.Now(), renewals+1
			}
			bell.Ring()
			time.Sleep(3 * time.Second)
			return nil
		}, func(start time.Time) {
			if !start.Equal(last) {
				t.Errorf("renewed from %v on, and not from before the read, %v", start, last)
			}
		}, func(error) {})
		if renewals < 30 {
			t.Errorf("%d renewals", renewals)
		}
	})
}

func TestEveryIsAboutTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		last, n := time.Now(), 0
		go background.Every(ctx, time.Minute, func() {
			if gap := time.Since(last); gap < 54*time.Second || gap > 66*time.Second {
				t.Errorf("after %v", gap)
			}
			last, n = time.Now(), n+1
		})
		time.Sleep(time.Hour)
		cancel()
		synctest.Wait()
		if done := n; done < 54 || done > 66 {
			t.Errorf("%d times in an hour", done)
		}
	})
}

func TestInBatchesGoesOnUntilOneIsNotFull(t *testing.T) {
	left := 25
	do := func() (int, error) {
		n := min(10, left)
		left -= n
		return n, nil
	}
	if n, err := background.InBatches(10, do); n != 25 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := background.InBatches(10, func() (int, error) { return 0, errDown }); n != 0 || !errors.Is(err, errDown) {
		t.Errorf("%d, %v", n, err)
	}
}

type act struct {
	what string
	at   time.Time
}

func TestGatheredStoresTheLatestAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stored, calls, failures, down := map[string]time.Time{}, 0, 0, true
		g := background.Gather(func(_ context.Context, batch []act) error {
			calls++
			if down {
				return errDown
			}
			for _, a := range batch {
				stored[a.what] = a.at
			}
			return nil
		}, func(what string, at time.Time) act { return act{what, at} })
		go g.Run(ctx, time.Second, time.Second, func(error) { failures++; down = false })
		start := time.Now()
		g.Add("a", start.Add(2))
		g.Add("a", start.Add(1))
		g.Add("b", start)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := map[string]time.Time{"a": start.Add(2), "b": start}
		if !maps.Equal(stored, want) || calls != 2 || failures != 1 {
			t.Errorf("stored %v in %d calls, of which %d failed", stored, calls, failures)
		}
		cancel()
		synctest.Wait()
		g.Add("c", start)
		if err := g.Flush(t.Context()); err != nil || !stored["c"].Equal(start) || calls != 3 {
			t.Errorf("the last flush: %v, %v", err, stored)
		}
		if err := g.Flush(t.Context()); err != nil || calls != 3 {
			t.Errorf("nothing waits, and yet: %v, %d calls", err, calls)
		}
	})
}
