package sqlitestore

import (
	"context"
	"time"

	"github.com/vedfolnir/session"
)

// AuditLine is one event in the order in which they were stored.
type AuditLine struct {
	Seq uint64 // rises without holes
	session.AuditEvent
}

// happened has the line written in the transaction of the change itself: there is
// no change without its line, and no line without its change.
func (t *tx) happened(action string, r session.Record, by string) {
	t.note(session.AuditEvent{
		Action: action, User: r.UserID, Session: r.ID, Platform: r.PlatformID, Reason: r.EndReason, By: by, Client: r.Client,
	})
}

func (t *tx) note(e session.AuditEvent) {
	if t.audited {
		t.lines = append(t.lines, e)
	}
}

const insertAudit = `INSERT INTO session_audit (at, action, user_id, session, platform_id, reason, by, ip_address, user_agent)
	VALUES (?,?,?,?,?,?,?,?,?)`

func (t *tx) writeLines() error {
	now := micros(time.Now())
	for _, e := range t.lines {
		var id any
		if !e.Session.IsZero() {
			id = e.Session[:]
		}
		err := t.exec(insertAudit, now, e.Action, string(e.User), id, string(e.Platform), string(e.Reason), e.By, e.Client.IPAddress, e.Client.UserAgent)
		if err != nil {
			return err
		}
	}
	return nil
}

// Note adds a line for what changed nothing, such as a sign-in that was refused.
// It returns when that is stored. Without Config.Audit it does nothing.
func (s *Store) Note(ctx context.Context, e session.AuditEvent) error {
	_, err := write(ctx, s, func(t *tx) (none struct{}, err error) {
		t.note(e)
		return none, nil
	})
	return err
}

const (
	auditColumns = `seq, at, action, user_id, session, platform_id, reason, by, ip_address, user_agent`
	auditAfter   = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq > ? ORDER BY seq LIMIT ?`
	auditNewest  = `SELECT max(seq) FROM session_audit`
)

// AuditAfter returns up to limit lines after that of seq, the oldest first.
func (s *Store) AuditAfter(ctx context.Context, seq uint64, limit int) ([]AuditLine, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (lines []AuditLine, err error) {
		err = c.each(ctx, func(r row) { lines = append(lines, scanLine(r)) }, auditAfter, int64(seq), int64(limit))
		return lines, err
	})
}

// AuditEnd returns the seq of the newest line; 0: there is none.
func (s *Store) AuditEnd(ctx context.Context) (uint64, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (uint64, error) {
		r, err := c.one(ctx, auditNewest)
		if err != nil || r[0] == nil {
			return 0, err
		}
		return r.counter(0), nil
	})
}

func scanLine(r row) AuditLine {
	l := AuditLine{r.counter(0), session.AuditEvent{
		Time: r.time(1), Action: r.text(2), User: session.UserID(r.text(3)), Platform: session.PlatformID(r.text(5)),
		Reason: session.Reason(r.text(6)), By: r.text(7), Client: session.Client{IPAddress: r.text(8), UserAgent: r.text(9)},
	}}
	if r[4] != nil {
		l.Session = session.ID(r.blob(4))
	}
	return l
}

const purgeAudit = `DELETE FROM session_audit WHERE seq IN (SELECT seq FROM session_audit
	WHERE at < ?1 AND seq < (SELECT max(seq) FROM session_audit) ORDER BY seq LIMIT ?2)`

// PurgeAudit removes up to limit lines that were stored before then, the oldest
// first, and returns how many.
func (s *Store) PurgeAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	return write(ctx, s, func(t *tx) (int, error) { return t.conn.exec(t.ctx, purgeAudit, micros(before), int64(limit)) })
}
