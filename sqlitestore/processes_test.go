package sqlitestore_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

// tasks are what this test binary does as a process of its own.
var tasks = map[string]func(args []string){
	"end":   taskEnd,
	"write": taskWrite,
	"load":  taskLoad,
	"open":  func(args []string) { taskStore(args[0]).Close() },
}

func runTask(t *testing.T, task string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), "SQLITESTORE_TASK="+task)
	return cmd
}

func taskStore(path string) *sqlitestore.Store {
	s, err := sqlitestore.Open(context.Background(), path, sqlitestore.Config{})
	must(err)
	return s
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// taskEnd ends a session: path, user, handle.
func taskEnd(args []string) {
	s := taskStore(args[0])
	id, err := session.ParseID(args[2])
	must(err)
	_, err = s.End(context.Background(), session.Ending{User: session.UserID(args[1]), ID: id, Reason: session.RevokedByAdmin, By: "admin", At: start})
	must(err)
	must(s.Close())
}

const (
	writers     = 200
	changesEach = 8
	sharedUsers = 20
	sharedLimit = 5
)

// taskWrite lets 200 goroutines sign in and switch, for users that the other
// process has, too.
func taskWrite(args []string) {
	s := taskStore(args[0])
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			user := session.UserID(strconv.Itoa(i % sharedUsers))
			r := storetest.NewRecord(user, start)
			_, err := s.Create(context.Background(), session.Creation{Record: r, Limit: sharedLimit})
			must(err)
			for j := range changesEach - 1 {
				_, _, err := s.SwitchPlatform(context.Background(), r.ID, session.PlatformID(strconv.Itoa(100+j)), start, 0)
				if _, ended := session.Ended(err); !ended { // another sign-in may have evicted it
					must(err)
				}
				live, err := s.List(context.Background(), user)
				must(err)
				if len(live) > sharedLimit {
					must(fmt.Errorf("user %s has %d live sessions", user, len(live)))
				}
			}
		})
	}
	wg.Wait()
	must(s.Close())
}

// Lessons 16 and 19, too: shared connections failed a third of the requests, and
// the limit did not hold.
func TestTwoProcessesWith200WritersEach(t *testing.T) {
	path := file(t) // not there yet: both make it
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if out, err := runTask(t, "write", path).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	s := open(t, path)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range sharedUsers {
		live, err := s.List(t.Context(), session.UserID(strconv.Itoa(i)))
		if err != nil || len(live) != sharedLimit {
			t.Errorf("user %d: %d live sessions, %v, want %d", i, len(live), err, sharedLimit)
		}
	}
	changes := 0
	for range read(t, s, 1).Changes {
		changes++
	}
	// Each sign-in, and each that was evicted for it; switches where they came first.
	evicted := 2*writers - sharedUsers*sharedLimit
	if least := 2*writers + evicted; changes < least {
		t.Errorf("%d changes in the feed, want %d at least", changes, least)
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
	if out, err := runTask(t, "end", path, "1", c.Session.ID.String()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	<-time.After(time.Second) // the lease: what is asked later must be refused
	_, err = m.Authenticate(t.Context(), token, session.Client{})
	if reason, ended := session.Ended(err); !ended || reason != session.RevokedByAdmin {
		t.Errorf("one lease after the end: %v", err)
	}
}

func TestSeveralProcessesOpenANewFileAtOnce(t *testing.T) {
	for range 5 {
		path := file(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if out, err := runTask(t, "open", path).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		wg.Wait()
		if err := open(t, path).Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// taskLoad changes sessions until it is killed. A line on its standard output
// acknowledges a change: handle, version, and "ended" or "lives".
func taskLoad(args []string) {
	s := taskStore(args[0])
	fmt.Println("ready")
	for i := range 32 {
		go func() {
			user := session.UserID(strconv.Itoa(i))
			for n := 0; ; n++ {
				created, err := s.Create(context.Background(), session.Creation{Record: storetest.NewRecord(user, start), Limit: 3})
				must(err)
				for _, r := range append(created.Ended, created.Record) {
					acknowledge(r)
				}
				id := created.Record.ID
				for range rand.N(20) {
					n++
					r, _, err := s.SwitchPlatform(context.Background(), id, session.PlatformID(strconv.Itoa(n)), start, 0)
					must(err)
					acknowledge(r)
				}
				if n%2 == 0 {
					ended, err := s.End(context.Background(), session.Ending{User: user, ID: id, Reason: session.SignedOut, By: "x", At: start})
					must(err)
					acknowledge(ended[0])
				}
			}
		}()
	}
	select {}
}

func acknowledge(r session.Record) {
	state := "lives"
	if !r.EndedAt.IsZero() {
		state = "ended"
	}
	fmt.Fprintf(os.Stdout, "%x %d %s\n", r.ID[:], r.Version, state) // short enough to be written at once
}

// acknowledged is what a killed process had promised of a session.
type acknowledged struct {
	version uint64
	ended   bool
}

// SQLITESTORE_KILL_ROUNDS says how often; 10 times without it.
func TestKillUnderLoadLosesNoAcknowledgedChange(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("SQLITESTORE_KILL_ROUNDS")); err == nil {
		kills = n
	}
	path := file(t)
	promised := map[session.ID]acknowledged{}
	total := 0
	for kill := range kills {
		total += killUnderLoad(t, path, promised)
		begun := time.Now()
		s := open(t, path)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("ready after %v", took)
		}
		for id, want := range promised {
			r, err := s.Get(t.Context(), id)
			if err != nil || r.Version < want.version || want.ended && (r.EndedAt.IsZero() || r.Version != want.version) {
				t.Errorf("kill %d: %s has version %d, ended %v, %v; acknowledged was %+v", kill, id, r.Version, !r.EndedAt.IsZero(), err, want)
			}
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if total < 10*kills {
		t.Errorf("only %d changes under %d kills: too little load to tell", total, kills)
	}
	t.Logf("%d kills, %d acknowledged changes of %d sessions", kills, total, len(promised))
}

// killUnderLoad returns how many changes were acknowledged before the end.
func killUnderLoad(t *testing.T, path string, promised map[session.ID]acknowledged) (n int) {
	t.Helper()
	cmd := runTask(t, "load", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Errorf("the process said %q", lines.Text())
	}
	kill := time.AfterFunc(50*time.Millisecond+rand.N(200*time.Millisecond), func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		var id session.ID
		handle, rest, _ := strings.Cut(lines.Text(), " ")
		version, state, whole := strings.Cut(rest, " ")
		if _, err := hex.Decode(id[:], []byte(handle)); err != nil || !whole {
			t.Fatalf("the process said %q", lines.Text())
		}
		v, err := strconv.ParseUint(version, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if have := promised[id]; v > have.version {
			promised[id] = acknowledged{v, state == "ended"}
		}
		n++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("the process ended by itself: %v", err)
	}
	return n
}
