package session

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/vedfolnir/session/internal/clientview"
	"github.com/vedfolnir/session/internal/following"
	"github.com/vedfolnir/session/internal/wake"
)

// Bus wakes the managers of other nodes when the store's feed has grown. It is a
// hint: a lost message costs latency, never correctness.
type Bus interface {
	// Join registers wake, which must not block, and returns tell, which wakes
	// every other member, and leave. tell must not block either.
	Join(wake func()) (tell, leave func())
}

// EventKind says what a subscriber should know. The values are the names of the
// events on the wire.
type EventKind string

const (
	StateChanged     EventKind = "state"             // look at Context
	PlatformSwitched EventKind = "platform_switched" // Context has another platform than the last one
	SessionsChanged  EventKind = "sessions_changed"  // another session of the user began or ended
	SessionExpiring  EventKind = "expiring"          // the end is nearer than the warning threshold
	SessionEnded     EventKind = "ended"             // nothing follows
)

// Event is what became of a session. Several changes may be told as one.
type Event struct {
	Kind    EventKind
	ID      ID
	Context Context    // all but SessionEnded
	Reason  Reason     // SessionEnded only; empty: the session is gone without a trace
	End     EndedError // SessionEnded only: what is known of it

	Deadline  time.Time // all but SessionEnded: the first one of the session
	CanExtend bool      // activity or a Refresh would move the deadline
}

// Subscription follows one session. It is for one goroutine; only Close may be
// called from another.
type Subscription struct {
	m        *Manager
	id       ID
	user     UserID
	bell     wake.Bell
	follower following.Follower
	finished bool
}

// Subscribe begins to follow a live session. The first event is its state, unless
// its stamp is after: what the subscriber has already. The errors are those of
// Get. Close the subscription.
func (m *Manager) Subscribe(ctx context.Context, id ID, after Stamp) (*Subscription, error) {
	if m.life.Following.Err() != nil {
		return nil, ErrClosed
	}
	c, err := m.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &Subscription{m: m, id: id, user: c.Session.UserID, bell: wake.NewBell(), follower: following.Follower{After: clientview.Stamp(after)}}
	m.watchers.Add(s.user, s.bell)
	return s, nil
}

// Close ends the subscription; it may be called twice. It wakes no Next that waits: end
// that one's ctx.
func (s *Subscription) Close() { s.m.watchers.Remove(s.user, s.bell) }

// Next waits for the next event. Errors: io.EOF after SessionEnded, [ErrClosed]
// when the manager drains or closes, ctx's own. While the store is unavailable it waits.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for !s.finished {
		if s.m.life.Following.Err() != nil {
			return Event{}, ErrClosed
		}
		wait := time.Second // for a store that is unavailable
		c, err := s.m.Get(ctx, s.id)
		end := new(EndedError)
		switch {
		case errors.As(err, &end), errors.Is(err, ErrNotFound):
			s.finished = true
			return Event{ID: s.id, Kind: SessionEnded, Reason: end.Reason, End: *end}, nil
		case err == nil:
			view := following.View{Stamp: clientview.Stamp(c.stamp), Platform: string(c.Session.PlatformID), Person: c.profile.View, Deadline: c.deadlines.First(), Borrowed: c.Session.Impersonator != ""}
			var kind string
			if kind, wait = s.follower.News(view, s.m.Now(), s.m.config.Timeout.WarningThreshold); kind != "" {
				return Event{
					ID: s.id, Kind: EventKind(kind), Context: c,
					Deadline: view.Deadline, CanExtend: view.Deadline.Before(c.deadlines.Absolute),
				}, nil
			}
		}
		if err := s.bell.Wait(ctx, wait, s.m.life.Following.Done()); err != nil {
			return Event{}, err
		}
	}
	return Event{}, io.EOF
}
