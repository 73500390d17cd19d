package wake_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/internal/wake"
)

func rung(b wake.Bell) bool {
	select {
	case <-b:
		return true
	default:
		return false
	}
}

func TestABellRungTwiceHasRungOnce(t *testing.T) {
	b := wake.NewBell()
	b.Ring()
	b.Ring()
	if !rung(b) || rung(b) {
		t.Error("it did not ring once")
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start, b, closed := time.Now(), wake.NewBell(), make(chan struct{})
		if err := b.Wait(ctx, time.Second, closed); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		b.Ring()
		if err := b.Wait(ctx, time.Second, closed); err != nil || time.Since(start) != time.Second {
			t.Errorf("rung: %v after %v", err, time.Since(start))
		}
		cancel()
		if err := b.Wait(ctx, time.Second, closed); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		close(closed)
		if err := b.Wait(t.Context(), time.Hour, closed); err != nil || time.Since(start) != time.Second {
			t.Errorf("closed: %v after %v", err, time.Since(start))
		}
	})
}

func TestRegistryRingsWhoLooksAtTheKey(t *testing.T) {
	var r wake.Registry[string]
	a, b, other := wake.NewBell(), wake.NewBell(), wake.NewBell()
	r.Add("x", a)
	r.Add("x", b)
	r.Add("y", other)
	r.Ring("x")
	if !rung(a) || !rung(b) || rung(other) {
		t.Error("x")
	}
	r.RingAll()
	if !rung(a) || !rung(b) || !rung(other) {
		t.Error("all")
	}
	r.Remove("x", a)
	r.Remove("x", a)
	r.Remove("nobody", a)
	r.Ring("x")
	if rung(a) || !rung(b) || r.Len() != 2 {
		t.Errorf("after a removal there are %d", r.Len())
	}
}
