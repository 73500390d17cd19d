package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
)

// Each clock has an index of its own, and its own branch, so that it is used.
const (
	overdue = `SELECT id, user_id FROM (
		(SELECT id, user_id FROM sessions WHERE ended_at IS NULL AND created_at <= $1 ORDER BY created_at LIMIT $4)
		UNION (SELECT id, user_id FROM sessions WHERE ended_at IS NULL AND renewed_at <= $2 ORDER BY renewed_at LIMIT $4)
		UNION (SELECT id, user_id FROM sessions WHERE ended_at IS NULL AND last_activity <= $3 ORDER BY last_activity LIMIT $4)
		UNION (SELECT id, user_id FROM sessions WHERE ended_at IS NULL AND until <= $5 ORDER BY until LIMIT $4)
		UNION (SELECT id, user_id FROM sessions WHERE ended_at IS NULL AND idle_limit IS NOT NULL AND last_activity + idle_limit <= $6
			ORDER BY last_activity + idle_limit LIMIT $4)) s LIMIT $4`
	overdueOfUser = `SELECT id, user_id FROM sessions WHERE user_id = $7 AND ended_at IS NULL
		AND (created_at <= $1 OR renewed_at <= $2 OR last_activity <= $3 OR until <= $5 OR last_activity + idle_limit <= $6) LIMIT $4`
)

// overdue are the sessions that a sweep will lock, and look at once more.
func (w *writer) overdue(ctx context.Context, x session.Expiring) (map[session.ID]session.UserID, error) {
	query, args := overdue, []any{micros(x.Cutoffs.Absolute), micros(x.Cutoffs.Lifetime), micros(x.Cutoffs.Idle), x.Limit, micros(x.Cutoffs.Until), micros(x.Cutoffs.OwnIdle)}
	if x.User != "" {
		query, args = overdueOfUser, append(args, []byte(x.User))
	}
	rows, err := w.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	late := map[session.ID]session.UserID{}
	var id, user []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &user}, func() error {
		late[session.ID(id)] = session.UserID(user)
		return nil
	})
	return late, err
}

// Expire implements [session.Store]. What another node is changing just now, or
// ending, is left for the next time.
func (s *Store) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	result := new([]session.Record)
	err := s.changeUser(ctx, &userChange{sweep: &x, do: func(w *work) error {
		*result = nil
		raised := map[session.UserID]bool{}
		for id, r := range w.live {
			reason := x.Cutoffs.Reason(r.Session)
			if reason == "" || w.users[r.UserID] == nil {
				continue
			}
			if !raised[r.UserID] {
				w.raiseRev(r.UserID)
				raised[r.UserID] = true
			}
			*result = append(*result, w.end(session.Doomed{ID: id, Reason: reason, By: session.System}, x.At))
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return *result, nil
}

const (
	purge = `WITH gone AS (DELETE FROM sessions WHERE id = ANY(ARRAY(SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING user_id, guest)` + purgeGuests
	purgeOfUser = `WITH gone AS (DELETE FROM sessions WHERE id = ANY(ARRAY(SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND ended_at < $1 AND user_id = $3 LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING user_id, guest)` + purgeGuests
	purgeGuests = `, guests AS (DELETE FROM session_users WHERE id IN (SELECT user_id FROM gone WHERE guest)) SELECT count(*) FROM gone`
)

// Purge implements [session.Store]. It is no change that anybody waits for, and
// goes beside the writer.
func (s *Store) Purge(ctx context.Context, p session.Purging) (int, error) {
	query, args := purge, []any{micros(p.EndedBefore), p.Limit}
	if p.User != "" {
		query, args = purgeOfUser, append(args, []byte(p.User))
	}
	return one[int](ctx, s, query, args...)
}
