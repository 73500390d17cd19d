// Package membus wakes managers within one process: for several managers on one
// store in a program, and for tests.
package membus

import (
	"sync"

	"github.com/vedfolnir/session"
)

// Bus is a [session.Bus] within one process. The zero value is ready to use.
type Bus struct {
	mu      sync.RWMutex
	members map[*func()]struct{}
}

var _ session.Bus = (*Bus)(nil)

// Join implements [session.Bus]. leave may be called twice; when it returns, wake
// is not called any more.
func (b *Bus) Join(wake func()) (tell, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.members == nil {
		b.members = map[*func()]struct{}{}
	}
	me := &wake
	b.members[me] = struct{}{}
	return func() { b.tell(me) }, func() { b.leave(me) }
}

func (b *Bus) tell(me *func()) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for member := range b.members {
		if member != me {
			(*member)()
		}
	}
}

func (b *Bus) leave(me *func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.members, me)
}
