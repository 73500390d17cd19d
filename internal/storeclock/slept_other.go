//go:build !linux

package storeclock

import "time"

var began = time.Now()

// slept is by how much more the wall clock has gone on than the monotonic one, which
// stands still while the machine sleeps. That it was set cannot be told from it.
func slept(local time.Time) time.Duration {
	return local.Round(0).Sub(began.Round(0)) - local.Sub(began)
}
