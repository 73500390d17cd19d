// Package storeclock tells the time of a store on the nodes that share it, so that
// all of them hold deadlines against one clock.
package storeclock

import (
	"sync/atomic"
	"time"
)

const (
	// step is by how much the clock is set at once; what is more is a jump.
	step = time.Second
	// pace is how fast a jump is followed: by a tenth of the time that passes.
	pace = 10
)

// Clock is a node's own one until the store has told its time. It goes on by the
// node's monotonic clock in between, and so does not see that the node's wall clock
// is set. [Clock.Now] is safe for concurrent use; [Clock.Heard] and
// [Clock.Follow] are for one goroutine.
type Clock struct {
	local   func() time.Time
	slept   func(local time.Time) time.Duration // since whenever
	reading atomic.Pointer[reading]
	jumped  bool // as [Clock.Follow] has reported
}

// reading is what the store's time was at an instant of the local clock.
type reading struct {
	store, local time.Time
	slept        time.Duration
}

// New returns a clock that goes on by local.
func New(local func() time.Time) *Clock { return &Clock{local: local, slept: slept} }

// Now is the store's time as far as it is known.
func (c *Clock) Now() time.Time {
	now := c.local()
	if r := c.reading.Load(); r != nil {
		return r.at(now)
	}
	return now
}

func (r *reading) at(local time.Time) time.Time { return r.store.Add(local.Sub(r.local)) }

// Local is the node's own time: what [Clock.Heard] wants.
func (c *Clock) Local() time.Time { return c.local() }

// Follow is Heard for an answer that has just come, in which a store that has no time
// of its own says zero: then it is that of the node's wall clock. A local clock that
// has no monotonic one beside it is somebody's who moves it by hand, and is believed.
// It returns a jump once, until there is none any more.
func (c *Clock) Follow(store, sent time.Time) (jump time.Duration) {
	got := c.local()
	if store.IsZero() {
		wall := got.Round(0)
		if wall == got {
			return 0
		}
		store, sent = wall, got
	}
	jump = c.Heard(store, sent, got)
	again := c.jumped
	if c.jumped = jump != 0; again {
		return 0
	}
	return jump
}

// Heard takes in what the store said the time was, between sent and got of the local
// clock. A jump that this node cannot explain, by having slept, is followed slowly:
// nothing may expire by it at once, and nothing live again. It is returned; 0: there
// was none.
func (c *Clock) Heard(store, sent, got time.Time) (jump time.Duration) {
	unsure := got.Sub(sent) / 2
	store = store.Add(unsure)
	slept := c.slept(got)
	r := c.reading.Load()
	if r == nil {
		c.reading.Store(&reading{store, got, slept})
		return 0
	}
	now, passed := r.at(got), got.Sub(r.local)
	off := store.Sub(now)
	if off.Abs() <= unsure {
		return 0 // not known any better
	}
	if off.Abs() > step+unsure && (off-(slept-r.slept)).Abs() > step+unsure {
		jump = off
		store = now.Add(min(max(off, -passed/pace), passed/pace))
	}
	c.reading.Store(&reading{store, got, slept})
	return jump
}
