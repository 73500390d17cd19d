package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

// Kinds of steps, as the statement knows them.
const (
	toSwitch = int16(iota + 1)
	toRefresh
	toRotate
	toConfirm
	toTouch
	toSuspect
)

// step is one change of one session, and what became of it.
type step struct {
	kind             int16
	id               session.ID
	version          int64 // what it must be: toRefresh, toRotate, toSuspect; the limit of an hour: toSwitch
	at               int64
	platform         []byte
	secret, previous []byte
	action           string            // of its audit line; empty: none is written
	request          string            // in that line
	suspicion        session.Suspicion // toSuspect, with what of its line is not the person's own
	rotation         session.Rotation  // toRotate

	changed bool
	record  session.Record // as it is now, changed or not; zero: there is none
}

// changeSession locks the rows, in their order, and judges and changes them as they
// are then: what an update of its own would find may be older than what made it
// refuse. The hour of switches begins anew when it is over.
const changeSession = `WITH asked AS MATERIALIZED (
	SELECT * FROM unnest($1::int2[], $2::bytea[], $3::int8[], $4::int8[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[], $9::text[], $10::bytea[],
		$11::text[], $12::bool[], $13::text[], $14::bytea[], $15::bytea[],
		$17::int8[], $18::int2[], $19::int8[], $20::int2[], $21::bytea[], $22::bytea[], $23::bytea[], $24::bytea[])
		AS a (kind, asked_id, asked_version, at, asked_platform, asked_secret, asked_previous, action, request, salt,
		asked_signals, step_up, why, seen_address, seen_agent,
		asked_proved, asked_level, asked_previous_proved, asked_previous_level, asked_agent, asked_address, asked_language, asked_fingerprint)
), held AS MATERIALIZED (
	SELECT s.* FROM sessions s WHERE s.id = ANY($2) ORDER BY s.id FOR NO KEY UPDATE
), judged AS (
	SELECT *, ended_at IS NULL AND CASE kind
		WHEN 1 THEN platform_id <> asked_platform
			AND (asked_version = 0 OR switches < asked_version OR switches_since <= at - 3600000000)
		WHEN 2 THEN version = asked_version
		WHEN 3 THEN version = asked_version
		WHEN 4 THEN secret = asked_secret AND first_used IS NULL
		WHEN 5 THEN last_activity < at
		WHEN 6 THEN version = asked_version END AS may,
		switches = 0 OR switches_since <= at - 3600000000 AS new_hour
	FROM held JOIN asked ON asked_id = id
), s AS MATERIALIZED (
	SELECT id, kind, may, at, action, request, salt, why, seen_address, seen_agent, user_id,
		CASE WHEN may AND kind = 1 THEN asked_platform ELSE platform_id END AS platform_id,
		CASE WHEN may AND kind <> 5 THEN version + 1 ELSE version END AS version,
		created_at,
		CASE WHEN may AND kind = 2 THEN at ELSE renewed_at END AS renewed_at,
		CASE WHEN may AND kind = 6 AND step_up THEN $16 WHEN may AND kind = 3 THEN asked_proved ELSE authenticated_at END AS authenticated_at,
		CASE WHEN may AND kind = 5 THEN at ELSE last_activity END AS last_activity,
		ended_at, end_reason, ended_by, ended_from,
		CASE WHEN may AND kind = 3 THEN asked_agent ELSE user_agent END AS user_agent,
		CASE WHEN may AND kind = 3 THEN asked_address ELSE ip_address END AS ip_address,
		CASE WHEN may AND kind = 3 THEN asked_language ELSE language END AS language,
		CASE WHEN may AND kind = 3 THEN asked_secret ELSE secret END AS secret,
		CASE WHEN may AND kind = 3 THEN asked_previous ELSE previous END AS previous,
		CASE WHEN may AND kind = 3 THEN NULL WHEN may AND kind = 4 THEN at ELSE first_used END AS first_used,
		CASE WHEN may AND kind = 3 THEN asked_fingerprint ELSE fingerprint END AS fingerprint,
		CASE WHEN may AND kind = 1 AND new_hour THEN at ELSE switches_since END AS switches_since,
		CASE WHEN may AND kind = 1 THEN CASE WHEN new_hour THEN 1 ELSE switches + 1 END ELSE switches END AS switches,
		CASE WHEN may AND kind IN (3, 6) THEN asked_signals ELSE signals END AS signals,
		CASE WHEN may AND kind = 3 THEN at ELSE rotated_at END AS rotated_at,
		idle_limit, until, persistent, guest, impersonator, impersonated_from,
		CASE WHEN may AND kind = 6 AND step_up THEN 0 WHEN may AND kind = 3 THEN asked_level ELSE level END AS level,
		CASE WHEN may AND kind = 6 AND step_up THEN NULL WHEN may AND kind = 3 THEN asked_previous_proved
			ELSE previous_authenticated_at END AS previous_authenticated_at,
		CASE WHEN may AND kind = 6 AND step_up THEN 0 WHEN may AND kind = 3 THEN asked_previous_level ELSE previous_level END AS previous_level,
		coalesce((SELECT u.rev FROM session_users u WHERE u.id = user_id), 0) AS rev
	FROM judged
), changed AS (
	UPDATE sessions SET platform_id = s.platform_id, version = s.version, renewed_at = s.renewed_at, last_activity = s.last_activity,
		secret = s.secret, previous = s.previous, first_used = s.first_used, switches_since = s.switches_since, switches = s.switches,
		signals = s.signals, rotated_at = s.rotated_at, authenticated_at = s.authenticated_at, level = s.level,
		previous_authenticated_at = s.previous_authenticated_at, previous_level = s.previous_level,
		user_agent = s.user_agent, ip_address = s.ip_address, language = s.language, fingerprint = s.fingerprint
	FROM s WHERE sessions.id = s.id AND s.may AND sessions.ended_at IS NULL
), told AS (
	INSERT INTO session_feed (user_id, rev, session, version, ended, directory)
	SELECT user_id, rev, id, version, false, false FROM s WHERE may AND kind <> 5
), written AS (
	INSERT INTO session_audit (at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt)
	SELECT ` + stored + `, action, user_id, id, platform_id, why, CASE WHEN kind = 6 THEN 'system' WHEN impersonator <> '' THEN impersonator ELSE user_id END,
		CASE kind WHEN 6 THEN seen_address ELSE ip_address END,
		substring(CASE kind WHEN 6 THEN seen_agent ELSE user_agent END FOR 512), request, salt
	FROM s WHERE may AND action <> ''
)
SELECT ` + columns + `, s.rev, (SELECT epoch FROM session_meta), s.may FROM s WHERE s.kind <> 5`

// changeSessions is one round trip and one transaction. Several changes of one
// session are a statement each.
func (w *writer) changeSessions(ctx context.Context, batch []*change) error {
	sent, changes := &pgx.Batch{}, 0
	for _, steps := range rounds(batch) {
		byID := make(map[session.ID]*step, len(steps))
		for _, s := range steps {
			s.changed, s.record = false, session.Record{}
			byID[s.id] = s
			changes++
		}
		sent.Queue(changeSession, w.arguments(steps)...).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var changed bool
				r, err := scan(rows, &changed)
				if err != nil {
					return err
				}
				byID[r.ID].record, byID[r.ID].changed = r, changed
			}
			return rows.Err()
		})
	}
	if err := w.conn.SendBatch(ctx, sent).Close(); err != nil {
		return err
	}
	w.trimmer.grew(changes)
	return nil
}

// rounds gives each round one step of a session at most, sorted by handle, and so
// by user.
func rounds(batch []*change) (rounds [][]*step) {
	seen := map[session.ID]int{}
	for _, c := range batch {
		for _, s := range c.steps {
			n := seen[s.id]
			seen[s.id]++
			if n == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[n] = append(rounds[n], s)
		}
	}
	for _, steps := range rounds {
		slices.SortFunc(steps, func(a, b *step) int { return slices.Compare(a.id[:], b.id[:]) })
	}
	return rounds
}

// arguments of changeSession.
func (w *writer) arguments(steps []*step) []any {
	n := len(steps)
	kinds, ids, versions, ats := make([]int16, n), make([][]byte, n), make([]int64, n), make([]int64, n)
	platforms, secrets, previous := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	actions, requests, salts := make([]string, n), make([]string, n), make([][]byte, n)
	signals, stepUps, whys := make([]string, n), make([]bool, n), make([]string, n)
	addresses, agents := make([][]byte, n), make([][]byte, n)
	proofs, levels, previousProofs, previousLevels := make([]int64, n), make([]int16, n), make([]*int64, n), make([]int16, n)
	newAgents, newAddresses, languages, fingerprints := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, s := range steps {
		kinds[i], ids[i], versions[i], ats[i] = s.kind, s.id[:], s.version, s.at
		platforms[i], secrets[i], previous[i] = s.platform, s.secret, s.previous
		signals[i], stepUps[i], whys[i] = s.suspicion.Signals+s.rotation.Signals, s.suspicion.StepUp, audit.Clean(string(s.suspicion.Why))
		addresses[i], agents[i] = []byte(audit.Clean(s.suspicion.Client.IPAddress)), []byte(audit.Clean(s.suspicion.Client.UserAgent))
		to := s.rotation
		proofs[i], levels[i] = micros(to.Proof.At), int16(to.Proof.Level)
		previousProofs[i], previousLevels[i] = optional(to.PreviousProof.At), int16(to.PreviousProof.Level)
		newAgents[i], newAddresses[i] = []byte(to.Client.UserAgent), []byte(to.Client.IPAddress)
		languages[i], fingerprints[i] = []byte(to.Client.Language), []byte(to.Fingerprint)
		if w.audited && s.action != "" {
			salt := audit.NewSalt()
			actions[i], requests[i], salts[i] = s.action, s.request, salt[:]
		}
	}
	return []any{
		kinds, ids, versions, ats, platforms, secrets, previous, actions, requests, salts,
		signals, stepUps, whys, addresses, agents, micros(time.Time{}),
		proofs, levels, previousProofs, previousLevels, newAgents, newAddresses, languages, fingerprints,
	}
}

// change makes one change of one session, and says what is there if there was
// nothing to change.
func (s *Store) change(ctx context.Context, made *step) (r session.Record, changed bool, err error) {
	made.request = audit.Clean(audit.RequestID(ctx))
	if err := s.write(ctx, &change{steps: []*step{made}}); err != nil {
		return session.Record{}, false, err
	}
	switch r = made.record; {
	case r.ID.IsZero():
		return session.Record{}, false, session.ErrNotFound
	case !r.EndedAt.IsZero():
		return session.Record{}, false, &session.EndedError{ID: r.ID, Reason: r.EndReason}
	}
	return r, made.changed, nil
}

// SwitchPlatform implements [session.Store].
func (s *Store) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	r, changed, err := s.change(ctx, &step{
		kind: toSwitch, id: id, version: int64(limit), platform: []byte(platform), at: micros(at), action: "platform_switched",
	})
	if err == nil && !changed && r.PlatformID != platform {
		return session.Record{}, false, &session.SwitchLimitError{RetryAfter: r.SwitchesSince.Add(time.Hour).Sub(at)}
	}
	return r, changed, err
}

// Suspect implements [session.Store].
func (s *Store) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	return s.guarded(ctx, &step{kind: toSuspect, id: id, version: int64(version), suspicion: noticed, action: "noticed"})
}

// Refresh implements [session.Store].
func (s *Store) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	return s.guarded(ctx, &step{kind: toRefresh, id: id, version: int64(version), at: micros(at), action: "refreshed"})
}

// Rotate implements [session.Store].
func (s *Store) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	return s.guarded(ctx, &step{
		kind: toRotate, id: id, version: int64(version), secret: to.Secret[:], previous: optionalHash(to.Previous), at: micros(to.At),
		rotation: to, action: to.Action,
	})
}

// guarded makes a change that holds for one version only.
func (s *Store) guarded(ctx context.Context, made *step) (session.Record, error) {
	r, changed, err := s.change(ctx, made)
	if err == nil && !changed {
		return session.Record{}, session.ErrConflict
	}
	return r, err
}

// ConfirmSecret implements [session.Store].
func (s *Store) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	r, _, err := s.change(ctx, &step{kind: toConfirm, id: id, secret: secret[:], at: micros(at)})
	return r, err
}

// Touch implements [session.Store]. A long list is several changes: each is only
// ever a step forward, so that to store some of them does no harm.
func (s *Store) Touch(ctx context.Context, activity []session.Activity) error {
	latest := map[session.ID]time.Time{}
	for _, a := range activity {
		if a.At.After(latest[a.ID]) {
			latest[a.ID] = a.At
		}
	}
	steps := make([]*step, 0, len(latest))
	for id, at := range latest {
		steps = append(steps, &step{kind: toTouch, id: id, at: micros(at)})
	}
	for some := range slices.Chunk(steps, batchLimit) {
		if err := s.write(ctx, &change{steps: some}); err != nil {
			return err
		}
	}
	return nil
}
