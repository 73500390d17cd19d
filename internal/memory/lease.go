package memory

import (
	"sync/atomic"
	"time"
)

// lease says until when this node may answer from what it remembers, and until when
// it may go on doing so in an outage. Both end by the monotonic or by the wall clock,
// whichever has gone further: the one stands still while a machine sleeps, the other
// may be set back.
type lease struct{ term atomic.Pointer[term] }

// term has no grace unless there is an outage.
type term struct{ end, grace time.Time }

func (l *lease) holds(now time.Time) bool {
	t := l.term.Load()
	return t != nil && before(now, t.end)
}

// lingers is holds in an outage, when the lease is over.
func (l *lease) lingers(now time.Time) bool {
	t := l.term.Load()
	return t != nil && !t.grace.IsZero() && !before(now, t.end) && before(now, t.grace)
}

func before(now, end time.Time) bool {
	return now.Before(end) && now.Round(0).Before(end.Round(0))
}

// mayLinger spares a look at the clock.
func (l *lease) mayLinger() bool {
	t := l.term.Load()
	return t != nil && !t.grace.IsZero()
}

func (l *lease) renew(end time.Time) { l.term.Store(&term{end: end}) }
func (l *lease) end()                { l.term.Store(nil) }

// extend is for the one who renews.
func (l *lease) extend(grace time.Duration) {
	if t := l.term.Load(); t != nil {
		l.term.Store(&term{t.end, t.end.Add(grace)})
	}
}
