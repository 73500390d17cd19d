package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
)

// snapshot is PostgreSQL's account of which transactions a read could see: those
// before xmax that are not in xip.
type snapshot struct {
	xmax uint64
	xip  []uint64
}

// parseSnapshot reads the text of a pg_snapshot, "xmin:xmax:xip,xip".
func parseSnapshot(text string) (s snapshot, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return s, fmt.Errorf("%q is no snapshot", text)
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil || parts[2] == "" {
		return s, err
	}
	for x := range strings.SplitSeq(parts[2], ",") {
		xid, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return s, err
		}
		s.xip = append(s.xip, xid)
	}
	return s, nil
}

// covers reports whether all that is visible in the other one is visible in s.
func (s snapshot) covers(other snapshot) bool {
	return s.xmax >= other.xmax && !slices.ContainsFunc(s.xip, func(x uint64) bool {
		return x < other.xmax && !slices.Contains(other.xip, x)
	})
}

// cursorsKept is more than the changes that a feed keeps at least, for a cursor is
// only new where there was a change.
const cursorsKept = 20_000

// cursors are the places in the feed that were given out, by number.
type cursors struct {
	mu     sync.Mutex
	places map[uint64]place
	last   uint64
}

type place struct {
	snapshot
	epoch uint64
}

func newCursors() *cursors { return &cursors{places: map[uint64]place{}} }

func (c *cursors) find(n uint64) (place, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.places[n]
	return p, ok
}

func (c *cursors) add(p place) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.places[c.last] = p
	delete(c.places, c.last-cursorsKept)
	return c.last
}

// lookAtFeed writes nothing, and so waits for no disk. All of it, the snapshot too, is
// from one moment. The row of session_meta is asked for by its key: the server, which has no
// statistics of so small a table, would expect hundreds of it, take the question for a
// large one and spend more time on compiling it than on anything else.
const lookAtFeed = `SELECT m.epoch, m.history = ` + history + ` AND m.started IS NOT DISTINCT FROM ` + started + `, m.trimmed::text, pg_current_snapshot()::text, clock_timestamp(),
	f.user_id, f.rev, f.session, f.version, f.ended, f.directory
FROM session_meta m LEFT JOIN (
	SELECT * FROM session_feed WHERE xid >= $1::xid8 OR xid = ANY($2::xid8[])) f ON true
WHERE m.one = 1 ORDER BY f.seq`

// renewByFeed is that, and writes the node's row in the same transaction, so that a
// primary which has been cut off from its synchronous standby, and may have a
// successor by now, renews nobody's lease.
const renewByFeed = `WITH here AS (
	INSERT INTO session_nodes (node, seen) VALUES ($3, clock_timestamp()) ON CONFLICT (node) DO UPDATE SET seen = excluded.seen
)
` + lookAtFeed

// reading is what one read of the feed brought.
type reading struct {
	place
	same    bool // the history is the one that the epoch stands for
	trimmed snapshot
	now     time.Time
	changes []session.Change
}

// Changes implements [session.Store]. A cursor stands for the snapshot of the read
// that returned it.
func (s *Store) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	from, known := s.cursors.find(after)
	r, err := s.readFeed(ctx, from, known, renew)
	if err != nil {
		return session.Feed{}, answer(err)
	}
	feed := session.Feed{Changes: r.changes, Epoch: r.epoch, Next: after, Now: r.now}
	if feed.Gap = after != 0 && (!known || from.epoch != r.epoch || !from.covers(r.trimmed)); feed.Gap {
		feed.Changes = nil
	}
	if !known || feed.Gap || len(feed.Changes) > 0 {
		feed.Next = s.cursors.add(r.place)
	}
	return feed, nil
}

// readFeed returns what is not visible in from; nothing if that is not known. If
// history was lost, it may be another server that tells: no connection to the one
// before is used any more, which may be alive and know nothing of its successor.
func (s *Store) readFeed(ctx context.Context, from place, known, renew bool) (r reading, err error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.feed.ready(ctx); err != nil {
		return r, err
	}
	defer func() { s.feed.used = time.Now() }()
	if r, err = s.readOnce(ctx, from, known, renew); err == nil && !r.same {
		if _, err = s.feed.conn.Exec(ctx, raiseEpoch); err == nil {
			r, err = s.readOnce(ctx, from, known, renew)
		}
	}
	if err == nil {
		if known := s.epoch.Swap(r.epoch); known != 0 && known != r.epoch {
			s.pool.Reset()
			s.writer.stale.Store(true)
		}
	}
	return r, err
}

func (s *Store) readOnce(ctx context.Context, from place, known, renew bool) (r reading, err error) {
	var xmax *uint64
	if known {
		xmax = &from.xmax
	}
	query, args := lookAtFeed, []any{xmax, from.xip}
	if renew {
		query, args = renewByFeed, append(args, s.node)
	}
	rows, err := s.feed.conn.Query(ctx, query, args...)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := r.scan(rows); err != nil {
			return r, err
		}
	}
	if err := rows.Err(); err != nil {
		return r, err
	}
	if r.xmax == 0 {
		return r, errors.New("the table session_meta has lost its row: restore a backup")
	}
	return r, nil
}

func (r *reading) scan(row pgx.Row) (err error) {
	var (
		trimmed, taken     string
		user, id           []byte
		rev, version       *int64
		ended, ofDirectory *bool
	)
	if err := row.Scan(&r.epoch, &r.same, &trimmed, &taken, &r.now, &user, &rev, &id, &version, &ended, &ofDirectory); err != nil {
		return err
	}
	if r.xmax == 0 {
		if r.snapshot, err = parseSnapshot(taken); err != nil {
			return err
		}
		if r.trimmed, err = parseSnapshot(trimmed); err != nil {
			return err
		}
	}
	if rev == nil {
		return nil // nothing has changed
	}
	ch := session.Change{User: session.UserID(user), Rev: counter(rev), Version: counter(version), Ended: *ended, Directory: *ofDirectory}
	copy(ch.Session[:], id)
	r.changes = append(r.changes, ch)
	return nil
}

const (
	// feedLength is how many changes are kept at least.
	feedLength = 10_000
	// trimEvery is how many changes of this node pass between two looks at the feed.
	trimEvery = 2000
)

// trimmer remembers how the feed stood now and then. What was visible when it was
// shorter by twice its length may go: whoever has not read since missed more than
// feedLength changes.
type trimmer struct {
	since  int
	stands []stand
}

type stand struct {
	snapshot
	text string
	end  int64 // the newest place
}

func (t *trimmer) grew(changes int) { t.since += changes }

const (
	feedStands = `SELECT pg_current_snapshot()::text, coalesce(max(seq), 0) FROM session_feed`
	trimmedTo  = `SELECT trimmed::text FROM session_meta FOR UPDATE SKIP LOCKED`
	trimFeed   = `WITH meta AS (UPDATE session_meta SET trimmed = $1::text::pg_snapshot)
		DELETE FROM session_feed WHERE xid < $2::xid8 AND xid <> ALL($3::xid8[])`
)

// trimNowAndThen removes what is old. It is only a try, and the next one makes up for
// it; but a feed that no try trims grows for ever, and so whoever runs this is told.
func (w *writer) trimNowAndThen() {
	if w.trimmer.since < trimEvery || w.conn == nil || w.conn.IsClosed() {
		return
	}
	w.trimmer.since = 0
	if err := w.trim(); err != nil {
		w.log.Warn("pgstore: cannot trim the feed of changes, which grows until it can; see that the database answers, and that this user may delete from session_feed", "error", err)
	}
}

func (w *writer) trim() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	now := stand{}
	if err := w.conn.QueryRow(ctx, feedStands).Scan(&now.text, &now.end); err != nil {
		return err
	}
	var err error
	if now.snapshot, err = parseSnapshot(now.text); err != nil {
		return err
	}
	old, ok := w.trimmer.note(now)
	if !ok {
		return nil
	}
	return pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		var text string
		if err := tx.QueryRow(ctx, trimmedTo).Scan(&text); errors.Is(err, pgx.ErrNoRows) {
			return nil // another node is at it
		} else if err != nil {
			return err
		}
		before, err := parseSnapshot(text)
		if err != nil || !old.covers(before) {
			return err // nil: another node has gone further
		}
		if old.xip == nil {
			old.xip = []uint64{}
		}
		_, err = tx.Exec(ctx, trimFeed, old.text, old.xmax, old.xip)
		return err
	})
}

// note remembers how the feed stands, and returns the newest stand that is old
// enough to trim to.
func (t *trimmer) note(now stand) (old stand, ok bool) {
	t.stands = append(t.stands, now)
	for len(t.stands) > 0 && t.stands[0].end <= now.end-2*feedLength {
		old, ok = t.stands[0], true
		t.stands = t.stands[1:]
	}
	return old, ok
}
