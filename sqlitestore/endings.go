package sqlitestore

import (
	"context"
	"fmt"
	"time"

	"github.com/vedfolnir/session"
)

const endSession = `UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4, ended_from = ?5, version = version + 1
	WHERE id = ?1 AND ended_at IS NULL RETURNING ` + columns

// end is called for sessions that live, after the user's rev has been raised.
func (t *tx) end(d session.Doomed, at time.Time) (session.Record, error) {
	r, ended, err := t.change(endSession, d.ID[:], micros(at), string(d.Reason), d.By, optionalID(d.From))
	if err == nil && !ended {
		err = fmt.Errorf("session %s ended within a transaction that holds it", d.ID)
	}
	if err == nil {
		t.happened("ended", r, d.By)
	}
	return r, err
}

const liveOfUser = `SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND id <> ?2 AND (?3 OR id = ?4)`

// End implements [session.Store].
func (s *Store) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	return write(ctx, s, func(t *tx) ([]session.Record, error) {
		var doomed []session.Doomed
		err := t.each(func(r row) {
			doomed = append(doomed, session.Doomed{ID: session.ID(r.blob(0)), Reason: e.Reason, By: e.By, From: e.From})
		},
			liveOfUser, string(e.User), e.Except[:], e.ID.IsZero(), e.ID[:])
		if err != nil || len(doomed) == 0 && !e.RaiseEpoch {
			return nil, err
		}
		rev, err := t.raiseRev(e.User)
		if err != nil {
			return nil, err
		}
		if e.RaiseEpoch {
			if err := t.raiseSignInEpoch(e.User); err != nil {
				return nil, err
			}
			t.feed = append(t.feed, session.Change{User: e.User, Rev: rev})
		}
		ended := make([]session.Record, len(doomed))
		for i, d := range doomed {
			if ended[i], err = t.end(d, e.At); err != nil {
				return nil, err
			}
		}
		return ended, nil
	})
}

// Each clock has an index of its own, and its own branch, so that SQLite uses it.
const (
	overdue = `SELECT ` + columns + ` FROM sessions WHERE id IN (
		SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NULL AND created_at <= ?1 LIMIT ?4)
		UNION ALL SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NULL AND renewed_at <= ?2 LIMIT ?4)
		UNION ALL SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NULL AND last_activity <= ?3 LIMIT ?4)
		UNION ALL SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NULL AND until <= ?5 LIMIT ?4)
		UNION ALL SELECT id FROM (SELECT id FROM sessions WHERE ended_at IS NULL AND idle_limit IS NOT NULL AND last_activity + idle_limit <= ?6 LIMIT ?4))
		LIMIT ?4`
	overdueOfUser = `SELECT ` + columns + ` FROM sessions WHERE user_id = ?7 AND ended_at IS NULL
		AND (created_at <= ?1 OR renewed_at <= ?2 OR last_activity <= ?3 OR until <= ?5 OR last_activity + idle_limit <= ?6) LIMIT ?4`
)

// Expire implements [session.Store].
func (s *Store) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	query, args := overdue, []any{micros(x.Cutoffs.Absolute), micros(x.Cutoffs.Lifetime), micros(x.Cutoffs.Idle), int64(x.Limit), micros(x.Cutoffs.Until), micros(x.Cutoffs.OwnIdle)}
	if x.User != "" {
		query, args = overdueOfUser, append(args, string(x.User))
	}
	return write(ctx, s, func(t *tx) ([]session.Record, error) {
		var late []session.Record
		if err := t.each(func(r row) { late = append(late, scan(r)) }, query, args...); err != nil {
			return nil, err
		}
		raised := map[session.UserID]bool{}
		for i, r := range late {
			if !raised[r.UserID] {
				if _, err := t.raiseRev(r.UserID); err != nil {
					return nil, err
				}
				raised[r.UserID] = true
			}
			ended, err := t.end(session.Doomed{ID: r.ID, Reason: x.Cutoffs.Reason(r.Session), By: session.System}, x.At)
			if err != nil {
				return nil, err
			}
			late[i] = ended
		}
		return late, nil
	})
}

const (
	purge = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at LIMIT ?) RETURNING guest, user_id`
	purgeOfUser = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
		WHERE ended_at IS NOT NULL AND ended_at < ? AND user_id = ?3 LIMIT ?2) RETURNING guest, user_id`
	purgeGuest = `DELETE FROM session_users WHERE id = ?`
)

// Purge implements [session.Store].
func (s *Store) Purge(ctx context.Context, p session.Purging) (int, error) {
	query, args := purge, []any{micros(p.EndedBefore), int64(p.Limit)}
	if p.User != "" {
		query, args = purgeOfUser, append(args, string(p.User))
	}
	return write(ctx, s, func(t *tx) (n int, err error) {
		var guests []string
		err = t.each(func(r row) {
			if n++; r.number(0) != 0 {
				guests = append(guests, r.text(1))
			}
		}, query, args...)
		for _, guest := range guests {
			if err == nil {
				err = t.exec(purgeGuest, guest)
			}
		}
		return n, err
	})
}
