package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/logline"
)

// AuditEvent is one thing that happened to a session. It never holds a secret.
type AuditEvent struct {
	Time     time.Time
	Action   string // "created", "platform_switched", "refreshed", "rotated", "reauthenticated", "token_replayed", "noticed", "ended", "sign_in_refused"
	User     UserID
	Session  ID // zero: none was made
	Platform PlatformID
	Reason   Reason // why it ended, why a sign-in was refused, or what was noticed and made of it
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
	a.log.LogAttrs(ctx, slog.LevelInfo, "session audit", append([]slog.Attr{slog.Time("at", e.Time)}, logline.Attrs(
		"action", e.Action, "user_id", string(e.User), "session_id", handle.TextOrNone(e.Session), "platform_connection_id", string(e.Platform),
		"reason", string(e.Reason), "by", e.By, "ip_address", e.Client.IPAddress, "user_agent", e.Client.UserAgent)...)...)
}
