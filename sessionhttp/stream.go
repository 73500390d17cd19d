package sessionhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vedfolnir/session"
)

const (
	// streamsPerSession bounds what one cookie can hold open: one leading tab of
	// each window would do.
	streamsPerSession = 32
	// writeDeadline is how long a reader may take for one event.
	writeDeadline = 10 * time.Second
	// maxHeartbeat keeps proxies from closing a quiet stream.
	maxHeartbeat = 15 * time.Second
	// beat is an event and no comment, so that a script can tell a quiet stream
	// from one that a proxy holds back: it comes first, and in every silence.
	beat = "event: heartbeat\ndata: {}\n\n"
)

// streams counts the open ones.
type streams struct {
	mu   sync.Mutex
	open map[session.ID]int
}

func (s *streams) enter(id session.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] >= streamsPerSession {
		return false
	}
	if s.open == nil {
		s.open = map[session.ID]int{}
	}
	s.open[id]++
	return true
}

func (s *streams) leave(id session.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id]--; s.open[id] == 0 {
		delete(s.open, id)
	}
}

// getEvents serves the event stream (WHATWG HTML, 9.2). The id of an event is the
// stamp of what it tells; a reader that comes back with the current one is told
// nothing twice. A reader that falls behind is told the latest, and one that does
// not read at all is dropped: it heals by reconnecting.
func (h *Handler) getEvents(w http.ResponseWriter, c *call) error {
	if h.m.Config().Features.NoCrossTabSync {
		return errNotFound
	}
	id := c.session.Session.ID
	if !h.streams.enter(id) {
		return errTooManyStreams
	}
	defer h.streams.leave(id)
	subscription, err := h.m.Subscribe(c.r.Context(), id, lastSeen(c.r, id))
	if err != nil {
		return err
	}
	defer subscription.Close()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx passes events on at once
	s := &stream{w: w, control: http.NewResponseController(w), h: h}
	if c.r.Method == http.MethodHead {
		return nil
	}
	s.run(c.r.Context(), subscription, func() bool {
		if c.session.Session.Impersonator == "" {
			return true
		}
		now, err := h.authenticate(c.r)
		return err == nil && now.Session.ID == id
	})
	return nil
}

// lastSeen is the stamp that the reader has of this session. A browser sends the
// header when it reconnects by itself; a new EventSource can only put it into the
// address, with the handle in front if it knows it: what it has of another session
// is nothing.
func lastSeen(r *http.Request, id session.ID) session.Stamp {
	text := r.Header.Get("Last-Event-Id")
	if text == "" {
		text = strings.TrimPrefix(r.URL.Query().Get("last_event_id"), id.String()+".")
	}
	stamp, _ := session.ParseStamp(text) // anything else: the reader has nothing
	return stamp
}

// stream is one open event stream.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	h       *Handler
	buf     []byte
}

// run writes until the session, the reader or the manager ends: Next says so after
// the last event. There is nobody left to tell of an error: the reader has gone. In
// each silence it asks whether the reader still may.
func (s *stream) run(ctx context.Context, subscription *session.Subscription, may func() bool) {
	heartbeat := min(s.h.m.Config().Sync.HeartbeatInterval, maxHeartbeat)
	if s.write(beat) != nil {
		return
	}
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		e, err := subscription.Next(wait)
		cancel()
		switch {
		case err == nil:
			err = s.event(e)
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			if !may() {
				return
			}
			err = s.write(beat)
		case errors.Is(err, session.ErrClosed):
			// Spread out, so that a restart is not met by everybody at once.
			s.write(fmt.Sprintf("retry: %d\n\n", 200+rand.IntN(800)))
		}
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

func (s *stream) event(e session.Event) error {
	b := append(s.buf[:0], "event: "...)
	b = append(append(b, e.Kind...), '\n')
	stamp := e.Context.Stamp()
	switch e.Kind {
	case session.StateChanged, session.PlatformSwitched:
		b = append(stamp.Append(append(b, "id: "...)), "\ndata: "...)
		b = s.h.state.append(b, &e.Context, s.h.m.Now())
	case session.SessionsChanged:
		b = append(stamp.Append(append(b, "id: "...)), '\n')
		b = fmt.Appendf(b, `data: {"rev":%d,"stamp":"%s"}`, stamp.Rev, stamp)
	case session.SessionExpiring:
		left := max(0, e.Deadline.Sub(s.h.m.Now()))
		b = fmt.Appendf(b, `data: {"seconds_left":%d,"can_extend":%t,"expires_at":"%s"}`, int64(left/time.Second), e.CanExtend, timestamp(e.Deadline))
	case session.SessionEnded:
		p := ProblemOf(session.ErrNotFound)
		if e.Reason != "" {
			p = problemAt(&e.End, s.h.m.Now())
		}
		data := p.ending()
		data["session_id"], data["error"], data["error_code"], data["reason"] = e.ID, p.Message, p.Code, p.Reason
		encoded, err := json.Marshal(data)
		if err != nil {
			return err
		}
		b = append(append(b, "data: "...), encoded...)
	}
	s.buf = append(b, "\n\n"...)
	return s.write(string(s.buf))
}

// write sends at once, and gives a reader that does not read a deadline. The
// server's own WriteTimeout is lifted between writes.
func (s *stream) write(text string) error {
	if err := s.deadline(time.Now().Add(writeDeadline)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.deadline(time.Time{})
}

func (s *stream) deadline(t time.Time) error {
	if err := s.control.SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
