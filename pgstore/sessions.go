package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedfolnir/session"
)

// columns of a record, in the order of scan. The user's rev and the store's epoch
// are read with it.
const (
	columns = `s.id, s.user_id, s.platform_id, s.version, s.created_at, s.renewed_at, s.authenticated_at, s.last_activity,
	s.ended_at, s.end_reason, s.ended_by, s.ended_from, s.user_agent, s.ip_address, s.language, s.secret, s.previous, s.first_used,
	s.fingerprint, s.switches_since, s.switches, s.signals, s.rotated_at,
	s.idle_limit, s.until, s.persistent, s.guest, s.impersonator, s.impersonated_from,
	s.level, s.previous_authenticated_at, s.previous_level`
	readColumns = columns + `, (SELECT u.rev FROM session_users u WHERE u.id = s.user_id), (SELECT epoch FROM session_meta)`
)

// scan reads columns, the user's rev, the epoch, and then what more there is.
func scan(row pgx.Row, more ...any) (r session.Record, err error) {
	var (
		id, user, platform, endedBy, endedFrom, agent, address, language, secret, previous, fingerprint []byte
		created, renewed, authenticated, activity                                                       int64
		ended, firstUsed, switchesSince, rotated, proved, idle, until                                   *int64
		impersonator, impersonatedFrom                                                                  []byte
		version                                                                                         int64
		rev, epoch                                                                                      *int64
	)
	err = row.Scan(append([]any{
		&id, &user, &platform, &version, &created, &renewed, &authenticated, &activity, &ended, &r.EndReason, &endedBy, &endedFrom,
		&agent, &address, &language, &secret, &previous, &firstUsed, &fingerprint, &switchesSince, &r.Switches, &r.Signals, &rotated,
		&idle, &until, &r.Persistent, &r.Guest, &impersonator, &impersonatedFrom,
		&r.Proof.Level, &proved, &r.PreviousProof.Level, &rev, &epoch,
	}, more...)...)
	if err != nil {
		return session.Record{}, err
	}
	r.ID, r.UserID, r.PlatformID, r.EndedBy = session.ID(id), session.UserID(user), session.PlatformID(platform), string(endedBy)
	r.Version, r.Rev, r.Epoch = uint64(version), counter(rev), counter(epoch)
	r.CreatedAt, r.RenewedAt, r.LastActivity = moment(&created), moment(&renewed), moment(&activity)
	r.Proof.At, r.PreviousProof.At = moment(&authenticated), moment(proved)
	r.EndedAt, r.FirstUsed, r.SwitchesSince, r.RotatedAt = moment(ended), moment(firstUsed), moment(switchesSince), moment(rotated)
	r.Client = session.Client{UserAgent: string(agent), IPAddress: string(address), Language: string(language)}
	r.Fingerprint = string(fingerprint)
	r.Limits = session.Limits{Idle: time.Duration(counter(idle)) * time.Microsecond, Until: moment(until)}
	r.Impersonator = session.UserID(impersonator)
	copy(r.ImpersonatedFrom[:], impersonatedFrom)
	copy(r.EndedFrom[:], endedFrom)
	copy(r.Secret[:], secret)
	copy(r.Previous[:], previous)
	return r, nil
}

func scanAll(rows pgx.Rows) ([]session.Record, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Record, error) { return scan(row) })
}

// micros is exact for every time that a store is given, the zero one included.
func micros(t time.Time) int64 { return t.UnixMicro() }

// optional is NULL for the zero time.
func optional(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(micros(t))
}

func moment(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}

// counter is 0 for what is not there.
func counter(n *int64) uint64 {
	if n == nil {
		return 0
	}
	return uint64(*n)
}

// optionalMicroseconds are NULL for 0.
func optionalMicroseconds(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return new(d.Microseconds())
}

// optionalHash is NULL for the zero hash.
func optionalHash(h session.SecretHash) []byte {
	if h == (session.SecretHash{}) {
		return nil
	}
	return h[:]
}

// optionalID is NULL for the zero handle.
func optionalID(id session.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

const getRecord = `SELECT ` + readColumns + ` FROM sessions s WHERE s.id = $1`

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID) (session.Record, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (session.Record, error) {
		r, err := scan(p.QueryRow(ctx, getRecord, id[:]))
		if errors.Is(err, pgx.ErrNoRows) {
			err = refuse(session.ErrNotFound)
		}
		return r, err
	})
}

const listRecords = `SELECT ` + readColumns + ` FROM sessions s WHERE s.user_id = $1 AND s.ended_at IS NULL`

// List implements [session.Store].
func (s *Store) List(ctx context.Context, user session.UserID) ([]session.Record, error) {
	return s.records(ctx, listRecords, []byte(user))
}

func (s *Store) records(ctx context.Context, query string, args ...any) ([]session.Record, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) ([]session.Record, error) {
		rows, err := p.Query(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		return scanAll(rows)
	})
}

const countSessions = `SELECT count(*) FROM sessions
	WHERE ended_at IS NULL AND last_activity > $1 AND renewed_at > $2 AND created_at > $3
	AND (until IS NULL OR until > $4) AND (idle_limit IS NULL OR last_activity + idle_limit > $5)`

// Count implements [session.Store].
func (s *Store) Count(ctx context.Context, cutoffs session.Cutoffs) (int, error) {
	return one[int](ctx, s, countSessions, micros(cutoffs.Idle), micros(cutoffs.Lifetime), micros(cutoffs.Absolute), micros(cutoffs.Until), micros(cutoffs.OwnIdle))
}

const getSignInEpoch = `SELECT coalesce((SELECT sign_in_epoch FROM session_users WHERE id = $1), 1)`

// SignInEpoch implements [session.Store].
func (s *Store) SignInEpoch(ctx context.Context, user session.UserID) (uint64, error) {
	return one[uint64](ctx, s, getSignInEpoch, []byte(user))
}

// one reads one value.
func one[T any](ctx context.Context, s *Store, query string, args ...any) (T, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (value T, err error) {
		err = p.QueryRow(ctx, query, args...).Scan(&value)
		return value, err
	})
}
