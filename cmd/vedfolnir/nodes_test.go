package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/testservers"
)

// twoNodes serve one PostgreSQL database, with the keys of one file. Cookies do not
// know ports, so that a browser of one is a browser of the other.
func twoNodes(t *testing.T) (here, there *process, flags []string, folder string) {
	t.Helper()
	folder = t.TempDir()
	flags = []string{"--database=" + testservers.PostgreSQL(t), "--keys=" + filepath.Join(folder, "shared.keys")}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	demo := append([]string{"--demo"}, flags...)
	return launch(t, folder, nil, demo...), launch(t, folder, nil, demo...), flags, folder
}

// stream follows a session's events at a node. It returns when the first is there.
func (p *process) stream(c *http.Client) (events <-chan string) {
	p.t.Helper()
	w, err := c.Get(p.url + "/api/session/events")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { w.Body.Close() })
	heard := make(chan string, 1000)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(w.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				heard <- name
			}
		}
	}()
	await(p.t, heard, "state")
	return heard
}

// state is what a node says of a session.
func (p *process) state(c *http.Client) (status int, body []byte) {
	p.t.Helper()
	w, err := c.Get(p.url + "/api/session_state")
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Body.Close()
	body, err = io.ReadAll(w.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return w.StatusCode, body
}

// post to the API as the page does.
func (p *process) post(c *http.Client, path, body string) {
	p.t.Helper()
	r, err := http.NewRequest("POST", p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	page := get(p.t, c, p.url+"/")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-CSRFToken", metaForm.FindStringSubmatch(page)[1])
	w, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Body.Close()
	if said, _ := io.ReadAll(w.Body); w.StatusCode != 200 {
		p.t.Fatalf("%s: %d %s", path, w.StatusCode, said)
	}
}

func await(t *testing.T, events <-chan string, want string) time.Time {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case got, open := <-events:
			if got == want {
				return time.Now()
			}
			if !open {
				t.Fatalf("the stream ended without %q", want)
			}
		case <-late:
			t.Fatalf("nothing is heard of %q", want)
		}
	}
}

// What is done on one node is heard and held to on the other. Without the bus it
// would take the half second in which a node looks by itself.
func TestTwoNodesOnPostgreSQLActAsOne(t *testing.T) {
	t.Parallel()
	here, there, _, _ := twoNodes(t)
	c := here.signIn("alex")
	status, body := there.state(c)
	var view struct {
		Platform struct{ ID json.Number } `json:"platform"`
	}
	if err := json.Unmarshal(body, &view); err != nil || status != 200 {
		t.Fatalf("the other node: %d %s", status, body)
	}
	events := there.stream(c)
	var took []time.Duration
	for i := range 20 {
		platform := []string{"1", "2"}[i%2]
		if platform == view.Platform.ID.String() && i == 0 {
			continue
		}
		here.post(c, "/api/switch_platform/"+platform, `{}`)
		done := time.Now()
		took = append(took, await(t, events, "platform_switched").Sub(done))
	}
	slices.Sort(took)
	t.Logf("a switch is heard on the other node %v after its answer in the middle, %v at most", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > 200*time.Millisecond {
		t.Error("the nodes do not wake each other")
	}

	second := there.signIn("alex")
	if status, _ := here.state(second); status != 200 {
		t.Fatalf("signed in there, here it is %d", status)
	}
	await(t, events, "sessions_changed")
	here.post(second, "/logout", `{}`)
	ended := time.Now()
	for status = 200; status == 200; status, _ = there.state(second) {
		if time.Since(ended) > 2*time.Second {
			t.Fatal("an ended session is served by the other node beyond the lease")
		}
	}
	t.Logf("an end is held to on the other node after %v", time.Since(ended))
	if status != 401 {
		t.Errorf("afterwards: %d", status)
	}
	for _, p := range []*process{here, there} {
		p.end(syscall.SIGTERM)
	}
}

// A node that was stopped longer than its lease trusts nothing that it remembers
// when it goes on.
func TestANodeThatWasStoppedServesNoEndedSession(t *testing.T) {
	t.Parallel()
	here, there, _, _ := twoNodes(t)
	c := here.signIn("alex")
	for range 3 {
		if status, body := there.state(c); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := there.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	here.post(c2(c), "/logout", `{}`)
	type answer struct {
		status int
		body   []byte
	}
	answered := make(chan answer, 1)
	go func() { // waits in the socket of the node that is stopped
		status, body := there.state(c)
		answered <- answer{status, body}
	}()
	time.Sleep(2500 * time.Millisecond) // beyond the lease of two seconds: the processes' clocks are real
	signal(syscall.SIGCONT)
	if a := <-answered; a.status != 401 || !bytes.Contains(a.body, []byte("signed_out")) {
		t.Errorf("the first answer is %d %s", a.status, a.body)
	}
}

// c2 is another client with the same cookies: what it is told to forget, the first
// one keeps.
func c2(c *http.Client) *http.Client { return &http.Client{Jar: frozen{c.Jar}} }

type frozen struct{ http.CookieJar }

func (frozen) SetCookies(*url.URL, []*http.Cookie) {}

// The commands of an operator, beside servers on PostgreSQL.
func TestCommandsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	here, _, flags, folder := twoNodes(t)
	run := func(want int, args ...string) string {
		t.Helper()
		out, err := command(t, folder, nil, append(args, flags...)...).CombinedOutput()
		if code := exitCode(err); code != want {
			t.Errorf("%v: exit status %d (%v), want %d: %s", args, code, err, want, out)
		}
		return string(out)
	}
	c := here.signIn("alex")
	events := here.stream(c)
	for _, step := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"migrate"}, 0, "is up to date"},
		{[]string{"user", "list"}, 0, "robin"},
		{[]string{"platform", "list", "alex"}, 0, "My Pixelfed"},
		{[]string{"session", "list", "alex"}, 0, "alex"},
		{[]string{"user", "export", "alex"}, 0, "alex@example.com"},
		{[]string{"audit", "tail"}, 0, "created"},
		{[]string{"backup", "copy.db"}, 1, "pg_dump"},
		{[]string{"doctor"}, 4, "NO_SYNCHRONOUS_STANDBY"}, // or whatever else this machine lacks
		{[]string{"user", "disable", "alex"}, 0, "1 session"},
		{[]string{"user", "erase", "alex", "--yes"}, 0, ""},
		{[]string{"audit", "verify"}, 0, ""},
		{[]string{"keys", "make"}, 1, "left alone"},
	} {
		if step.args[0] == "doctor" {
			out, err := command(t, folder, nil, append(step.args, flags...)...).CombinedOutput()
			if code := exitCode(err); code != 0 && code != 4 || !strings.Contains(string(out), step.want) {
				t.Errorf("doctor: %v: %s", err, out)
			}
			continue
		}
		if out := run(step.exit, step.args...); !strings.Contains(out, step.want) {
			t.Errorf("%v: nothing about %q in: %s", step.args, step.want, out)
		}
	}
	await(t, events, "ended")
	if made, _ := os.ReadDir(folder); slices.ContainsFunc(made, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".db") }) {
		t.Errorf("made %v", made)
	}
}

// Nodes with keys of their own would refuse each other's pages; a password would be
// seen by others.
func TestPostgreSQLWithoutSharedKeysOrWithAPasswordIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--database=postgres://h/d"}, "without --keys"},
		{[]string{"--database=postgres://h/d", "--keys=none.keys"}, "vedfolnir keys make"},
		{[]string{"--database=postgres://u:s3cret@h/d", "--keys=none.keys"}, "PGPASSWORD"},
		{[]string{"--database=postgres://u@h/d?password=s3cret", "--keys=none.keys"}, "PGPASSWORD"},
		{[]string{"--database=postgres:", "--keys=none.keys"}, "postgres://USER@HOST/DATABASE"},
	} {
		folder := t.TempDir()
		out, err := command(t, folder, nil, append([]string{"serve"}, c.args...)...).CombinedOutput()
		if exitCode(err) != 2 || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "s3cret") {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
		if made, _ := os.ReadDir(folder); len(made) != 0 {
			t.Errorf("made %v", made)
		}
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

var metaForm = regexp.MustCompile(`<meta name="csrf-token" content="([^"]*)"`)

// A server moves from a file to PostgreSQL, and whoever was signed in does not notice.
func TestImportSignsNobodyOut(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	before := launch(t, folder, nil, "--demo", "--database=sqlite:v.db", "--keys=v.keys")
	c := before.signIn("alex")
	here := before.url
	before.post(c, "/api/switch_platform/2", `{}`)
	gone := before.signIn("alex")
	before.post(gone, "/logout", `{}`)
	before.end(syscall.SIGTERM)

	flags := []string{"--database=" + testservers.PostgreSQL(t), "--keys=v.keys"}
	out, err := command(t, folder, nil, append([]string{"import", "v.db"}, flags...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "4 persons, 2 sessions") && !strings.Contains(string(out), "4 people, 2 sessions") {
		t.Fatalf("%v: %s", err, out)
	}
	after := launch(t, folder, nil, append([]string{"--demo", "--addr=" + strings.TrimPrefix(here, "http://")}, flags...)...)
	status, body := after.state(c)
	if status != 200 || !bytes.Contains(body, []byte("My Mastodon")) {
		t.Errorf("who was signed in: %d %s", status, body)
	}
	after.post(c, "/api/switch_platform/1", `{}`)
	out, err = command(t, folder, nil, append([]string{"audit", "verify"}, flags...)...).CombinedOutput()
	if err != nil {
		t.Errorf("the audit: %v: %s", err, out)
	}
	out, err = command(t, folder, nil, append([]string{"import", "v.db"}, flags...)...).CombinedOutput()
	if exitCode(err) != 1 || !strings.Contains(string(out), "left as it is") {
		t.Errorf("once more: %v: %s", err, out)
	}
	after.end(syscall.SIGTERM)
}
