package sqlitestore

import (
	"context"

	"github.com/vedfolnir/session"
)

// Each branch has its index.
const allOfUser = `SELECT * FROM (SELECT ` + columns + ` FROM sessions WHERE user_id = ?1 AND ended_at IS NULL
	UNION ALL SELECT ` + columns + ` FROM sessions WHERE user_id = ?1 AND ended_at IS NOT NULL) ORDER BY created_at`

// EverySession returns the user's sessions, those that have ended too as long as
// they are kept, in the order in which they began.
func (s *Store) EverySession(ctx context.Context, user session.UserID) ([]session.Record, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (records []session.Record, err error) {
		err = c.each(ctx, func(r row) { records = append(records, scan(r)) }, allOfUser, string(user))
		return records, err
	})
}

const eraseSessions = `UPDATE sessions SET user_agent = '', ip_address = '', language = '', fingerprint = '', platform_id = '', signals = '',
	ended_by = iif(ended_by = user_id, '', ended_by) WHERE user_id = ? AND ended_at IS NOT NULL
	AND (user_agent <> '' OR ip_address <> '' OR language <> '' OR fingerprint <> '' OR platform_id <> '' OR signals <> '' OR ended_by = user_id)`

// EraseUser empties all that is personal in the user's ended sessions and in the
// audit, and returns how many of each it found. End the sessions first. An ended
// session still tells whoever holds its token why, until it is too old; of the user
// there remain the id and two counters, which must not begin anew. What is erased is
// overwritten in the file as far as SQLite does that.
func (s *Store) EraseUser(ctx context.Context, user session.UserID) (sessions, lines int, err error) {
	sessions, err = write(ctx, s, func(t *tx) (n int, err error) {
		err = t.overwriting(func() (err error) {
			n, err = t.conn.exec(t.ctx, eraseSessions, string(user))
			return err
		})
		return n, err
	})
	if err != nil {
		return 0, 0, err
	}
	if lines, err = s.EraseAudit(ctx, user); err != nil || s.file.memory {
		return sessions, lines, err
	}
	// What was there before is in the write-ahead log too. It is only a try: with
	// readers at work it has to wait, and the log is written over in a while.
	_, err = s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return sessions, lines, answerOrNil(err)
}

func answerOrNil(err error) error {
	if err == nil || busy(err) {
		return nil
	}
	return answer(err)
}

// overwriting has SQLite write zeros over what do deletes or replaces.
func (t *tx) overwriting(do func() error) error {
	if _, err := t.one("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	err := do()
	if _, off := t.one("PRAGMA secure_delete = OFF"); err == nil {
		err = off
	}
	return err
}
