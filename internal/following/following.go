// Package following tells whoever follows a session what is new about it.
package following

import (
	"time"

	"github.com/vedfolnir/session/internal/clientview"
)

// View is what matters of a session, at one moment, to whoever follows it.
type View struct {
	Stamp    clientview.Stamp
	Platform string
	Person   *clientview.Person
	Deadline time.Time // the first of all
	Borrowed bool      // it ends with a session of somebody else's, of which there is no news here
}

// The kinds of news, by the names of the events on the wire.
const (
	State    = "state"
	Switched = "platform_switched"
	Sessions = "sessions_changed"
	Expiring = "expiring"
)

// Follower of one session. The zero value knows nothing yet.
type Follower struct {
	After  clientview.Stamp // what is known without having been told
	seen   View             // without a Person: nothing
	warned time.Time
}

// News returns what is new in v, or "" and how long nothing will be unless somebody
// changes something. Several changes may be one piece of news.
func (f *Follower) News(v View, now time.Time, warning time.Duration) (kind string, wait time.Duration) {
	last := f.seen
	f.seen = v
	switch {
	case last.Person == nil && v.Stamp == f.After:
	case last.Person == nil:
		return State, 0
	case v.Platform != last.Platform:
		return Switched, 0
	case v.Stamp.Epoch != last.Stamp.Epoch, v.Stamp.Version != last.Stamp.Version, !v.Person.Equal(last.Person):
		return State, 0
	case v.Stamp.Rev != last.Stamp.Rev:
		return Sessions, 0
	}
	left := v.Deadline.Sub(now)
	if toWarning := left - warning; toWarning > 0 {
		return "", v.patience(toWarning)
	}
	if !f.warned.Equal(v.Deadline) {
		f.warned = v.Deadline
		return Expiring, 0
	}
	return "", v.patience(max(left, time.Millisecond))
}

// patience is how long to wait at most for news.
func (v View) patience(wait time.Duration) time.Duration {
	if v.Borrowed {
		return min(wait, time.Second)
	}
	return wait
}
