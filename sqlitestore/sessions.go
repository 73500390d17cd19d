package sqlitestore

import (
	"context"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// columns of a record, in the order of scan. The user's rev and the store's epoch
// are read with it.
const columns = `id, user_id, platform_id, version, created_at, renewed_at, authenticated_at, last_activity,
	ended_at, end_reason, ended_by, user_agent, ip_address, language, secret, previous, first_used,
	fingerprint, switches_since, switches, ended_from, signals, rotated_at,
	idle_limit, until, persistent, guest, impersonator, impersonated_from,
	level, previous_authenticated_at, previous_level,
	(SELECT u.rev FROM session_users u WHERE u.id = user_id), (SELECT epoch FROM session_meta)`

func scan(r row) session.Record {
	record := session.Record{
		Session: session.Session{
			ID: session.ID(r.blob(0)), UserID: session.UserID(r.text(1)), PlatformID: session.PlatformID(r.text(2)),
			Version: r.counter(3), CreatedAt: r.time(4), RenewedAt: r.time(5), LastActivity: r.time(7),
			EndedAt: r.time(8), EndReason: session.Reason(r.text(9)), EndedBy: r.text(10),
		},
		Client: session.Client{UserAgent: r.text(11), IPAddress: r.text(12), Language: r.text(13)},
		Secret: r.hash(14), Previous: r.hash(15), FirstUsed: r.time(16),
		Fingerprint: r.text(17), SwitchesSince: r.time(18), Switches: int(r.number(19)), Signals: r.text(21), RotatedAt: r.time(22),
		Proof:         assurance.Proof{At: r.time(6), Level: session.Level(r.number(29))},
		PreviousProof: assurance.Proof{At: r.time(30), Level: session.Level(r.number(31))},
		Rev:           r.counter(32), Epoch: r.counter(33),
	}
	record.Limits = session.Limits{Idle: r.microseconds(23), Until: r.time(24)}
	record.Persistent, record.Guest, record.Impersonator = r.number(25) != 0, r.number(26) != 0, session.UserID(r.text(27))
	copy(record.EndedFrom[:], r.blob(20))
	copy(record.ImpersonatedFrom[:], r.blob(28))
	return record
}

// micros is exact for every time that a store is given, the zero one included.
func micros(t time.Time) int64 { return t.UnixMicro() }

// optional is NULL for the zero time.
func optional(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micros(t)
}

func (r row) time(i int) time.Time {
	if us, ok := r[i].(int64); ok {
		return time.UnixMicro(us).UTC()
	}
	return time.Time{}
}

// microseconds are 0 for NULL.
func (r row) microseconds(i int) time.Duration {
	us, _ := r[i].(int64)
	return time.Duration(us) * time.Microsecond
}

// optionalMicroseconds are NULL for 0.
func optionalMicroseconds(d time.Duration) any {
	if d == 0 {
		return nil
	}
	return d.Microseconds()
}

func optionalHash(h session.SecretHash) any {
	if h == (session.SecretHash{}) {
		return nil
	}
	return h[:]
}

// optionalID is NULL for the zero handle.
func optionalID(id session.ID) any {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

func (r row) hash(i int) (h session.SecretHash) {
	copy(h[:], r.blob(i))
	return h
}

const getRecord = `SELECT ` + columns + ` FROM sessions WHERE id = ?`

// Get implements [session.Store].
func (s *Store) Get(ctx context.Context, id session.ID) (session.Record, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (session.Record, error) { return get(ctx, c, id) })
}

func get(ctx context.Context, c *conn, id session.ID) (session.Record, error) {
	r, err := c.one(ctx, getRecord, id[:])
	switch {
	case err != nil:
		return session.Record{}, err
	case r == nil:
		return session.Record{}, refuse(session.ErrNotFound)
	}
	return scan(r), nil
}

const listRecords = `SELECT ` + columns + ` FROM sessions WHERE user_id = ? AND ended_at IS NULL`

// List implements [session.Store].
func (s *Store) List(ctx context.Context, user session.UserID) ([]session.Record, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) ([]session.Record, error) { return list(ctx, c, user) })
}

func list(ctx context.Context, c *conn, user session.UserID) (records []session.Record, err error) {
	err = c.each(ctx, func(r row) { records = append(records, scan(r)) }, listRecords, string(user))
	return records, err
}

const countSessions = `SELECT count(*) FROM sessions
	WHERE ended_at IS NULL AND last_activity > ? AND renewed_at > ? AND created_at > ?
	AND (until IS NULL OR until > ?) AND (idle_limit IS NULL OR last_activity + idle_limit > ?)`

// Count implements [session.Store].
func (s *Store) Count(ctx context.Context, cutoffs session.Cutoffs) (int, error) {
	return read(ctx, s, func(_ context.Context, c *conn) (int, error) {
		// ctx itself, for with a million sessions this takes a while.
		r, err := c.one(ctx, countSessions, micros(cutoffs.Idle), micros(cutoffs.Lifetime), micros(cutoffs.Absolute), micros(cutoffs.Until), micros(cutoffs.OwnIdle))
		if err != nil {
			return 0, err
		}
		return int(r.number(0)), nil
	})
}

const (
	sessionExists = `SELECT 1 FROM sessions WHERE id = ?`
	insertSession = `INSERT INTO sessions (id, user_id, platform_id, version, created_at, renewed_at, authenticated_at,
		last_activity, ended_at, end_reason, ended_by, user_agent, ip_address, language, secret, previous, first_used,
		fingerprint, switches_since, switches, ended_from, signals, rotated_at,
		idle_limit, until, persistent, guest, impersonator, impersonated_from,
		level, previous_authenticated_at, previous_level)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING (SELECT epoch FROM session_meta)`
)

// Create implements [session.Store]. All that may refuse comes before the first
// write.
func (s *Store) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	r := c.Record
	return write(ctx, s, func(t *tx) (created session.Created, err error) {
		user, err := t.user(r.UserID)
		if err != nil {
			return created, err
		}
		if c.SignInEpoch != 0 && c.SignInEpoch != user.signInEpoch {
			return created, refuse(session.ErrConflict)
		}
		if taken, err := t.one(sessionExists, r.ID[:]); err != nil {
			return created, err
		} else if taken != nil {
			return created, refuse(session.ErrConflict)
		}
		live, err := list(t.ctx, t.conn, r.UserID)
		if err != nil {
			return created, err
		}
		doomed, err := c.Plan(live)
		if err != nil {
			return created, refuse(err)
		}
		if r.Rev, err = t.raiseRev(r.UserID); err != nil {
			return created, err
		}
		for _, d := range doomed {
			ended, err := t.end(d, r.CreatedAt)
			if err != nil {
				return created, err
			}
			created.Ended = append(created.Ended, ended)
		}
		inserted, err := t.one(insertSession, r.ID[:], string(r.UserID), string(r.PlatformID), int64(r.Version),
			micros(r.CreatedAt), micros(r.RenewedAt), micros(r.Proof.At), micros(r.LastActivity),
			optional(r.EndedAt), string(r.EndReason), r.EndedBy, r.Client.UserAgent, r.Client.IPAddress, r.Client.Language,
			r.Secret[:], optionalHash(r.Previous), optional(r.FirstUsed), r.Fingerprint, optional(r.SwitchesSince), int64(r.Switches), optionalID(r.EndedFrom), r.Signals, optional(r.RotatedAt),
			optionalMicroseconds(r.Limits.Idle), optional(r.Limits.Until), r.Persistent, r.Guest, string(r.Impersonator), optionalID(r.ImpersonatedFrom),
			int64(r.Proof.Level), optional(r.PreviousProof.At), int64(r.PreviousProof.Level))
		if err != nil {
			return created, err
		}
		r.Epoch = inserted.counter(0)
		created.Record = r
		t.changed(r)
		t.happened("created", r, r.Actor())
		return created, nil
	})
}

// The hour of switches begins anew when it is over.
const switchPlatform = `UPDATE sessions SET platform_id = ?2, version = version + 1,
	switches = iif(switches = 0 OR switches_since <= ?3 - 3600000000, 1, switches + 1),
	switches_since = iif(switches = 0 OR switches_since <= ?3 - 3600000000, ?3, switches_since)
	WHERE id = ?1 AND ended_at IS NULL AND platform_id <> ?2
	AND (?4 = 0 OR switches < ?4 OR switches_since <= ?3 - 3600000000) RETURNING ` + columns

// SwitchPlatform implements [session.Store].
func (s *Store) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	var changed bool
	r, err := write(ctx, s, func(t *tx) (r session.Record, err error) {
		r, changed, err = t.change(switchPlatform, id[:], string(platform), micros(at), int64(limit))
		if changed {
			t.happened("platform_switched", r, r.Actor())
		}
		if err != nil || changed {
			return r, err
		}
		if r, err = t.living(id); err == nil && r.PlatformID != platform {
			err = refuse(&session.SwitchLimitError{RetryAfter: r.SwitchesSince.Add(time.Hour).Sub(at)})
		}
		return r, err
	})
	if err != nil {
		return session.Record{}, false, err
	}
	return r, changed, nil
}

const refreshSession = `UPDATE sessions SET renewed_at = ?3, version = version + 1
	WHERE id = ?1 AND ended_at IS NULL AND version = ?2 RETURNING ` + columns

// Refresh implements [session.Store].
func (s *Store) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	return s.guarded(ctx, id, "refreshed", refreshSession, id[:], int64(version), micros(at))
}

const rotateSecret = `UPDATE sessions SET secret = ?3, previous = ?4, first_used = NULL, rotated_at = ?5,
	authenticated_at = ?6, level = ?7, previous_authenticated_at = ?8, previous_level = ?9,
	user_agent = ?10, ip_address = ?11, language = ?12, fingerprint = ?13, signals = ?14, version = version + 1
	WHERE id = ?1 AND ended_at IS NULL AND version = ?2 RETURNING ` + columns

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	return s.guarded(ctx, id, to.Action, rotateSecret, id[:], int64(version), to.Secret[:], optionalHash(to.Previous), micros(to.At),
		micros(to.Proof.At), int64(to.Proof.Level), optional(to.PreviousProof.At), int64(to.PreviousProof.Level),
		to.Client.UserAgent, to.Client.IPAddress, to.Client.Language, to.Fingerprint, to.Signals)
}

const suspectSession = `UPDATE sessions SET signals = ?3, authenticated_at = iif(?4, ?5, authenticated_at), level = iif(?4, 0, level),
	previous_authenticated_at = iif(?4, NULL, previous_authenticated_at), previous_level = iif(?4, 0, previous_level), version = version + 1
	WHERE id = ?1 AND ended_at IS NULL AND version = ?2 RETURNING ` + columns

// Suspect implements [session.Store].
func (s *Store) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	line := session.AuditEvent{Action: "noticed", Reason: noticed.Why, By: session.System, Client: noticed.Client}
	return s.guardedLine(ctx, id, line, suspectSession, id[:], int64(version), noticed.Signals, noticed.StepUp, micros(time.Time{}))
}

// guarded makes a change of the person's that holds for one version only.
func (s *Store) guarded(ctx context.Context, id session.ID, action, query string, args ...any) (session.Record, error) {
	return s.guardedLine(ctx, id, session.AuditEvent{Action: action}, query, args...)
}

// guardedLine fills in of the line what it does not say.
func (s *Store) guardedLine(ctx context.Context, id session.ID, line session.AuditEvent, query string, args ...any) (session.Record, error) {
	return write(ctx, s, func(t *tx) (session.Record, error) {
		r, changed, err := t.change(query, args...)
		if changed {
			line.User, line.Session, line.Platform = r.UserID, r.ID, r.PlatformID
			if line.By == "" {
				line.By, line.Client = r.Actor(), r.Client
			}
			t.note(line)
		}
		if err != nil || changed {
			return r, err
		}
		if _, err = t.living(id); err == nil {
			err = refuse(session.ErrConflict)
		}
		return session.Record{}, err
	})
}

const confirmSecret = `UPDATE sessions SET first_used = ?3, version = version + 1
	WHERE id = ?1 AND ended_at IS NULL AND secret = ?2 AND first_used IS NULL RETURNING ` + columns

// ConfirmSecret implements [session.Store].
func (s *Store) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	return write(ctx, s, func(t *tx) (session.Record, error) {
		r, changed, err := t.change(confirmSecret, id[:], secret[:], micros(at))
		if err != nil || changed {
			return r, err
		}
		return t.living(id)
	})
}

const touchSession = `UPDATE sessions SET last_activity = ?2 WHERE id = ?1 AND ended_at IS NULL AND last_activity < ?2`

// touchesAtOnce bounds how long a large Touch holds up other changes.
const touchesAtOnce = 256

// Touch implements [session.Store]. A long list is several changes: each is only
// ever a step forward, so that to store some of them does no harm.
func (s *Store) Touch(ctx context.Context, activity []session.Activity) error {
	for len(activity) > 0 {
		some := activity[:min(touchesAtOnce, len(activity))]
		activity = activity[len(some):]
		_, err := write(ctx, s, func(t *tx) (none struct{}, err error) {
			for _, a := range some {
				if err := t.exec(touchSession, a.ID[:], micros(a.At)); err != nil {
					return none, err
				}
			}
			return none, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// change makes a change of one session, if its condition holds.
func (t *tx) change(query string, args ...any) (session.Record, bool, error) {
	changed, err := t.one(query, args...)
	if err != nil || changed == nil {
		return session.Record{}, false, err
	}
	r := scan(changed)
	t.changed(r)
	return r, true, nil
}

// living returns the record, or refuses if there is none or it has ended.
func (t *tx) living(id session.ID) (session.Record, error) {
	r, err := get(t.ctx, t.conn, id)
	if err == nil && !r.EndedAt.IsZero() {
		return session.Record{}, refuse(&session.EndedError{ID: id, Reason: r.EndReason})
	}
	return r, err
}
