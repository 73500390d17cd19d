package main

import (
	"bufio"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A second process on the same file: the tab that is open hears of the end, and so
// does whoever follows the audit.
func TestRevokeInATerminalReachesOpenTabs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	tab := p.signIn("alex")
	stream, err := tab.Get(p.url + "/api/session/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	heard := make(chan string, 100)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
			heard <- lines.Text()
		}
	}()

	tail := command(t, folder, nil, "audit", "tail", "--follow", "--json", "--database=sqlite:v.db")
	told, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}

	out, err := command(t, folder, nil, "session", "list", "--json", "--database=sqlite:v.db").Output()
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct {
		ID string `json:"session_id"`
	}
	if err := json.Unmarshal(out, &listed); err != nil || len(listed) != 1 {
		t.Fatalf("%s: %v", out, err)
	}
	if out, err := command(t, folder, nil, "session", "revoke", listed[0].ID, "--database=sqlite:v.db").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	revoked := time.Now()
	for ended := false; !ended; {
		select {
		case line, open := <-heard:
			ended = strings.HasPrefix(line, "event: ended")
			if !open && !ended {
				t.Fatal("the stream ended without a word")
			}
		case <-time.After(time.Until(revoked.Add(2 * time.Second))):
			t.Fatal("the tab has heard nothing for two seconds")
		}
	}
	w, err := tab.Get(p.url + "/api/session_state")
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 401 {
		t.Errorf("afterwards: %d, want 401", w.StatusCode)
	}
	audit := bufio.NewScanner(told)
	for audit.Scan() && !strings.Contains(audit.Text(), `"action":"ended"`) {
	}
	if line := audit.Text(); !strings.Contains(line, listed[0].ID) || !strings.Contains(line, `"by":"operator"`) {
		t.Errorf("the audit's last line is %q", line)
	}
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := tail.Wait(); err != nil {
		t.Errorf("audit tail ended with %v", err)
	}
	p.end(syscall.SIGTERM)
}
