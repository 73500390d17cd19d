package session

import (
	"context"
	"log/slog"
	"time"
)

// AuditEvent is one thing that happened to a session. It never holds a secret.
type AuditEvent struct {
	Time     time.Time
	Action   string // "created", "platform_switched", "refreshed", "rotated", "ended", "sign_in_refused"
	User     UserID
	Session  ID // zero: none was made
	Platform PlatformID
	Reason   Reason // why it ended, or why a sign-in was refused
	By       string // who did it
	Client   Client // as it is known at that point
}

// Auditor is told of every change after it has been stored. Implementations are
// safe for concurrent use, must not block, and keep their own failures to
// themselves. The request, if there is one, is in ctx.
type Auditor interface {
	Audit(ctx context.Context, e AuditEvent)
}

// LogAudit writes each event as one line at level Info with the message
// "session audit".
func LogAudit(l *slog.Logger) Auditor { return logAudit{l} }

type logAudit struct{ log *slog.Logger }

func (a logAudit) Audit(ctx context.Context, e AuditEvent) {
	a.log.LogAttrs(ctx, slog.LevelInfo, "session audit", e.attrs()...)
}

// attrs leaves out what is empty.
func (e AuditEvent) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.Time("at", e.Time), slog.String("action", e.Action), slog.String("user_id", string(e.User))}
	if !e.Session.IsZero() {
		attrs = append(attrs, slog.String("session_id", e.Session.String()))
	}
	for _, a := range [...][2]string{
		{"platform_connection_id", string(e.Platform)},
		{"reason", string(e.Reason)},
		{"by", e.By},
		{"ip_address", e.Client.IPAddress},
		{"user_agent", e.Client.UserAgent},
	} {
		if a[1] != "" {
			attrs = append(attrs, slog.String(a[0], a[1]))
		}
	}
	return attrs
}

type noAudit struct{}

func (noAudit) Audit(context.Context, AuditEvent) {}
