package server

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// Lesson 17: requests put sessions' contents into the log at INFO.
func TestLesson17_ARequestIsOneLineWithNothingOfTheSession(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.agent = "curl/8.1"
	b.signIn("alex")
	before := s.log.String()
	paths := []string{"/?who=alex", "/api/session_state", "/api/sessions", "/nothing"}
	ids := map[string]bool{}
	for _, path := range append(paths, "/livez", "/readyz") { // the last two have no line
		ids[b.do("GET", path, nil).header.Get("X-Request-Id")] = true
	}
	added := strings.TrimPrefix(s.log.String(), before)
	lines := strings.Split(strings.TrimSpace(added), "\n")
	if len(lines) != len(paths) || len(ids) != len(paths)+2 {
		t.Errorf("%d lines for %d requests, %d ids:\n%s", len(lines), len(paths), len(ids), added)
	}
	for i, line := range lines {
		var got struct {
			Msg, Method, Path string
			Status            int
			ID                string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if path, _, _ := strings.Cut(paths[i], "?"); got.Msg != "request" || got.Method != "GET" || got.Path != path || got.Status == 0 || !ids[got.ID] {
			t.Errorf("line %d: %s", i, line)
		}
	}
	for _, of := range []string{"alex", "example.com", "Pixelfed", "curl", "session_id", "csrf"} {
		if strings.Contains(added, of) {
			t.Errorf("the log says %q:\n%s", of, added)
		}
	}
}

func TestLogHoldsNoSecret(t *testing.T) {
	settings := inFolder(t.TempDir(), true)
	s := start(t, settings, slog.LevelDebug)
	b := s.browser(t)
	b.signIn("alex")
	secret := b.cookie()
	b.open("/login")
	b.do("POST", "/login", strings.NewReader("username=alex&password="+directory.DemoPassword), "Content-Type", "application/x-www-form-urlencoded")
	b.open("/")
	b.submit("Sign out", "csrf_token", "bad")
	b.open("/")
	token := hidden.FindStringSubmatch(b.page.body)[2]
	b.submit("Sign out")
	keys, err := os.ReadFile(settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(keys)), "\n")
	log := s.log.String()
	if !strings.Contains(log, "session audit") {
		t.Error("there is no audit line")
	}
	for _, secret := range []string{secret[len(secret)-20:], token, directory.DemoPassword, lines[len(lines)-1]} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the secret %s", secret)
		}
	}
}

// Lesson 37: with the store down the cookie was cleared, and everybody signed out.
func TestLesson37_StoreDownKeepsTheCookie(t *testing.T) {
	folder := t.TempDir()
	s := start(t, inFolder(folder, true), 0)
	b := s.browser(t)
	b.signIn("alex")
	s.store.Store.Close()
	for _, path := range []string{"/", "/api/sessions", "/api/user_platforms"} {
		if p := b.open(path); p.header.Get("Set-Cookie") != "" || p.path != path {
			t.Errorf("%s: %d at %s, Set-Cookie %q", path, p.status, p.path, p.header.Get("Set-Cookie"))
		}
	}
	if p := b.open("/"); p.status != 503 || p.header.Get("Retry-After") == "" {
		t.Errorf("home: %d %v", p.status, p.header)
	}
	s.App.Close()
	again := start(t, inFolder(folder, true), 0)
	if b.url = again.url; b.signedOut() {
		t.Error("signed out when the store came back")
	}
}

// A database that is away when a server is to end makes no failure of that.
func TestAServerEndsInOrderThoughItsDatabaseIsAway(t *testing.T) {
	s := start(t, inFolder(t.TempDir(), true), 0)
	s.people.PlatformUsed("1", "1", time.Now())
	s.store.Store.Close()
	if err := s.App.Close(); err != nil {
		t.Error(err)
	}
}

// Lesson 38: a restart signed everybody out, and revived what had been revoked.
func TestLesson38_RestartKeepsSessionsAndWhatHasEnded(t *testing.T) {
	folder := t.TempDir()
	s := start(t, inFolder(folder, true), 0)
	kept, ended := s.browser(t), s.browser(t)
	kept.signIn("alex")
	ended.signIn("alex")
	kept.open("/")
	kept.submit("Switch to Work")
	tab := kept.page // left open over the restart
	kept.submit("End all others")
	if err := s.App.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, inFolder(folder, true), 0)
	kept.url, ended.url = again.url, again.url
	if kept.signedOut() {
		t.Error("the restart signed out")
	}
	kept.sees("Work</h1>")
	kept.page = tab
	if p := kept.submit("Switch to My Pixelfed"); p.status != 200 {
		t.Errorf("a form from before the restart: %d", p.status)
	}
	kept.sees("My Pixelfed</h1>")
	if !ended.signedOut() {
		t.Error("what had ended lives again")
	}
}

func TestKeysAreMadeForNobodyElse(t *testing.T) {
	settings := inFolder(t.TempDir(), false)
	start(t, settings, 0)
	info, err := os.Stat(settings.KeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	if info, err = os.Stat(settings.Database.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database: %v, %v; want mode 0600", info, err)
	}
}
