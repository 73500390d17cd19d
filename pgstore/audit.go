package pgstore

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

const (
	// stored is when, by the clock that all nodes share.
	stored     = `(extract(epoch FROM statement_timestamp()) * 1000000)::int8`
	insertLine = `INSERT INTO session_audit (at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt)
	VALUES (` + stored + `,$1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`
	insertLines = `INSERT INTO session_audit (at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt)
	SELECT ` + stored + `, a.action, a.user_id, a.session, a.platform_id, a.reason, a.by, a.ip_address, a.user_agent, a.request_id, a.salt
	FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::bytea[], $7::bytea[], $8::bytea[], $9::text[], $10::bytea[])
	WITH ORDINALITY AS a (action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt, n) ORDER BY n`
)

// lineArguments of insertLine. What is kept of a text is what [audit.Clean] makes of
// it when it is read.
func lineArguments(e session.AuditEvent, request string) []any {
	salt := audit.NewSalt()
	return []any{
		e.Action, []byte(e.User), optionalID(e.Session), []byte(e.Platform), audit.Clean(string(e.Reason)), []byte(e.By),
		[]byte(e.Client.IPAddress), []byte(audit.Clean(e.Client.UserAgent)), audit.Clean(request), salt[:],
	}
}

// queueLines has the lines written in the transaction of the changes themselves:
// there is no change without its line, and no line without its change.
func queueLines(b *pgx.Batch, events []noted) {
	if len(events) == 0 {
		return
	}
	n := len(events)
	actions, users, sessions, platforms := make([]string, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	reasons, bys, addresses, agents := make([]string, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	requests, salts := make([]string, n), make([][]byte, n)
	for i, e := range events {
		a := lineArguments(e.AuditEvent, e.request)
		actions[i], users[i], sessions[i], platforms[i] = a[0].(string), a[1].([]byte), a[2].([]byte), a[3].([]byte)
		reasons[i], bys[i], addresses[i], agents[i] = a[4].(string), a[5].([]byte), a[6].([]byte), a[7].([]byte)
		requests[i], salts[i] = a[8].(string), a[9].([]byte)
	}
	b.Queue(insertLines, actions, users, sessions, platforms, reasons, bys, addresses, agents, requests, salts)
}

// Note adds a line for what changed nothing, such as a sign-in that was refused.
// It returns when that is stored. Without Config.Audit it does nothing.
func (s *Store) Note(ctx context.Context, e session.AuditEvent) error {
	return s.changeUser(ctx, &userChange{do: func(w *work) error {
		w.note(e)
		return nil
	}})
}

// NoteIn adds a line for what an application does in a transaction of its own, on
// [Store.DB]: it is there if and only if that is committed. Without Config.Audit it
// does nothing.
func (s *Store) NoteIn(ctx context.Context, tx *sql.Tx, e session.AuditEvent) error {
	if !s.writer.audited {
		return nil
	}
	if _, err := tx.ExecContext(ctx, insertLine, lineArguments(e, audit.RequestID(ctx))...); err != nil {
		return fmt.Errorf("pgstore: write audit line: %w", err)
	}
	return nil
}

// numberLines gives the lines that are committed by now their seqs, in the order of
// their places. One process at a time does it, so that there are no holes; a line
// that is committed late is a later one.
const (
	oneNumbers  = `SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.session_audit'))`
	numberLines = `UPDATE session_audit l SET seq = n.seq FROM (
		SELECT place, (SELECT coalesce(max(seq), 0) FROM session_audit WHERE seq IS NOT NULL) + row_number() OVER (ORDER BY place) AS seq
		FROM (SELECT place FROM session_audit WHERE seq IS NULL ORDER BY place LIMIT $1) a) n
	WHERE l.place = n.place`
	numberedAtOnce = 10_000
)

func (s *Store) number(ctx context.Context) error {
	for {
		n, err := read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (n int64, err error) {
			var waiting bool
			if err := p.QueryRow(ctx, `SELECT EXISTS (SELECT FROM session_audit WHERE seq IS NULL)`).Scan(&waiting); err != nil || !waiting {
				return 0, err
			}
			b := &pgx.Batch{}
			b.Queue("BEGIN")
			b.Queue(oneNumbers)
			b.Queue(numberLines, numberedAtOnce).Exec(func(done pgconn.CommandTag) error {
				n = done.RowsAffected()
				return nil
			})
			b.Queue("COMMIT")
			return n, p.SendBatch(ctx, b).Close()
		})
		if err != nil || n < numberedAtOnce {
			return err
		}
	}
}

const (
	auditColumns = `seq, at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt, personal`
	auditAfter   = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq > $1 ORDER BY seq LIMIT $2`
	auditNewest  = `SELECT coalesce(max(seq), 0) FROM session_audit WHERE seq IS NOT NULL`
)

// AuditAfter returns up to limit lines after that of seq, the oldest first.
func (s *Store) AuditAfter(ctx context.Context, seq uint64, limit int) ([]audit.Line, error) {
	if err := s.number(ctx); err != nil {
		return nil, err
	}
	return s.auditLines(ctx, auditAfter, int64(seq), limit)
}

func (s *Store) auditLines(ctx context.Context, query string, args ...any) ([]audit.Line, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) ([]audit.Line, error) {
		rows, err := p.Query(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, scanLine)
	})
}

// AuditEnd returns the seq of the newest line; 0: there is none.
func (s *Store) AuditEnd(ctx context.Context) (uint64, error) {
	if err := s.number(ctx); err != nil {
		return 0, err
	}
	return one[uint64](ctx, s, auditNewest)
}

func scanLine(row pgx.CollectableRow) (l audit.Line, err error) {
	var at int64
	var user, id, platform, by, address, agent, salt, personal []byte
	err = row.Scan(&l.Seq, &at, &l.Action, &user, &id, &platform, &l.Reason, &by, &address, &agent, &l.RequestID, &salt, &personal)
	l.Time = moment(&at)
	l.User, l.Platform = session.UserID(audit.Clean(string(user))), session.PlatformID(audit.Clean(string(platform)))
	l.By = audit.Clean(string(by))
	l.Client = session.Client{IPAddress: audit.Clean(string(address)), UserAgent: audit.Clean(string(agent))}
	copy(l.Session[:], id)
	copy(l.Salt[:], salt)
	copy(l.Personal[:], personal)
	return l, err
}

// Each clause is a scan: an index by person would cost a third of the write rate.
const (
	searchAudit = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq BETWEEN $1 AND $2
	AND ($3::bytea = '' OR user_id = $3 OR by = $3) AND ($4::bytea IS NULL OR session = $4) AND ($5::text = '' OR action = $5)
	AND ($6::text = '' OR reason = $6) AND ($7::text = '' OR request_id = $7) AND ($8::int8 IS NULL OR at >= $8) AND ($9::int8 IS NULL OR at < $9)
	ORDER BY seq`
	auditOldest = `SELECT coalesce(min(seq), 0) FROM session_audit WHERE seq IS NOT NULL`
	// searchedAtOnce bounds how long one read takes, and what it returns.
	searchedAtOnce = 10_000
)

// SearchAudit implements [audit.Store].
func (s *Store) SearchAudit(ctx context.Context, f audit.Filter) iter.Seq2[audit.Line, error] {
	return func(yield func(audit.Line, error) bool) {
		end, err := s.AuditEnd(ctx)
		var from uint64
		if err == nil {
			from, err = one[uint64](ctx, s, auditOldest)
		}
		if err != nil {
			yield(audit.Line{}, err)
			return
		}
		for ; from <= end && end > 0; from += searchedAtOnce {
			lines, err := s.auditLines(ctx, searchAudit, int64(from), int64(min(end, from+searchedAtOnce-1)), []byte(f.User), optionalID(f.Session), f.Action,
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
	lockLines  = `SELECT ` + auditColumns + ` FROM session_audit WHERE seq = ANY($1) ORDER BY seq FOR NO KEY UPDATE`
	eraseLines = `UPDATE session_audit l SET user_id = '', platform_id = '', ip_address = '', user_agent = '', by = a.by, salt = NULL, personal = a.personal
	FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) AS a (seq, by, personal) WHERE l.seq = a.seq`
	// erasedAtOnce bounds how long one transaction takes.
	erasedAtOnce = 256
)

// EraseAudit implements [audit.Store]. It is several changes, since it looks at
// every line: if it fails, ask for it again.
func (s *Store) EraseAudit(ctx context.Context, user session.UserID) (erased int, err error) {
	if user == "" {
		return 0, nil
	}
	var found []int64
	for l, err := range s.SearchAudit(ctx, audit.Filter{User: user}) {
		if err != nil {
			return 0, err
		}
		found = append(found, int64(l.Seq))
	}
	for some := range slices.Chunk(found, erasedAtOnce) {
		n, err := s.eraseSome(ctx, user, some)
		erased += n
		if err != nil {
			return erased, err
		}
	}
	return erased, nil
}

func (s *Store) eraseSome(ctx context.Context, user session.UserID, seqs []int64) (int, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (n int, err error) {
		err = pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, lockLines, seqs)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, scanLine)
			if err != nil {
				return err
			}
			var concerned []int64
			var bys, personal [][]byte
			for _, l := range lines {
				if l.Concerns(user) {
					l = l.Erase()
					concerned, bys, personal = append(concerned, int64(l.Seq)), append(bys, []byte(l.By)), append(personal, l.Personal[:])
				}
			}
			n = len(concerned)
			_, err = tx.Exec(ctx, eraseLines, concerned, bys, personal)
			return err
		})
		return n, err
	})
}
