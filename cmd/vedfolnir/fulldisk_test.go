package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// ballast fills a disk up to its last byte.
func ballast(t *testing.T, disk string) (path string) {
	t.Helper()
	path = filepath.Join(disk, "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return path
}

// A full disk is one of eight megabytes, which only root can mount. Until SQLite needs
// more of it than it has, changes go on; from then on they are answered 503, and what is
// read as ever. Nothing that was acknowledged is lost, by a crash and a start that fails
// neither; with room again all is as it was.
func TestAFullDiskStopsChangesAndNothingElse(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		skip(t, "only root of a Linux system can mount a small disk")
	}
	t.Parallel()
	disk := t.TempDir()
	mount(t, disk)
	flags, environ := []string{"--demo", "--database=sqlite:v.db"}, []string{"SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR=1000000"}
	p := launch(t, disk, environ, flags...)
	c := p.signIn("alex")
	token := metaForm.FindStringSubmatch(get(t, c, p.url+"/"))[1]
	answer := func(method, path, body, kind string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		r.Header.Set("X-CSRFToken", token)
		r.Header.Set("Content-Type", kind)
		w, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		return w
	}
	read := func() {
		t.Helper()
		for _, path := range []string{"/", "/api/session_state", "/api/sessions", "/safety", "/readyz", "/login"} {
			if w := answer("GET", path, "", ""); w.StatusCode != 200 {
				t.Fatalf("%s is answered %d\n%s", path, w.StatusCode, p.stderr)
			}
		}
	}
	active := func() string {
		t.Helper()
		var state struct {
			Platform struct {
				ID json.Number `json:"id"`
			} `json:"platform"`
		}
		_, body := p.state(c)
		if err := json.Unmarshal(body, &state); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return state.Platform.ID.String()
	}
	acknowledged, refused, n := "", 0, 0
	change := func() (stored bool) {
		t.Helper()
		n++
		platform := fmt.Sprint(1 + n%2)
		w := answer("POST", "/api/switch_platform/"+platform, "{}", "application/json")
		switch {
		case w.StatusCode == 200:
			acknowledged = platform
			return true
		case w.StatusCode != 503 || w.Header.Get("Retry-After") == "" || len(w.Cookies()) > 0:
			t.Fatalf("a change is answered %d with %v\n%s", w.StatusCode, w.Header, p.stderr)
		}
		refused++
		return false
	}
	change()
	filled := ballast(t, disk)
	for change() { // in what the write-ahead log has room for
		if n > 20_000 {
			t.Fatal("the disk is not full")
		}
	}
	for range 20 {
		change()
		read()
	}
	if refused < 10 {
		t.Errorf("only %d changes were refused", refused)
	}
	if got := active(); got != acknowledged {
		t.Errorf("acting as %s, but %s was acknowledged last", got, acknowledged)
	}
	in := url.Values{"username": {"sam"}, "password": {"vedfolnir-demo"}, "csrf_token": {token}}
	if w := answer("POST", "/login", in.Encode(), "application/x-www-form-urlencoded"); w.StatusCode != 503 || w.Header.Get("Retry-After") == "" || len(w.Cookies()) > 0 {
		t.Errorf("a sign-in is answered %d with %v", w.StatusCode, w.Header)
	}
	read() // signed in all the same

	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if out, err := command(t, disk, nil, "migrate", "--database=sqlite:v.db").CombinedOutput(); err == nil || !strings.Contains(string(out), "full") {
		t.Errorf("on a full disk it starts, or does not say why not: %v: %s", err, out)
	}
	if err := os.Remove(filled); err != nil {
		t.Fatal(err)
	}
	p = launch(t, disk, environ, flags...)
	read()
	if got := active(); got != acknowledged {
		t.Errorf("after a crash acting as %s, but %s was acknowledged last", got, acknowledged)
	}
	token = metaForm.FindStringSubmatch(get(t, c, p.url+"/"))[1]
	if !change() {
		t.Errorf("with room again a change is refused\n%s", p.stderr)
	}
	if got := problems(diagnose(t, disk, nil, "--database=sqlite:v.db")); slices.Contains(got, "DATABASE") {
		t.Errorf("found %q", got)
	}
	p.end(syscall.SIGTERM)
}
