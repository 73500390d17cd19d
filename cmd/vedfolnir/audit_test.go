package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Two servers on one database, one of which is killed: the other one seals on, and
// everything verifies.
func TestAServerThatIsKilledLeavesTheSealingToAnother(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	second := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	verify := func() string {
		out, err := command(t, folder, nil, "audit", "verify", "--database=sqlite:v.db").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	sealed := func(within time.Duration) {
		t.Helper()
		for patience := time.Now().Add(within); ; time.Sleep(time.Second) { // each look is a process
			out := verify()
			if strings.Contains(out, "Sealed:") && !strings.Contains(out, "Not sealed yet") {
				return
			}
			if time.Now().After(patience) {
				t.Fatalf("not sealed after %s: %s", within, out)
			}
		}
	}
	first.signIn("alex")
	sealed(10 * time.Second)
	first.end(syscall.SIGTERM)
	second.signIn("alex")
	sealed(10 * time.Second)
	third := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	if err := second.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-second.ended
	third.signIn("robin")
	sealed(30 * time.Second) // the lease of the one that was killed has to be over
	third.end(syscall.SIGTERM)
}

// Somebody is erased in a terminal: their open tab leaves, and is told why.
func TestErasureReachesOpenTabs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	tab := p.signIn("alex")
	stream, err := tab.Get(p.url + "/api/session/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	ended := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "event: ended") {
				ended <- lines.Text()
				return
			}
		}
	}()
	if out, err := command(t, folder, nil, "user", "erase", "alex", "--yes", "--database=sqlite:v.db").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the tab has not heard of it")
	}
	if state := get(t, tab, p.url+"/api/session_state"); !strings.Contains(state, `"reason":"user_disabled"`) {
		t.Errorf("%s", state)
	}
	if out, err := command(t, folder, nil, "audit", "verify", "--database=sqlite:v.db").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	p.end(syscall.SIGTERM)
	for _, file := range []string{"v.db", "v.db-wal"} {
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("alex@")) {
			t.Errorf("%s holds the address still", file)
		}
	}
}
