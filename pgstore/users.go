package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

// userChange begins or ends sessions, or raises what a user's row counts. do is
// called, perhaps twice, while everything it names is locked. It refuses before it
// changes anything.
type userChange struct {
	user    session.UserID
	make    bool       // the user's row, if there is none
	all     bool       // of the user's live sessions are needed
	session session.ID // or only this one; zero: none
	free    session.ID // a handle that should not exist; zero: none
	sweep   *session.Expiring
	do      func(*work) error
	request string
}

// work is what a batch has locked, and what becomes of it.
type work struct {
	users map[session.UserID]*user
	live  map[session.ID]session.Record
	taken map[session.ID]bool // of the handles that should not exist
	epoch uint64

	begun   map[session.ID]session.Record // by this batch, as they are after it
	ended   []session.Record              // that were there before
	feed    []session.Change
	events  []noted
	request string // of the change under way
}

type user struct {
	signInEpoch, rev uint64
	changed          bool
}

type noted struct {
	session.AuditEvent
	request string
}

// user returns the row, or what it would be.
func (w *work) user(id session.UserID) *user {
	if u := w.users[id]; u != nil {
		return u
	}
	return &user{signInEpoch: 1}
}

func (w *work) raiseRev(id session.UserID) uint64 {
	u := w.user(id)
	u.rev++
	u.changed = true
	return u.rev
}

// of returns the user's live sessions, as they would be read now.
func (w *work) of(id session.UserID) (records []session.Record) {
	for _, r := range w.live {
		if r.UserID == id {
			records = append(records, w.complete(r))
		}
	}
	return records
}

func (w *work) complete(r session.Record) session.Record {
	r.Rev, r.Epoch = w.user(r.UserID).rev, w.epoch
	return r
}

// begin is called after the user's rev has been raised, as end is.
func (w *work) begin(r session.Record) session.Record {
	r = w.complete(r)
	w.live[r.ID], w.begun[r.ID], w.taken[r.ID] = r, r, true
	w.changed(r)
	w.happened("created", r, r.Actor())
	return r
}

func (w *work) end(d session.Doomed, at time.Time) session.Record {
	r := w.complete(w.live[d.ID])
	delete(w.live, d.ID)
	r.EndedAt, r.EndReason, r.EndedBy, r.EndedFrom = at, d.Reason, d.By, d.From
	r.Version++
	if _, ours := w.begun[r.ID]; ours {
		w.begun[r.ID] = r
	} else {
		w.ended = append(w.ended, r)
	}
	w.changed(r)
	w.happened("ended", r, d.By)
	return r
}

func (w *work) changed(r session.Record) {
	w.feed = append(w.feed, session.Change{User: r.UserID, Rev: r.Rev, Session: r.ID, Version: r.Version, Ended: !r.EndedAt.IsZero()})
}

func (w *work) happened(action string, r session.Record, by string) {
	w.note(session.AuditEvent{
		Action: action, User: r.UserID, Session: r.ID, Platform: r.PlatformID, Reason: r.EndReason, By: by, Client: r.Client,
	})
}

func (w *work) note(e session.AuditEvent) { w.events = append(w.events, noted{e, w.request}) }

// changeUsers is two round trips: what is needed is locked and read, and what has
// become of it is written and committed.
func (w *writer) changeUsers(ctx context.Context, batch []*change) error {
	work, err := w.lock(ctx, batch)
	if err != nil {
		return err
	}
	for _, c := range batch {
		if err := c.attempt(work); err != nil {
			return failure{err}
		}
	}
	return w.store(ctx, work)
}

// attempt keeps an answer with the change and returns any other error. A panic is
// the change's own failure, not the end of all others.
func (c *change) attempt(w *work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	w.request = c.user.request
	c.err = c.user.do(w)
	if _, ok := c.err.(refusal); ok {
		return nil
	}
	return c.err
}

// The rows of the users come first, in their order, then those of the sessions, in
// theirs: so nodes wait for each other, and never in a circle. A sweep waits for
// nobody. What names the sessions is a condition on the row alone, for only that is
// held against a row that was changed while it was waited for: by way of a subquery
// such a row is left out, under some plans.
const (
	makeUsers    = `INSERT INTO session_users (id) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING`
	lockUsers    = `SELECT id, sign_in_epoch, rev FROM session_users WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`
	lockSessions = `SELECT ` + columns + `, 0::bigint, 0::bigint FROM sessions s
		WHERE s.ended_at IS NULL AND (s.user_id = ANY($1) OR s.id = ANY($2)) ORDER BY s.id FOR NO KEY UPDATE`
	skipLocked   = ` SKIP LOCKED`
	takenHandles = `SELECT id FROM sessions WHERE id = ANY($1)`
	getEpoch     = `SELECT epoch FROM session_meta`
)

func (w *writer) lock(ctx context.Context, batch []*change) (*work, error) {
	work := &work{
		users: map[session.UserID]*user{}, live: map[session.ID]session.Record{}, taken: map[session.ID]bool{},
		begun: map[session.ID]session.Record{},
	}
	named, toMake, all := map[session.UserID]bool{}, map[session.UserID]bool{}, map[session.UserID]bool{}
	var sessions, free [][]byte
	how := ""
	for _, c := range batch {
		u := c.user
		if u.sweep != nil {
			late, err := w.overdue(ctx, *u.sweep)
			if err != nil {
				return nil, err
			}
			for id, user := range late {
				named[user] = true
				sessions = append(sessions, id[:])
			}
			if u.sweep.User == "" {
				how = skipLocked
			}
			continue
		}
		named[u.user] = true
		toMake[u.user] = toMake[u.user] || u.make
		all[u.user] = all[u.user] || u.all
		if !u.session.IsZero() {
			sessions = append(sessions, u.session[:])
		}
		if !u.free.IsZero() {
			free = append(free, u.free[:])
		}
	}
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	if rows := chosen(toMake); len(rows) > 0 {
		b.Queue(makeUsers, rows)
	}
	b.Queue(lockUsers+how, chosen(named)).Query(func(rows pgx.Rows) error {
		var id []byte
		var epoch, rev uint64
		_, err := pgx.ForEachRow(rows, []any{&id, &epoch, &rev}, func() error {
			work.users[session.UserID(id)] = &user{signInEpoch: epoch, rev: rev}
			return nil
		})
		return err
	})
	b.Queue(lockSessions+how, chosen(all), sessions).Query(func(rows pgx.Rows) error {
		records, err := scanAll(rows)
		for _, r := range records {
			work.live[r.ID] = r
		}
		return err
	})
	if len(free) > 0 {
		b.Queue(takenHandles, free).Query(func(rows pgx.Rows) error {
			var id []byte
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				work.taken[session.ID(id)] = true
				return nil
			})
			return err
		})
	}
	b.Queue(getEpoch).QueryRow(func(row pgx.Row) error { return row.Scan(&work.epoch) })
	return work, w.conn.SendBatch(ctx, b).Close()
}

// chosen are those that are set, in the order of the database.
func chosen(users map[session.UserID]bool) [][]byte {
	rows := [][]byte{}
	for _, id := range slices.Sorted(maps.Keys(users)) {
		if users[id] {
			rows = append(rows, []byte(id))
		}
	}
	return rows
}

const (
	storeUsers = `UPDATE session_users u SET sign_in_epoch = a.epoch, rev = a.rev
		FROM unnest($1::bytea[], $2::int8[], $3::int8[]) AS a (id, epoch, rev) WHERE u.id = a.id`
	endSessions = `UPDATE sessions s SET ended_at = a.at, end_reason = a.reason, ended_by = a.by, ended_from = a.origin, version = s.version + 1
		FROM unnest($1::bytea[], $2::int8[], $3::text[], $4::bytea[], $5::bytea[]) AS a (id, at, reason, by, origin) WHERE s.id = a.id AND s.ended_at IS NULL`
	insertSession = `INSERT INTO sessions (id, user_id, platform_id, version, created_at, renewed_at, authenticated_at,
		last_activity, ended_at, end_reason, ended_by, ended_from, user_agent, ip_address, language, secret, previous, first_used,
		fingerprint, switches_since, switches, signals, rotated_at,
		idle_limit, until, persistent, guest, impersonator, impersonated_from,
		level, previous_authenticated_at, previous_level)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25,$26,$27,$28,$29,$30,$31,$32)`
	insertChanges = `INSERT INTO session_feed (user_id, rev, session, version, ended, directory)
		SELECT u, r, s, v, e, d FROM unnest($1::bytea[], $2::int8[], $3::bytea[], $4::int8[], $5::bool[], $6::bool[])
		WITH ORDINALITY AS a (u, r, s, v, e, d, n) ORDER BY n`
)

// store writes and commits what has become of the batch.
func (w *writer) store(ctx context.Context, work *work) error {
	b := &pgx.Batch{}
	work.queueUsers(b)
	work.queueEnds(b)
	for _, id := range slices.SortedFunc(maps.Keys(work.begun), func(a, b session.ID) int { return slices.Compare(a[:], b[:]) }) {
		b.Queue(insertSession, sessionArguments(work.begun[id])...)
	}
	work.queueFeed(b)
	if w.audited {
		queueLines(b, work.events)
	}
	b.Queue("COMMIT")
	if err := w.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	w.trimmer.grew(len(work.feed))
	return nil
}

func (w *work) queueUsers(b *pgx.Batch) {
	var ids [][]byte
	var epochs, revs []int64
	for id, u := range w.users {
		if u.changed {
			ids, epochs, revs = append(ids, []byte(id)), append(epochs, int64(u.signInEpoch)), append(revs, int64(u.rev))
		}
	}
	if len(ids) > 0 {
		b.Queue(storeUsers, ids, epochs, revs)
	}
}

func (w *work) queueEnds(b *pgx.Batch) {
	if len(w.ended) == 0 {
		return
	}
	n := len(w.ended)
	ids, ats, reasons := make([][]byte, n), make([]int64, n), make([]string, n)
	bys, origins := make([][]byte, n), make([][]byte, n)
	for i, r := range w.ended {
		ids[i], ats[i], reasons[i] = r.ID[:], micros(r.EndedAt), string(r.EndReason)
		bys[i], origins[i] = []byte(r.EndedBy), optionalID(r.EndedFrom)
	}
	b.Queue(endSessions, ids, ats, reasons, bys, origins)
}

func (w *work) queueFeed(b *pgx.Batch) {
	if len(w.feed) == 0 {
		return
	}
	n := len(w.feed)
	users, revs, sessions, versions := make([][]byte, n), make([]int64, n), make([][]byte, n), make([]int64, n)
	ended, directory := make([]bool, n), make([]bool, n)
	for i, ch := range w.feed {
		users[i], revs[i], versions[i], ended[i], directory[i] = []byte(ch.User), int64(ch.Rev), int64(ch.Version), ch.Ended, ch.Directory
		sessions[i] = optionalID(ch.Session)
	}
	b.Queue(insertChanges, users, revs, sessions, versions, ended, directory)
}

func sessionArguments(r session.Record) []any {
	return []any{
		r.ID[:], []byte(r.UserID), []byte(r.PlatformID), int64(r.Version),
		micros(r.CreatedAt), micros(r.RenewedAt), micros(r.Proof.At), micros(r.LastActivity),
		optional(r.EndedAt), string(r.EndReason), []byte(r.EndedBy), optionalID(r.EndedFrom),
		[]byte(r.Client.UserAgent), []byte(r.Client.IPAddress), []byte(r.Client.Language),
		r.Secret[:], optionalHash(r.Previous), optional(r.FirstUsed), []byte(r.Fingerprint), optional(r.SwitchesSince), r.Switches, r.Signals, optional(r.RotatedAt),
		optionalMicroseconds(r.Limits.Idle), optional(r.Limits.Until), r.Persistent, r.Guest, []byte(r.Impersonator), optionalID(r.ImpersonatedFrom),
		int16(r.Proof.Level), optional(r.PreviousProof.At), int16(r.PreviousProof.Level),
	}
}

// changeUser has one change of a user done.
func (s *Store) changeUser(ctx context.Context, u *userChange) error {
	u.request = audit.RequestID(ctx)
	return s.write(ctx, &change{user: u})
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, c session.Creation) (created session.Created, err error) {
	r := c.Record
	result := new(session.Created) // of its own: whoever gives up does not look at it
	err = s.changeUser(ctx, &userChange{user: r.UserID, make: true, all: true, free: r.ID, do: func(w *work) error {
		if c.SignInEpoch != 0 && c.SignInEpoch != w.user(r.UserID).signInEpoch || w.taken[r.ID] {
			return refuse(session.ErrConflict)
		}
		doomed, err := c.Plan(w.of(r.UserID))
		if err != nil {
			return refuse(err)
		}
		*result = session.Created{}
		w.raiseRev(r.UserID)
		for _, d := range doomed {
			result.Ended = append(result.Ended, w.end(d, r.CreatedAt))
		}
		result.Record = w.begin(r)
		return nil
	}})
	if err != nil {
		return created, err
	}
	return *result, nil
}

// End implements [session.Store].
func (s *Store) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	result := new([]session.Record)
	u := &userChange{user: e.User, make: e.RaiseEpoch, all: e.ID.IsZero(), session: e.ID}
	u.do = func(w *work) error {
		*result = nil
		doomed := slices.DeleteFunc(w.of(e.User), func(r session.Record) bool {
			return r.ID == e.Except || !e.ID.IsZero() && r.ID != e.ID
		})
		if len(doomed) == 0 && !e.RaiseEpoch {
			return nil
		}
		rev := w.raiseRev(e.User)
		if e.RaiseEpoch {
			w.user(e.User).signInEpoch++
			w.feed = append(w.feed, session.Change{User: e.User, Rev: rev})
		}
		for _, r := range doomed {
			*result = append(*result, w.end(session.Doomed{ID: r.ID, Reason: e.Reason, By: e.By, From: e.From}, e.At))
		}
		return nil
	}
	if err := s.changeUser(ctx, u); err != nil {
		return nil, err
	}
	return *result, nil
}

// RaiseRev implements [session.Store].
func (s *Store) RaiseRev(ctx context.Context, id session.UserID) (uint64, error) {
	rev := new(uint64)
	err := s.changeUser(ctx, &userChange{user: id, make: true, do: func(w *work) error {
		*rev = w.raiseRev(id)
		w.feed = append(w.feed, session.Change{User: id, Rev: *rev, Directory: true})
		return nil
	}})
	if err != nil {
		return 0, err
	}
	return *rev, nil
}
