package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedfolnir/session"
)

// Each branch has its index.
const allOfUser = `SELECT ` + readColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.ended_at IS NULL
	UNION ALL SELECT ` + readColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.ended_at IS NOT NULL ORDER BY 5`

// EverySession returns the user's sessions, those that have ended too as long as
// they are kept, in the order in which they began.
func (s *Store) EverySession(ctx context.Context, user session.UserID) ([]session.Record, error) {
	return s.records(ctx, allOfUser, []byte(user))
}

const eraseSessions = `UPDATE sessions SET user_agent = '', ip_address = '', language = '', fingerprint = '', platform_id = '', signals = '',
	ended_by = CASE WHEN ended_by = user_id THEN '' ELSE ended_by END WHERE user_id = $1 AND ended_at IS NOT NULL
	AND (user_agent <> '' OR ip_address <> '' OR language <> '' OR fingerprint <> '' OR platform_id <> '' OR signals <> '' OR ended_by = user_id)`

// EraseUser empties all that is personal in the user's ended sessions and in the
// audit, and returns how many of each it found. End the sessions first. An ended
// session still tells whoever holds its token why, until it is too old; of the user
// there remain the id and two counters, which must not begin anew. What was there is on
// the disk until PostgreSQL's vacuum has written over it, and in the write-ahead logs and
// backups as long as those are kept.
func (s *Store) EraseUser(ctx context.Context, user session.UserID) (sessions, lines int, err error) {
	sessions, err = read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (int, error) {
		done, err := p.Exec(ctx, eraseSessions, []byte(user))
		return int(done.RowsAffected()), err
	})
	if err != nil {
		return 0, 0, err
	}
	lines, err = s.EraseAudit(ctx, user)
	return sessions, lines, err
}
