package pgstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/storetest"
)

func openHere(t testing.TB, url string, cfg Config) *Store {
	t.Helper()
	cfg.Conns = 3
	s, err := Open(t.Context(), url, cfg)
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

var start = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

func signIn(t testing.TB, s *Store, user session.UserID) session.Record {
	t.Helper()
	c, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(user, start)})
	if err != nil {
		t.Fatal(err)
	}
	return c.Record
}

// rev of the user in the table.
func rev(t testing.TB, s *Store, user session.UserID) uint64 {
	t.Helper()
	n, err := one[uint64](t.Context(), s, `SELECT coalesce((SELECT rev FROM session_users WHERE id = $1), 0)`, []byte(user))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func raise(user session.UserID) *change {
	return &change{done: make(chan struct{}), user: &userChange{user: user, make: true, do: func(w *work) error {
		w.raiseRev(user)
		return nil
	}}}
}

// hold locks the row of a user, as another node's change does, until it is let go.
func hold(t testing.TB, url string, user session.UserID) (letGo func()) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.WithoutCancel(t.Context())) })
	tx, err := c.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `UPDATE session_users SET rev = rev WHERE id = $1`, []byte(user))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestOneBadChangeOfABatchFailsAlone(t *testing.T) {
	s := openHere(t, testservers.PostgreSQL(t), Config{})
	for name, bad := range map[string]func(*work) error{
		"an error of the engine": func(w *work) error {
			w.begun[session.ID{1}] = session.Record{Session: session.Session{ID: session.ID{1}, EndReason: "\x00"}}
			return nil
		},
		"its own error": func(*work) error { return errors.New("bad") },
		"a panic":       func(*work) error { panic("bad") },
	} {
		t.Run(name, func(t *testing.T) {
			alex, robin := session.UserID("alex "+name), session.UserID("robin "+name)
			worse := raise(session.UserID("bad " + name))
			begin := worse.user.do
			worse.user.do = func(w *work) error { return errors.Join(begin(w), bad(w)) }
			batch := []*change{raise(alex), worse, raise(robin)}
			s.writer.inTurn(func() { s.writer.commit(batch) })
			if batch[0].err != nil || batch[1].err == nil || batch[2].err != nil {
				t.Errorf("errors %v, %v, %v; want only the second", batch[0].err, batch[1].err, batch[2].err)
			}
			if a, b, c := rev(t, s, alex), rev(t, s, worse.user.user), rev(t, s, robin); a != 1 || b != 0 || c != 1 {
				t.Errorf("revs %d, %d, %d: what the bad change did is undone, the others are done once", a, b, c)
			}
		})
	}
}

func TestWhatIsAbandonedLandsAllTheSame(t *testing.T) {
	url := testservers.PostgreSQL(t)
	s := openHere(t, url, Config{})
	signIn(t, s, "alex")
	letGo := hold(t, url, "alex")
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.RaiseRev(impatient, "alex"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller who gave up: %v", err)
	}
	letGo()
	if err := s.Close(); err != nil { // finishes what was asked
		t.Fatal(err)
	}
	if got := rev(t, openHere(t, url, Config{}), "alex"); got != 2 {
		t.Errorf("rev %d, want 2", got)
	}
}

// A row that somebody holds is waited for within a bound, and only those who need
// it wait in vain.
func TestARowThatIsHeldFailsThoseWhoNeedIt(t *testing.T) {
	url := testservers.PostgreSQL(t)
	s := openHere(t, url, Config{Patience: 100 * time.Millisecond})
	signIn(t, s, "alex")
	letGo := hold(t, url, "alex")
	batch := []*change{raise("alex"), raise("robin")}
	s.writer.inTurn(func() { s.writer.commit(batch) })
	if batch[0].err == nil || batch[1].err != nil || rev(t, s, "robin") != 1 {
		t.Errorf("%v, %v", batch[0].err, batch[1].err)
	}
	letGo()
	if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
		t.Errorf("after it was let go: %v", err)
	}
}

// A change whose outcome is not known is not tried again.
func TestABrokenConnectionFailsItsBatchAndTheNextOneWorks(t *testing.T) {
	url := testservers.PostgreSQL(t)
	s := openHere(t, url, Config{})
	signIn(t, s, "alex")
	letGo := hold(t, url, "alex")
	batch := []*change{raise("alex"), raise("robin")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.writer.inTurn(func() { s.writer.commit(batch) })
	}()
	killed := int64(0)
	for killed == 0 { // until the writer waits for the row
		n, err := one[int64](t.Context(), s, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
		killed = n
	}
	<-done
	letGo()
	if batch[0].err == nil || batch[1].err == nil || rev(t, s, "robin") != 0 {
		t.Errorf("%v, %v", batch[0].err, batch[1].err)
	}
	if got, err := s.RaiseRev(t.Context(), "alex"); err != nil || got != 2 {
		t.Errorf("then: rev %d, %v", got, err)
	}
}

// A node that stops in the middle of a change does not hold up the others for ever.
func TestANodeThatStopsInAChangeLosesItsRows(t *testing.T) {
	url := testservers.PostgreSQL(t)
	stopped, other := openHere(t, url, Config{Patience: 200 * time.Millisecond}), openHere(t, url, Config{})
	signIn(t, other, "alex")
	locked, goOn := make(chan struct{}), make(chan struct{})
	c := raise("alex")
	c.user.do = func(*work) error { close(locked); <-goOn; return nil }
	if err := stopped.writer.add(c); err != nil {
		t.Fatal(err)
	}
	<-locked
	if _, err := other.RaiseRev(t.Context(), "alex"); err != nil {
		t.Errorf("the other node: %v", err)
	}
	close(goOn)
	if <-c.done; c.err == nil {
		t.Error("the one that stopped believes that its change was stored")
	}
}

// A session-level default that answers before the disk does is not followed.
func TestWhatIsAcknowledgedIsOnTheDiskWhateverTheDefault(t *testing.T) {
	url := testservers.PostgreSQL(t)
	for weak, want := range map[string]string{"off": "on", "local": "on", "remote_write": "on", "on": "on", "remote_apply": "remote_apply"} {
		s := openHere(t, url+"&synchronous_commit="+weak, Config{})
		if _, err := s.RaiseRev(t.Context(), "alex"); err != nil {
			t.Fatal(err)
		}
		s.writer.inTurn(func() {
			var got string
			if err := s.writer.conn.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != want {
				t.Errorf("%s: the writer has %q, %v, want %q", weak, got, err, want)
			}
		})
	}
}
