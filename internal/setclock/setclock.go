// Package setclock gives tests a clock that somebody sets, while the monotonic one
// beside it goes on: what time.Time has no way to say.
package setclock

import (
	"sync"
	"time"
	"unsafe"
)

// Clock is time.Now with a wall clock that can be set.
type Clock struct {
	mu  sync.Mutex
	off time.Duration // of the wall clock
	ran time.Duration // of both
}

// Now is the time with a monotonic reading.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return set(time.Now().Add(c.ran), c.off)
}

// Run has time pass.
func (c *Clock) Run(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran += d
}

// Set moves the wall clock alone.
func (c *Clock) Set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// set moves t's wall clock by d, and then takes back by how much the monotonic reading,
// which is its second field, has moved with it.
func set(t time.Time, d time.Duration) time.Time {
	moved := t.Add(d)
	(*struct {
		_    uint64
		mono int64
	})(unsafe.Pointer(&moved)).mono -= int64(d)
	if moved.Sub(t) != 0 || moved.Round(0).Sub(t.Round(0)) != d {
		panic("setclock: time.Time is not made as it was")
	}
	return moved
}
