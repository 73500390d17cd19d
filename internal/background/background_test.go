package background_test

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/internal/background"
	"github.com/vedfolnir/session/internal/wake"
)

var errDown = errors.New("down")

func TestFollowReadsAtOnceWhenRungAndAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var at []time.Duration
		var turns []error
		var fails atomic.Bool
		start, bell := time.Now(), wake.NewBell()
		go background.Follow(ctx, bell, 10*time.Second, time.Second, func(context.Context) error {
			at = append(at, time.Since(start))
			if fails.Load() {
				return errDown
			}
			return nil
		}, func(err error) { turns = append(turns, err) })
		time.Sleep(3 * time.Second)
		bell.Ring()
		synctest.Wait()
		fails.Store(true)
		time.Sleep(25 * time.Second) // two failures are told once
		fails.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, 3 * time.Second, 13 * time.Second, 23 * time.Second, 33 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("read at %v, want %v", at, want)
		}
		for i := range want {
			if at[i] != want[i] {
				t.Errorf("read at %v, want %v", at, want)
			}
		}
		if len(turns) != 2 || !errors.Is(turns[0], errDown) || turns[1] != nil {
			t.Errorf("told of %v", turns)
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
