package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/internal/background"
	"github.com/vedfolnir/session/suspicion"
)

// tell notes what a person should see on their Safety page, and what the operator's
// webhook is sent; open pages show it at once. It is the one way to do so, but for
// what the directory tells in the transaction of its own change. Of n only Kind and
// Detail have to be given: the rest is now, once, and from where the request of ctx
// comes.
//
// Call it after what it tells has been stored and before that is answered. A crash in
// between loses the notice: of a sign-in whose token nobody has, of a change that
// nobody was told has happened. A notice that cannot be stored is no reason to refuse
// what it tells; that is in the log, and what happened in the audit.
func (a *App) tell(ctx context.Context, user session.UserID, n notice.Notice) {
	ctx = context.WithoutCancel(ctx)
	err := a.people.Tell(ctx, user, a.complete(ctx, n))
	if errors.Is(err, session.ErrUnknownUser) {
		return // removed meanwhile
	}
	if err == nil {
		a.courier.Wake()
		err = a.manager.DirectoryChanged(ctx, user)
	}
	if err != nil {
		a.log.ErrorContext(ctx, "a person was not told", "user_id", user, "kind", n.Kind, "error", err)
	}
}

// toldAlready is for what was told in the transaction of its change.
func (a *App) toldAlready(ctx context.Context, user session.UserID) error {
	a.courier.Wake()
	return a.manager.DirectoryChanged(ctx, user)
}

// complete fills in what was not said.
func (a *App) complete(ctx context.Context, n notice.Notice) notice.Notice {
	if n.Times == 0 {
		at := notice.At(a.manager.Now(), n.Kind)
		n.First, n.Last, n.Times = at.First, at.Last, at.Times
	}
	if try, ok := ctx.Value(attemptKey{}).(*attempt); ok && n.Device == "" && n.Address == "" {
		client := a.sessions.Client(try.request)
		n.Device, n.Address = client.Device(), client.IPAddress
	}
	return n
}

// signedIn tells of a browser that the person has not signed in with before. (An
// operator's who acts as them is told as what it is, and of nobody there is nothing
// to tell.)
func (a *App) signedIn(r *http.Request, c *session.Context) {
	if c.Session.Impersonator != "" || c.Session.Guest {
		return
	}
	if _, known := a.sessions.KnownDevice(r, c.Session.UserID); !known {
		a.tell(r.Context(), c.Session.UserID, notice.Notice{Kind: notice.NewDevice})
	}
}

// tellFailed tells of an attempt to prove to be somebody.
func (a *App) tellFailed(ctx context.Context) {
	if user := triedAs(ctx); user != "" {
		a.soon.add(user, a.complete(ctx, notice.Notice{Kind: notice.FailedAttempts}))
	}
}

// tellOf tells what of the manager's events a person should see.
func (a *App) tellOf(ctx context.Context, e session.AuditEvent) {
	n := notice.Notice{}
	switch {
	case e.Action == "ended" && e.Reason == session.RevokedByUser:
		n.Kind = notice.SessionsEnded
	case e.Action == "ended" && e.Reason == session.RevokedByAdmin && e.By != session.System:
		n.Kind, n.Detail = notice.SessionsEnded, notice.ByOperator
	case e.Action == "token_replayed":
		n.Kind, n.Device, n.Address = notice.SessionCopied, e.Client.Device(), e.Client.IPAddress
	case e.Action == "noticed" && !strings.HasSuffix(string(e.Reason), ": "+suspicion.None.String()):
		n.Kind, n.Device, n.Address = notice.SessionSuspected, e.Client.Device(), e.Client.IPAddress
	default:
		return
	}
	a.soon.add(e.User, a.complete(ctx, n))
}

// gatherFor is how long what may come in numbers is gathered before it is told: an
// auditor must not wait, and how long a refusal takes must not tell whether there is
// such a person. A crash loses as much.
const gatherFor = 500 * time.Millisecond

// soon gathers notices that are told a little later, those alike as one.
type soon struct {
	tell func(session.UserID, notice.Notice)

	mu      sync.Mutex
	waiting map[session.UserID][]notice.Notice
	timer   *time.Timer
	closed  bool
	telling sync.WaitGroup
}

func (s *soon) add(user session.UserID, n notice.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for i, old := range s.waiting[user] {
		if n.Joins(old) {
			s.waiting[user][i] = n.After(old)
			return
		}
	}
	if s.waiting == nil {
		s.waiting = map[session.UserID][]notice.Notice{}
		s.telling.Add(1)
		s.timer = time.AfterFunc(gatherFor, s.flush)
	}
	s.waiting[user] = append(s.waiting[user], n)
}

func (s *soon) flush() {
	defer s.telling.Done()
	s.mu.Lock()
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for user, notices := range waiting {
		for _, n := range notices {
			s.tell(user, n)
		}
	}
}

// close returns when all is told that was added. It may be called twice.
func (s *soon) close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil && s.timer.Stop() {
		go s.flush()
	}
	s.mu.Unlock()
	s.telling.Wait()
}

const (
	forgetEvery = time.Hour
	forgetBatch = 100
	// messagesKept is how long a message waits that nobody sends: longer than a
	// courier tries.
	messagesKept = 4 * 24 * time.Hour
)

// forget removes notices and messages that are too old, until ctx is done.
func (a *App) forget(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		a.forgetBefore(ctx, a.people.ForgetNotices, a.current.keepNotices())
		a.forgetBefore(ctx, a.people.ForgetMessages, messagesKept)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// forgetBefore goes on for as long as there is more.
func (a *App) forgetBefore(ctx context.Context, forget func(context.Context, time.Time, int) (int, error), kept time.Duration) {
	_, err := background.InBatches(forgetBatch, func() (int, error) { return forget(ctx, a.manager.Now().Add(-kept), forgetBatch) })
	if err != nil {
		a.log.WarnContext(ctx, "cannot forget what people were told long ago; it is tried again", "error", err)
	}
}
