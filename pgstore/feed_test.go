package pgstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
)

func changes(t testing.TB, s *Store, after uint64) session.Feed {
	t.Helper()
	feed, err := s.Changes(t.Context(), after, true)
	if err != nil {
		t.Fatal(err)
	}
	return feed
}

// begin opens a transaction that has an id of its own, and stays open.
func begin(t testing.TB, address string, statement string, args ...any) pgx.Tx {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) })
	tx, err := c.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), statement, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

const byHand = `INSERT INTO session_feed (user_id, rev, version, ended, directory) VALUES ($1, 1, 0, false, true)`

// Changes whose transactions began before a cursor, and were committed after it and
// after younger ones, come with the read that follows their commit, and once.
func TestTheFeedMissesNoLateCommit(t *testing.T) {
	address := testservers.PostgreSQL(t)
	s := openHere(t, address, Config{})
	cursor := changes(t, s, 0).Next
	first := begin(t, address, byHand, []byte("first"))
	second := begin(t, address, byHand, []byte("second"))
	if _, err := s.RaiseRev(t.Context(), "young"); err != nil {
		t.Fatal(err)
	}
	told := func(want ...session.UserID) {
		t.Helper()
		feed := changes(t, s, cursor)
		var users []session.UserID
		for _, ch := range feed.Changes {
			users = append(users, ch.User)
		}
		if feed.Gap || !slices.Equal(users, want) {
			t.Errorf("told of %q, gap %v, want %q", users, feed.Gap, want)
		}
		cursor = feed.Next
	}
	told("young")
	told()
	if err := second.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	told("second")
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	told("first")
	told()
}

// A transaction that stays open for hours, here or in another database of the
// cluster, neither holds up news nor has old news told again, and the feed is
// trimmed beside it.
func TestAnOpenTransactionHoldsUpNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("thirty thousand changes")
	}
	address := testservers.PostgreSQL(t)
	s := openHere(t, address, Config{})
	begin(t, address, `SELECT pg_current_xact_id()`)
	begin(t, address, byHand, []byte("never"))
	begin(t, testservers.PostgreSQL(t), `SELECT pg_current_xact_id()`)
	old := changes(t, s, 0).Next
	cursor := changes(t, s, old).Next
	// One session would do, if the server had not to keep its every version for as
	// long as those transactions are open, and to go through them all for the next.
	versions := map[session.ID]uint64{}
	for len(versions) < 64 {
		r := signIn(t, s, "alex")
		versions[r.ID] = r.Version
	}
	cursor = changes(t, s, cursor).Next
	n := 0
	for range 3 * (2*feedLength + 2*trimEvery) / 2 / batchLimit {
		var batch []*change
		for range batchLimit / len(versions) {
			for id := range versions {
				n++
				batch = append(batch, &change{done: make(chan struct{}), steps: []*step{{kind: toSwitch, id: id, platform: fmt.Append(nil, "to ", n)}}})
			}
		}
		s.writer.inTurn(func() { s.writer.commit(batch) })
		if err := batch[0].err; err != nil {
			t.Fatal(err)
		}
		feed := changes(t, s, cursor)
		for _, ch := range feed.Changes {
			if known := versions[ch.Session]; ch.Version != known && ch.Version != known+1 || feed.Gap {
				t.Fatalf("told of %+v after version %d, gap %v", ch, known, feed.Gap)
			}
			versions[ch.Session] = ch.Version
		}
		cursor = feed.Next
	}
	for id, version := range versions {
		if want := 1 + uint64(n/len(versions)); version != want {
			t.Errorf("told of %s as far as version %d, want %d", id, version, want)
		}
	}
	if !changes(t, s, old).Gap {
		t.Error("a cursor from before what was trimmed has no gap")
	}
	kept, err := one[int](t.Context(), s, `SELECT count(*) FROM session_feed`)
	if err != nil || kept < feedLength || kept > 2*feedLength+3*trimEvery {
		t.Errorf("%d changes are kept of %d, %v", kept, n, err)
	}
}

// Who is woken hears of a change without writing, and so without waiting for a disk or a
// standby; a lease is renewed only by what is written.
func TestToHearOfAChangeNothingIsWritten(t *testing.T) {
	address := testservers.PostgreSQL(t)
	s, other := openHere(t, address, Config{}), openHere(t, address, Config{})
	cursor := changes(t, s, 0).Next
	nodes := begin(t, address, `LOCK TABLE session_nodes IN EXCLUSIVE MODE`)
	rev, err := other.RaiseRev(t.Context(), "alex")
	if err != nil {
		t.Fatal(err)
	}
	feed, err := s.Changes(t.Context(), cursor, false)
	if want := (session.Change{User: "alex", Rev: rev, Directory: true}); err != nil || !slices.Equal(feed.Changes, []session.Change{want}) {
		t.Errorf("told of %+v, %v, want %+v", feed.Changes, err, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Changes(ctx, feed.Next, true); err == nil {
		t.Error("a lease is renewed by a server that writes nothing")
	}
	if err := nodes.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := changes(t, s, feed.Next); again.Gap || len(again.Changes) != 0 || again.Epoch != feed.Epoch {
		t.Errorf("then %+v", again)
	}
}

// The feed is read by its index, and the question is never compiled, however long the
// feed is and whatever the server believes of its tables.
func TestALongFeedIsReadByItsIndex(t *testing.T) {
	address := testservers.PostgreSQL(t)
	s := openHere(t, address, Config{})
	if err := begin(t, address, `INSERT INTO session_feed (user_id, rev, version, ended, directory)
		SELECT 'alex', n, 0, false, true FROM generate_series(1, $1) n`, 2*feedLength).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	end, _ := s.cursors.find(changes(t, s, 0).Next)
	for _, statistics := range []string{"", "ANALYZE session_feed, session_meta"} {
		if _, err := s.pool.Exec(t.Context(), statistics); err != nil {
			t.Fatal(err)
		}
		var plan string
		s.turn.Lock()
		err := s.feed.conn.QueryRow(t.Context(), `EXPLAIN (ANALYZE, FORMAT JSON) `+renewByFeed, end.xmax, end.xip, s.node).Scan(&plan)
		s.turn.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, `"session_feed_xid"`) || strings.Contains(plan, `"JIT"`) || strings.Contains(plan, `"Seq Scan"`) {
			t.Errorf("after %q:\n%s", statistics, plan)
		}
	}
}

// A feed that is not trimmed grows silently: whoever runs the node has to be told.
func TestAFeedThatCannotBeTrimmedIsTold(t *testing.T) {
	address := testservers.PostgreSQL(t)
	var said bytes.Buffer
	s := openHere(t, address, Config{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	r := signIn(t, s, "alex")
	if err := begin(t, address, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;
		CREATE TRIGGER refuse BEFORE DELETE ON session_feed FOR EACH ROW EXECUTE FUNCTION refuse()`).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := one[string](t.Context(), s, `SELECT pg_current_snapshot()::text`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseSnapshot(text)
	if err != nil {
		t.Fatal(err)
	}
	s.writer.inTurn(func() {
		s.writer.trimmer = trimmer{since: trimEvery, stands: []stand{{all, text, -2 * feedLength}}}
	})
	if _, err := s.Refresh(t.Context(), r.ID, r.Version, r.CreatedAt); err != nil {
		t.Fatal("the change itself:", err)
	}
	s.writer.inTurn(func() {
		if !strings.Contains(said.String(), "cannot trim the feed") {
			t.Errorf("said %q", said.String())
		}
	})
}

func TestSnapshotsAreCompared(t *testing.T) {
	for _, tt := range []struct {
		newer, older string
		covers       bool
	}{
		{"5:5:", "5:5:", true},
		{"5:6:", "5:5:", true},
		{"5:5:", "5:6:", false},
		{"3:6:3", "3:5:3", true},
		{"3:6:3", "4:5:", false},
		{"3:7:3,6", "3:5:3", true}, // 6 had not begun
		{"4:7:4,6", "3:5:3", false},
		{"18446744073709551614:18446744073709551615:18446744073709551614", "1:1:", true},
	} {
		newer, err := parseSnapshot(tt.newer)
		if err != nil {
			t.Fatal(err)
		}
		older, err := parseSnapshot(tt.older)
		if err != nil {
			t.Fatal(err)
		}
		if got := newer.covers(older); got != tt.covers {
			t.Errorf("%s covers %s: %v, want %v", tt.newer, tt.older, got, tt.covers)
		}
	}
	for _, wrong := range []string{"", "1:2", "a:b:", "1:2:3,", "1::"} {
		if _, err := parseSnapshot(wrong); err == nil {
			t.Errorf("%q passes for a snapshot", wrong)
		}
	}
}

// Rows that come from elsewhere, as in a restored backup, raise the epoch, in a
// store that is open too, and nobody trusts a cursor from before.
func TestLostHistoryRaisesTheEpoch(t *testing.T) {
	address := testservers.PostgreSQL(t)
	s := openHere(t, address, Config{})
	if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
		t.Fatal(err)
	}
	before := changes(t, s, 0)
	if again := openHere(t, address, Config{}); changes(t, again, 0).Epoch != before.Epoch {
		t.Error("the epoch rises with every start")
	}
	// What a dump says of the server that it was made on.
	if _, err := s.pool.Exec(t.Context(), `UPDATE session_meta SET history = 'another server'`); err != nil {
		t.Fatal(err)
	}
	after := changes(t, s, before.Next)
	if after.Epoch <= before.Epoch || !after.Gap {
		t.Errorf("epoch %d after %d, gap %v", after.Epoch, before.Epoch, after.Gap)
	}
	if next := changes(t, s, after.Next); next.Gap || next.Epoch != after.Epoch {
		t.Errorf("then %+v", next)
	}
	// The server was started since: its files may be those of a copy.
	if _, err := s.pool.Exec(t.Context(), `UPDATE session_meta SET started = started - 1`); err != nil {
		t.Fatal(err)
	}
	before, after = after, changes(t, s, after.Next)
	if after.Epoch <= before.Epoch || !after.Gap {
		t.Errorf("epoch %d after %d, gap %v", after.Epoch, before.Epoch, after.Gap)
	}
	if r := signIn(t, s, "alex"); r.Epoch != after.Epoch {
		t.Errorf("a record has epoch %d", r.Epoch)
	}
}

func TestARowDeletedByHandIsHeardOf(t *testing.T) {
	s := openHere(t, testservers.PostgreSQL(t), Config{})
	r := signIn(t, s, "alex")
	cursor := changes(t, s, 0).Next
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM sessions WHERE id = $1`, r.ID[:]); err != nil {
		t.Fatal(err)
	}
	want := session.Change{User: "alex", Rev: r.Rev + 1, Session: r.ID, Version: r.Version + 1, Ended: true}
	if feed := changes(t, s, cursor); len(feed.Changes) != 1 || feed.Changes[0] != want {
		t.Errorf("%+v, want %+v", feed.Changes, want)
	}
}

// A node that may only read, as on a standby, has no lease.
func TestAReadOnlyServerIsRefused(t *testing.T) {
	address := testservers.PostgreSQL(t)
	openHere(t, address, Config{})
	if s, err := Open(t.Context(), address+"&"+url.Values{"default_transaction_read_only": {"on"}}.Encode(), Config{}); err == nil {
		t.Error("opened", s.Close())
	}
}

func TestNodesAreKnownWhileTheyRun(t *testing.T) {
	address := testservers.PostgreSQL(t)
	s, other := openHere(t, address, Config{}), openHere(t, address, Config{})
	for _, node := range []*Store{s, other, s} {
		changes(t, node, 0)
	}
	seen := func() int {
		n, err := one[int](t.Context(), s, `SELECT count(*) FROM session_nodes WHERE seen > now() - interval '1 minute'`)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := seen(); n != 2 {
		t.Errorf("%d nodes, want 2", n)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if n := seen(); n != 1 {
		t.Errorf("%d nodes, want 1", n)
	}
}
