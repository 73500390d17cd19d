package storeclock_test

import (
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/setclock"
	"github.com/vedfolnir/session/internal/storeclock"
)

var start = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

// node is a clock of a node that a test moves.
type node struct{ now time.Time }

func (n *node) clock() *storeclock.Clock { return storeclock.New(func() time.Time { return n.now }) }

func TestWithoutAStoresTimeItIsTheNodes(t *testing.T) {
	n := &node{start}
	c := n.clock()
	n.now = n.now.Add(time.Hour)
	if got := c.Now(); !got.Equal(n.now) {
		t.Errorf("%v, want %v", got, n.now)
	}
}

func TestNodesWhoseClocksDifferHaveOneTime(t *testing.T) {
	for _, skew := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute} {
		n := &node{start.Add(skew)}
		c := n.clock()
		if jump := c.Heard(start, n.now, n.now); jump != 0 {
			t.Errorf("the first time it hears: a jump of %v", jump)
		}
		n.now = n.now.Add(time.Minute)
		if got := c.Now(); !got.Equal(start.Add(time.Minute)) {
			t.Errorf("a node that is off by %v says %v", skew, got)
		}
	}
}

func TestASlowAnswerDoesNotMoveTheClock(t *testing.T) {
	n := &node{start}
	c := n.clock()
	c.Heard(start, n.now, n.now)
	sent := n.now
	n.now = n.now.Add(4 * time.Second)
	if jump := c.Heard(start.Add(3500*time.Millisecond), sent, n.now); jump != 0 || !c.Now().Equal(n.now) {
		t.Errorf("jump %v, now %v", jump, c.Now())
	}
}

func TestSmallStepsAreFollowedAndJumpsSlowly(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -900 * time.Millisecond, 900 * time.Millisecond, time.Hour} {
		n := &node{start}
		c := n.clock()
		c.Heard(start, n.now, n.now)
		n.now = n.now.Add(10 * time.Second)
		jump := c.Heard(n.now.Add(off), n.now, n.now)
		moved := c.Now().Sub(n.now)
		switch {
		case off.Abs() < time.Second && (jump != 0 || moved != off):
			t.Errorf("%v: jump %v, moved by %v", off, jump, moved)
		case off.Abs() > time.Second && (jump != off || moved.Abs() != time.Second || moved > 0 != (off > 0)):
			t.Errorf("%v: jump %v, moved by %v in ten seconds", off, jump, moved)
		}
	}
}

// A node whose store tells no time goes by its own, and not by what somebody makes of
// its wall clock: that is followed by a second in ten, and told once.
func TestAWallClockThatIsSetIsFollowedSlowly(t *testing.T) {
	for _, off := range []time.Duration{-24 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour} {
		local := new(setclock.Clock)
		c := storeclock.New(local.Now)
		c.Sleeps(func() time.Duration { return 0 })
		hear := func() time.Duration { return c.Follow(time.Time{}, local.Now()) }
		told := hear()
		began := c.Now()
		local.Set(off)
		if moved := c.Now().Sub(began); moved < 0 || moved > 5*time.Second {
			t.Errorf("%v: it moved by %v at once", off, moved)
		}
		told += hear()
		for range 10 {
			local.Run(time.Second)
			told += hear()
		}
		if moved := c.Now().Sub(began); moved < 9*time.Second || moved > 15*time.Second {
			t.Errorf("%v: it moved by %v in ten seconds", off, moved)
		}
		if (told - off).Abs() > time.Second {
			t.Errorf("%v: told of %v", off, told)
		}
		local.Run(11 * off.Abs())
		hear()
		hear()
		if behind := local.Now().Round(0).Sub(c.Now().Round(0)); behind.Abs() > time.Second {
			t.Errorf("%v: in the end it is %v behind", off, behind)
		}
	}
}

// Whoever has slept knows by how much the time has gone on, whoever tells it.
func TestASleepIsNoJump(t *testing.T) {
	for _, own := range []bool{true, false} {
		local, slept := new(setclock.Clock), time.Duration(0)
		c := storeclock.New(local.Now)
		c.Sleeps(func() time.Duration { return slept })
		hear := func() time.Duration {
			if own {
				return c.Follow(time.Time{}, local.Now())
			}
			return c.Follow(local.Now().Round(0), local.Now())
		}
		hear()
		local.Set(8 * time.Hour)
		slept = 8 * time.Hour
		if jump := hear(); jump != 0 {
			t.Errorf("own %v: a jump of %v", own, jump)
		}
		if behind := local.Now().Round(0).Sub(c.Now().Round(0)); behind.Abs() > time.Second {
			t.Errorf("own %v: it is %v behind", own, behind)
		}
	}
}

// The machine's clock and the database's are often the same one. That it was set is no
// sleep of the node.
func TestADatabaseOfThisMachineWhoseClockIsSet(t *testing.T) {
	local := new(setclock.Clock)
	c := storeclock.New(local.Now)
	c.Sleeps(func() time.Duration { return 0 })
	c.Follow(local.Now().Round(0), local.Now())
	began := c.Now()
	local.Set(24 * time.Hour)
	if jump := c.Follow(local.Now().Round(0), local.Now()); jump == 0 || c.Now().Sub(began) > 5*time.Second {
		t.Errorf("jump %v, moved by %v", jump, c.Now().Sub(began))
	}
}
