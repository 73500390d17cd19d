package sqlitestore_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

// These tests run this program again as another process, which opens the file
// named in workFile and does what is named in workKind.
const (
	workFile = "SQLITESTORE_TEST_FILE"
	workKind = "SQLITESTORE_TEST_WORK"
)

// TestWork is the other process; run by hand it has nothing to do.
func TestWork(t *testing.T) {
	path := os.Getenv(workFile)
	if path == "" {
		return
	}
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{BusyTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	switch kind, argument, _ := strings.Cut(os.Getenv(workKind), " "); kind {
	case "writers":
		writeFromMany(t, s)
	case "acknowledge":
		acknowledgeForEver(t, s)
	case "end":
		id, err := session.ParseID(argument)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.End(t.Context(), session.Ending{User: "1", ID: id, Reason: session.RevokedByAdmin, By: "operator", At: time.Now().UTC()}); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("no such work: %q", kind)
	}
}

func process(t *testing.T, path, work string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWork$", "-test.count=1")
	cmd.Env = append(os.Environ(), workFile+"="+path, workKind+"="+work)
	return cmd
}

// writeFromMany lets 200 writers make, switch and end sessions of their own.
func writeFromMany(t *testing.T, s *sqlitestore.Store) {
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			user := session.UserID(fmt.Sprintf("%d-%d", os.Getpid(), i))
			for range 3 {
				r := storetest.NewRecord(user, time.Now().UTC().Truncate(time.Microsecond))
				if _, err := s.Create(context.Background(), session.Creation{Record: r, Limit: 2}); err != nil {
					t.Errorf("create: %v", err)
				}
				if _, _, err := s.SwitchPlatform(context.Background(), r.ID, "another", r.CreatedAt); err != nil {
					t.Errorf("switch: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestTwoProcessesWith200WritersEach(t *testing.T) {
	path := file(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if out, err := process(t, path, "writers").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	s := open(t, path)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := s.Count(t.Context(), session.Cutoffs{}); err != nil || n != 2*200*2 {
		t.Errorf("%d sessions live, want 800 (the limit is 2 of each user's 3): %v", n, err)
	}
}

func TestAnotherProcessEndsASessionAndThisOneRefusesItWithinTheLease(t *testing.T) {
	path := file(t)
	m, err := session.New(open(t, path), nil, session.Config{Logger: slog.New(slog.DiscardHandler), Sync: session.Sync{Lease: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	for remembered := 0; remembered == 0; { // from now on no request asks the store
		if _, err := m.Authenticate(t.Context(), token, session.Client{}); err != nil {
			t.Fatal(err)
		}
		metrics, err := m.Metrics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		remembered = metrics.Sessions.Snapshots
	}
	if out, err := process(t, path, "end "+c.Session.ID.String()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	<-time.After(time.Second) // the lease: what is asked later must be refused
	_, err = m.Authenticate(t.Context(), token, session.Client{})
	if reason, ended := session.Ended(err); !ended || reason != session.RevokedByAdmin {
		t.Errorf("one lease after the end: %v", err)
	}
}

// acknowledgeForEver says on standard output what has been stored.
func acknowledgeForEver(t *testing.T, s *sqlitestore.Store) {
	for i := range 32 {
		go func() {
			user := session.UserID(fmt.Sprint("worker-", i))
			for n := uint64(0); ; n++ {
				r := storetest.NewRecord(user, time.Now().UTC().Truncate(time.Microsecond))
				if _, err := s.Create(context.Background(), session.Creation{Record: r}); err != nil {
					t.Errorf("create: %v", err)
					return
				}
				fmt.Printf("ack %s 1 live\n", r.ID)
				if _, _, err := s.SwitchPlatform(context.Background(), r.ID, "another", r.CreatedAt); err != nil {
					t.Errorf("switch: %v", err)
					return
				}
				fmt.Printf("ack %s 2 live\n", r.ID)
				if n%2 == 0 {
					if _, err := s.End(context.Background(), session.Ending{User: user, ID: r.ID, Reason: session.SignedOut, At: r.CreatedAt}); err != nil {
						t.Errorf("end: %v", err)
						return
					}
					fmt.Printf("ack %s 3 ended\n", r.ID)
				}
			}
		}()
	}
	select {} // until it is killed
}

// killRounds is 5 by default; SQLITESTORE_KILL_ROUNDS=200 is the soak.
func killRounds(t *testing.T) int {
	text := os.Getenv("SQLITESTORE_KILL_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SQLITESTORE_KILL_ROUNDS: %v", err)
	}
	return n
}

func TestKillUnderLoadLosesNoAcknowledgedChange(t *testing.T) {
	path := file(t)
	for round := range killRounds(t) {
		acknowledged := killed(t, path)
		if len(acknowledged) == 0 {
			t.Fatal("nothing was acknowledged before the end")
		}
		start := time.Now()
		s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d sessions acknowledged, open again after %v", round, len(acknowledged), time.Since(start))
		for id, want := range acknowledged {
			r, err := s.Get(t.Context(), id)
			if err != nil || r.Version < want.version || want.ended && r.EndedAt.IsZero() {
				t.Errorf("%v was acknowledged as %+v and is at version %d, ended %v: %v", id, want, r.Version, r.EndedAt, err)
			}
		}
		if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

type acknowledgement struct {
	version uint64
	ended   bool
}

// killed lets the other process work for a while, kills it, and returns what it
// had said to be stored.
func killed(t *testing.T, path string) map[session.ID]acknowledgement {
	cmd := process(t, path, "acknowledge")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[session.ID]acknowledgement{}
	kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() }) // should it never begin
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var handle, state string
		var a acknowledgement
		if n, _ := fmt.Sscanf(lines.Text(), "ack %s %d %s", &handle, &a.version, &state); n != 3 {
			continue // the last line may be cut
		}
		if len(said) == 0 {
			kill.Reset(time.Duration(50+rand.IntN(300)) * time.Millisecond)
		}
		id, err := session.ParseID(handle)
		if err != nil {
			t.Fatal(err)
		}
		a.ended = state == "ended"
		said[id] = a
	}
	cmd.Wait() // it was killed
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("it ended by itself: %v", cmd.ProcessState)
	}
	return said
}

func TestAFileThatIsNotOursIsRefusedAndLeftAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"of another application": {func(t *testing.T, path string) { execute(t, path, "CREATE TABLE notes (text TEXT)") }, "belongs to another application"},
		"of a newer version": {func(t *testing.T, path string) {
			open(t, path).Close()
			execute(t, path, "INSERT INTO session_migrations (version_id, is_applied) VALUES (9999, 1)")
		}, "a newer version"},
		"cut short": {func(t *testing.T, path string) {
			open(t, path).Close()
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		"no database at all": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("My diary. ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "no SQLite database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			test.make(t, path)
			before := content(t, path)
			s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if content(t, path) != before {
				t.Error("the file was changed")
			}
			if beside, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(beside) != 1 {
				t.Errorf("left behind: %v, %v", beside, err)
			}
		})
	}
}

func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestTheFileHoldsNoSecret(t *testing.T) {
	path := file(t)
	store := open(t, path)
	m, err := session.New(store, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	secret := token.Reveal()[33:]
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), secret) || strings.Contains(string(b), string(raw)) {
			t.Errorf("%s holds the secret", name)
		}
	}
}
