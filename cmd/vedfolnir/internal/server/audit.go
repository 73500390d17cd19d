package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/witness"
	"github.com/vedfolnir/session/sessionhttp"
)

// auditor logs every event. The store has written a line of each change by itself,
// in the change's own transaction; what changed nothing is noted here.
type auditor struct {
	session.Auditor
	store database.Store
	log   *slog.Logger
	notes *sync.WaitGroup // that are on their way to the store
}

// hearing hears every event, and hands it on if there is an audit.
type hearing struct {
	hear func(context.Context, session.AuditEvent)
	session.Auditor
	audited bool
}

func (h hearing) Audit(ctx context.Context, e session.AuditEvent) {
	h.hear(ctx, e)
	if h.audited {
		h.Auditor.Audit(ctx, e)
	}
}

func (a auditor) Audit(ctx context.Context, e session.AuditEvent) {
	a.Auditor.Audit(ctx, e)
	switch e.Action {
	case "sign_in_refused", "token_replayed":
		a.note(ctx, e)
	}
}

// note waits for nothing: an auditor must not, and the disk may take its time. The
// request may be over before it is stored.
func (a auditor) note(ctx context.Context, e session.AuditEvent) {
	a.notes.Go(func() {
		if err := a.store.Note(context.WithoutCancel(ctx), e); err != nil {
			a.log.Warn("cannot store an audit line", "action", e.Action, "error", err)
		}
	})
}

// refused counts a refusal, and notes what a security event is made of: a wrong name
// or password, and a person's request that lacked what its page gives it or asked
// for what is not theirs. A stranger's requests without any of that are in the log
// alone, so that nobody fills the database with them.
func (a *App) refused(r *http.Request, p sessionhttp.Problem) {
	a.monitor.Refused(r, p)
	if p.FailedAttempt() {
		a.tellFailed(r.Context())
	}
	if a.sealer == nil { // there is no audit
		return
	}
	e := session.AuditEvent{Time: a.manager.Now(), Reason: session.Reason(p.Reason), Client: a.sessions.Client(r)}
	c := session.FromContext(r.Context())
	switch {
	case p.FailedAttempt():
		e.Action, e.User = "sign_in_refused", triedAs(r.Context())
		e.By = string(e.User)
	case c.SignedIn() && (p.Status == http.StatusForbidden || p.Status == http.StatusTooManyRequests) && p.Code != "PLATFORM_REQUIRED":
		e.Action, e.User, e.Session, e.Platform = "request_refused", c.Session.UserID, c.Session.ID, c.Session.PlatformID
		e.By = c.Session.Actor()
	default:
		return
	}
	a.auditor.Auditor.Audit(r.Context(), e)
	a.auditor.note(r.Context(), e)
}

// newSealer returns the process's own; which of several seals they agree on.
func (a *App) newSealer(s config.Settings) *audit.Sealer {
	sealer := &audit.Sealer{
		Store: a.store, Keys: audit.NewKeys(a.manager.DeriveKeys("audit")), Keep: a.current.keepAudit, Logger: a.log, Now: a.manager.Now,
	}
	if f, ok := witness.Of(s); ok {
		sealer.Witness = f
	}
	return sealer
}
