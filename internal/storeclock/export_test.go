package storeclock

import "time"

// Sleeps has the node have slept as long as that.
func (c *Clock) Sleeps(slept func() time.Duration) {
	c.slept = func(time.Time) time.Duration { return slept() }
}
