package sqlitestore

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
)

func openHere(t *testing.T, path string, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "sessions.db") }

// revs are those of the users of a batch, after it.
func revs(t *testing.T, s *Store, users ...session.UserID) (revs []uint64) {
	t.Helper()
	for _, id := range users {
		u, err := read(t.Context(), s, func(ctx context.Context, c *conn) (user, error) { return c.user(ctx, id) })
		if err != nil {
			t.Fatal(err)
		}
		revs = append(revs, u.rev)
	}
	return revs
}

func raise(user session.UserID) *change {
	return &change{done: make(chan struct{}), do: func(t *tx) error {
		_, err := t.raiseRev(user)
		return err
	}}
}

func TestOneBadChangeOfABatchFailsAlone(t *testing.T) {
	for name, bad := range map[string]func(*tx) error{
		"an error of the engine": func(t *tx) error { return t.exec("INSERT INTO session_users (id) VALUES (NULL)") },
		"its own error":          func(*tx) error { return errors.New("bad") },
		"a panic":                func(*tx) error { panic("bad") },
		"one that has lost the transaction": func(t *tx) error {
			return errors.Join(t.exec("ROLLBACK"), errors.New("bad"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openHere(t, newFile(t), Config{})
			worse := raise("bad")
			begin := worse.do
			worse.do = func(t *tx) error { return errors.Join(begin(t), bad(t)) }
			batch := []*change{raise("alex"), worse, raise("robin")}
			s.writer.commit(batch)
			if batch[0].err != nil || batch[1].err == nil || batch[2].err != nil {
				t.Errorf("errors %v, %v, %v; want only the second", batch[0].err, batch[1].err, batch[2].err)
			}
			if got := revs(t, s, "alex", "bad", "robin"); got[0] != 1 || got[1] != 0 || got[2] != 1 {
				t.Errorf("revs %v, want [1 0 1]: what the bad change did is undone, the others are done once", got)
			}
		})
	}
}

// A refusal is an answer: the batch is committed in one go.
func TestARefusalDoesNotHoldUpItsBatch(t *testing.T) {
	s := openHere(t, newFile(t), Config{})
	calls := 0
	counted := raise("alex")
	do := counted.do
	counted.do = func(t *tx) error { calls++; return do(t) }
	refused := &change{done: make(chan struct{}), do: func(*tx) error { return refuse(session.ErrConflict) }}
	s.writer.commit([]*change{counted, refused})
	if calls != 1 || !errors.Is(answer(refused.err), session.ErrConflict) || revs(t, s, "alex")[0] != 1 {
		t.Errorf("%d calls, refusal %v", calls, refused.err)
	}
}

func TestWhatIsAbandonedLandsAllTheSame(t *testing.T) {
	path := newFile(t)
	s := openHere(t, path, Config{})
	if err := s.writer.turn.take(t.Context()); err != nil { // the writer has to wait
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.RaiseRev(impatient, "alex"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller who gave up: %v", err)
	}
	s.writer.turn.release()
	if err := s.Close(); err != nil { // finishes what was asked
		t.Fatal(err)
	}
	if got := revs(t, openHere(t, path, Config{}), "alex"); got[0] != 1 {
		t.Errorf("rev %d, want 1", got[0])
	}
}

func TestWhatWaitsAtCloseIsFinished(t *testing.T) {
	path := newFile(t)
	s := openHere(t, path, Config{})
	if err := s.writer.turn.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	var waiting []*change
	for range 3 * batchLimit {
		c := raise("alex")
		if err := s.writer.add(c); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	s.writer.turn.release()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range waiting {
		<-c.done
		if c.err != nil {
			t.Fatal(c.err)
		}
	}
	if _, err := s.RaiseRev(t.Context(), "alex"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if got := revs(t, openHere(t, path, Config{}), "alex"); got[0] != 3*batchLimit {
		t.Errorf("rev %d, want %d", got[0], 3*batchLimit)
	}
}

// Another process that never ends its transaction is waited for within a bound;
// then every change fails at once, not one after the other.
func TestAWriterWaitsForOtherProcessesWithinABound(t *testing.T) {
	path := newFile(t)
	s, other := openHere(t, path, Config{BusyTimeout: 100 * time.Millisecond}), openHere(t, path, Config{})
	tx, err := other.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var batch []*change
	for range 50 {
		batch = append(batch, raise("alex"))
	}
	begun := time.Now()
	s.writer.commit(batch)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	for _, c := range batch {
		if !busy(c.err) {
			t.Fatalf("error %v, want that the database is locked", c.err)
		}
	}
	if got := revs(t, s, "alex"); got[0] != 0 { // reading goes on
		t.Errorf("rev %d, want 0", got[0])
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
		t.Errorf("after it has ended: %v", err)
	}
}

func TestATransactionOfTheApplicationIsWaitedForWithinABound(t *testing.T) {
	s := openHere(t, newFile(t), Config{BusyTimeout: 50 * time.Millisecond})
	tx, err := s.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RaiseRev(t.Context(), "alex"); !errors.Is(err, errNoTurn) {
		t.Errorf("error %v, want %v", err, errNoTurn)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
		t.Error(err)
	}
}

// Lesson 20: the pool was exhausted.
func TestLesson20_AReadWaitsForAConnectionAsLongAsItsCallerDoes(t *testing.T) {
	s := openHere(t, newFile(t), Config{Readers: 2})
	var taken []*conn
	for range 2 {
		c, err := s.readers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, c)
	}
	if got, want := s.PoolStatus(), (session.PoolStatus{CheckedOut: 2, PoolSize: 2}); got != want {
		t.Errorf("pool %+v, want %+v", got, want)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Get(impatient, session.ID{1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read without a connection: %v", err)
	}
	if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
		t.Errorf("a change needs no reader: %v", err)
	}
	for _, c := range taken {
		s.readers.places <- c
	}
	if _, err := s.Get(t.Context(), session.ID{1}); !errors.Is(err, session.ErrNotFound) {
		t.Error(err)
	}
	if err := s.OptimizePool(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := s.PoolStatus(), (session.PoolStatus{PoolSize: 2, Idle: 2}); got != want {
		t.Errorf("pool %+v, want %+v", got, want)
	}
	if _, err := s.Get(t.Context(), session.ID{1}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("after idle connections were let go: %v", err)
	}
}

// No statement reads all sessions; the count reads an index.
func TestEveryStatementHasItsIndex(t *testing.T) {
	s := openHere(t, newFile(t), Config{})
	for name, query := range map[string]string{
		"getRecord": getRecord, "listRecords": listRecords, "countSessions": countSessions, "sessionExists": sessionExists,
		"switchPlatform": switchPlatform, "refreshSession": refreshSession, "rotateSecret": rotateSecret,
		"confirmSecret": confirmSecret, "touchSession": touchSession, "endSession": endSession, "liveOfUser": liveOfUser,
		"overdue": overdue, "overdueOfUser": overdueOfUser, "purge": purge, "purgeOfUser": purgeOfUser, "purgeGuest": purgeGuest,
		"getUser": getUser, "raiseSignInEpoch": raiseSignInEpoch, "trim": trim, "bounds": bounds, "changes": changes,
	} {
		var plan []string
		err := s.writer.conn.each(t.Context(), func(r row) { plan = append(plan, r.text(3)) }, "EXPLAIN QUERY PLAN "+query, make([]any, 14)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, step := range plan {
			scan := strings.HasPrefix(step, "SCAN") && !strings.Contains(step, "session_meta") && !strings.Contains(step, "CONSTANT")
			if scan && strings.Contains(step, "session") && !strings.Contains(step, "(subquery") {
				t.Errorf("%s: %s", name, step)
			}
			if strings.Contains(step, "TEMP B-TREE FOR ORDER BY") {
				t.Errorf("%s: %s", name, step)
			}
		}
		if name == "countSessions" && !strings.Contains(plan[0], "COVERING INDEX") {
			t.Errorf("%s reads rows: %s", name, plan)
		}
	}
}

func TestTheFeedKeepsTheLastTenThousand(t *testing.T) {
	s := openHere(t, newFile(t), Config{})
	const more = 500
	for range (feedLength + more) / 100 {
		_, err := write(t.Context(), s, func(t *tx) (none struct{}, err error) {
			for range 100 {
				t.feed = append(t.feed, session.Change{User: "alex"})
			}
			return none, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[uint64]struct {
		changes int
		gap     bool
	}{
		1: {0, true}, more: {0, true}, more + 1: {feedLength, false}, feedLength + more: {1, false},
		feedLength + more + 1: {0, false}, feedLength + more + 2: {0, true},
	} {
		feed, err := s.Changes(t.Context(), after, true)
		if err != nil || len(feed.Changes) != want.changes || feed.Gap != want.gap || feed.Next != feedLength+more+1 {
			t.Errorf("after %d: %d changes, gap %v, next %d, %v; want %+v", after, len(feed.Changes), feed.Gap, feed.Next, err, want)
		}
	}
}
