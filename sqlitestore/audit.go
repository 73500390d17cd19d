package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

// happened has the line written in the transaction of the change itself: there is
// no change without its line, and no line without its change.
func (t *tx) happened(action string, r session.Record, by string) {
	t.note(session.AuditEvent{
		Action: action, User: r.UserID, Session: r.ID, Platform: r.PlatformID, Reason: r.EndReason, By: by, Client: r.Client,
	})
}

func (t *tx) note(e session.AuditEvent) {
	if t.audited {
		t.lines = append(t.lines, audit.Line{AuditEvent: e, RequestID: t.request, Salt: audit.NewSalt()})
	}
}

const insertAudit = `INSERT INTO session_audit (at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt)
	VALUES (?,?,?,?,?,?,?,?,?,?,?)`

func (t *tx) writeLines() error {
	now := time.Now()
	for _, l := range t.lines {
		l.Time = now
		if err := t.exec(insertAudit, auditArgs(l)...); err != nil {
			return err
		}
	}
	return nil
}

func auditArgs(l audit.Line) []any {
	return []any{
		micros(l.Time), l.Action, audit.Clean(string(l.User)), optionalID(l.Session), audit.Clean(string(l.Platform)), audit.Clean(string(l.Reason)), audit.Clean(l.By),
		audit.Clean(l.Client.IPAddress), audit.Clean(l.Client.UserAgent), audit.Clean(l.RequestID), l.Salt[:],
	}
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

// NoteIn adds a line for what an application does in a transaction of its own, on
// [Store.DB]: it is there if and only if that is committed. Without Config.Audit it
// does nothing.
func (s *Store) NoteIn(ctx context.Context, tx *sql.Tx, e session.AuditEvent) error {
	if !s.writer.audited {
		return nil
	}
	l := audit.Line{AuditEvent: e, RequestID: audit.RequestID(ctx), Salt: audit.NewSalt()}
	l.Time = time.Now()
	if _, err := tx.ExecContext(ctx, insertAudit, auditArgs(l)...); err != nil {
		return fmt.Errorf("sqlitestore: write audit line: %w", err)
	}
	return nil
}

const (
	auditColumns = `seq, at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt, personal`
	auditAfter   = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq > ? ORDER BY seq LIMIT ?`
	auditNewest  = `SELECT max(seq) FROM session_audit`
)

// AuditAfter returns up to limit lines after that of seq, the oldest first.
func (s *Store) AuditAfter(ctx context.Context, seq uint64, limit int) ([]audit.Line, error) {
	return s.auditLines(ctx, auditAfter, int64(seq), int64(limit))
}

func (s *Store) auditLines(ctx context.Context, query string, args ...any) ([]audit.Line, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (lines []audit.Line, err error) {
		err = c.each(ctx, func(r row) { lines = append(lines, scanLine(r)) }, query, args...)
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

func scanLine(r row) audit.Line {
	l := audit.Line{Seq: r.counter(0), AuditEvent: session.AuditEvent{
		Time: r.time(1), Action: r.text(2), User: session.UserID(r.text(3)), Platform: session.PlatformID(r.text(5)),
		Reason: session.Reason(r.text(6)), By: r.text(7), Client: session.Client{IPAddress: r.text(8), UserAgent: r.text(9)},
	}, RequestID: r.text(10)}
	copy(l.Session[:], r.blob(4))
	copy(l.Salt[:], r.blob(11))
	copy(l.Personal[:], r.blob(12))
	return l
}

// Each clause is a scan: an index by person would cost a third of the write rate.
const (
	auditEnds   = `SELECT min(seq), max(seq) FROM session_audit`
	searchAudit = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq BETWEEN ?1 AND ?2
	AND (?3 = '' OR user_id = ?3 OR by = ?3) AND (?4 IS NULL OR session = ?4) AND (?5 = '' OR action = ?5)
	AND (?6 = '' OR reason = ?6) AND (?7 = '' OR request_id = ?7) AND (?8 IS NULL OR at >= ?8) AND (?9 IS NULL OR at < ?9)
	ORDER BY seq`
	// searchedAtOnce bounds how long one read takes, and what it returns.
	searchedAtOnce = 10_000
)

// SearchAudit implements [audit.Store].
func (s *Store) SearchAudit(ctx context.Context, f audit.Filter) iter.Seq2[audit.Line, error] {
	return func(yield func(audit.Line, error) bool) {
		ends, err := read(ctx, s, func(ctx context.Context, c *conn) (row, error) { return c.one(ctx, auditEnds) })
		if err != nil {
			yield(audit.Line{}, err)
			return
		}
		for from, end := ends.number(0), ends.number(1); from <= end && end > 0; from += searchedAtOnce {
			lines, err := s.auditLines(ctx, searchAudit, from, min(end, from+searchedAtOnce-1), string(f.User), optionalID(f.Session), f.Action,
				string(f.Reason), f.RequestID, optional(f.From), optional(f.Until))
			if err != nil {
				yield(audit.Line{}, err)
				return
			}
			for _, l := range lines {
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

const (
	oneAuditLine = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq = ?`
	eraseAudit   = `UPDATE session_audit SET user_id = '', platform_id = '', ip_address = '', user_agent = '', by = ?2, salt = NULL, personal = ?3
	WHERE seq = ?1`
	// erasedAtOnce bounds how long other changes wait.
	erasedAtOnce = 256
)

// EraseAudit implements [audit.Store]. It is several changes, since it looks at
// every line: if it fails, ask for it again.
func (s *Store) EraseAudit(ctx context.Context, user session.UserID) (erased int, err error) {
	if user == "" {
		return 0, nil
	}
	var found []uint64
	for l, err := range s.SearchAudit(ctx, audit.Filter{User: user}) {
		if err != nil {
			return 0, err
		}
		found = append(found, l.Seq)
	}
	for some := range slices.Chunk(found, erasedAtOnce) {
		n, err := write(ctx, s, func(t *tx) (n int, err error) {
			err = t.overwriting(func() (err error) {
				n, err = t.eraseLines(user, some)
				return err
			})
			return n, err
		})
		erased += n
		if err != nil {
			return erased, err
		}
	}
	return erased, nil
}

func (t *tx) eraseLines(user session.UserID, seqs []uint64) (n int, err error) {
	for _, seq := range seqs {
		r, err := t.one(oneAuditLine, int64(seq))
		if err != nil {
			return 0, err
		}
		if r == nil {
			continue // too old by now
		}
		l := scanLine(r)
		if !l.Concerns(user) {
			continue
		}
		l = l.Erase()
		if err := t.exec(eraseAudit, int64(seq), l.By, l.Personal[:]); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
