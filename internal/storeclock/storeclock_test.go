package storeclock_test

import (
	"testing"
	"time"

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
