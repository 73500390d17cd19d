package memory

import (
	"sync/atomic"
	"time"
)

// lease says until when this node may answer from what it remembers. It ends by
// the monotonic or by the wall clock, whichever has gone further: the one stands
// still while a machine sleeps, the other may be set back.
type lease struct{ until atomic.Pointer[time.Time] }

func (l *lease) holds(now time.Time) bool {
	until := l.until.Load()
	return until != nil && now.Before(*until) && now.Round(0).Before(until.Round(0))
}

func (l *lease) renew(until time.Time) { l.until.Store(&until) }
func (l *lease) end()                  { l.until.Store(nil) }
