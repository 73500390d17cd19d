package background

import (
	"context"
	"sync"
)

// Life is that of something with goroutines: it drains first, and then ends.
type Life struct {
	Background context.Context // ends with Close
	Following  context.Context // ends with Drain already

	stop, drain context.CancelFunc
	goroutines  sync.WaitGroup
	end         func() error
}

// NewLife begins one. What last does comes when none of its goroutines is left.
func NewLife(last func() error) *Life {
	l := &Life{}
	l.Background, l.stop = context.WithCancel(context.Background())
	l.Following, l.drain = context.WithCancel(l.Background)
	l.end = sync.OnceValue(func() error {
		l.stop()
		l.goroutines.Wait()
		return last()
	})
	return l
}

// Go runs do, which ends when Background does, in a goroutine.
func (l *Life) Go(do func()) { l.goroutines.Go(do) }

// Drain may be called at any time, and more than once.
func (l *Life) Drain() { l.drain() }

// Close returns what last returned. It may be called more than once.
func (l *Life) Close() error { return l.end() }
