package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// limited is a server with few attempts, and a clock that goes when it is told to.
type limited struct {
	*site
	ahead atomic.Int64 // of the real clock
}

const perAccount, perAddress = 3, 8

func limitedIn(t *testing.T, folder string, change func(*config.Settings)) *limited {
	t.Helper()
	l := &limited{}
	s := inFolder(folder, true)
	s.AttemptsPerAccount, s.AttemptsPerAddress = perAccount, perAddress
	s.Session.Now = func() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }
	if change != nil {
		change(&s)
	}
	l.site = start(t, s, slog.LevelInfo)
	return l
}

// tryIn sends the form.
func (b *browser) tryIn(name, password string) page {
	b.t.Helper()
	b.open("/login")
	return b.submit(`type="password"`, "username", name, "password", password)
}

// tryJSON sends what a script does.
func (b *browser) tryJSON(name, password string) (p page, code string) {
	b.t.Helper()
	var csrf struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal([]byte(b.open("/api/csrf").body), &csrf); err != nil {
		b.t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]string{"username": name, "password": password})
	p = b.do("POST", "/login", strings.NewReader(string(body)), "Content-Type", "application/json", "Accept", "application/json", "X-CSRFToken", csrf.Token)
	var answer struct {
		Code string `json:"error_code"`
	}
	if err := json.Unmarshal([]byte(p.body), &answer); err != nil {
		b.t.Fatalf("%d: %v: %s", p.status, err, p.body)
	}
	return p, answer.Code
}

func (b *browser) burn(name string, times int) {
	b.t.Helper()
	for range times {
		if p := b.tryIn(name, "wrong"); p.status != 401 {
			b.t.Fatalf("a wrong password for %s: %d", name, p.status)
		}
	}
}

func retryAfter(t *testing.T, p page) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(p.header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		t.Errorf("Retry-After %q", p.header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

// Lesson 7: rate limits refused nobody, for the 429 was swallowed by an outer handler.
func TestLesson07_TooManyAttemptsAreToldSo(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	b := s.browser(t)
	for _, name := range []string{"alex", "nobody"} { // and there is no telling who is there
		b.burn(name, perAccount)
		p := b.tryIn(name, directory.DemoPassword)
		if wait := retryAfter(t, p); p.status != 429 || p.path != "/login" || wait > 20*time.Minute || wait < 19*time.Minute {
			t.Errorf("%s: the form: %d at %s, in %v", name, p.status, p.path, wait)
		}
		b.sees("Too many attempts. Please try again in 20 minutes.", `value="`+name+`"`)
		p, code := b.tryJSON(strings.ToUpper(name), directory.DemoPassword)
		if retryAfter(t, p); p.status != 429 || code != "RATE_LIMITED" {
			t.Errorf("%s: JSON: %d %s", name, p.status, p.body)
		}
	}
	// One comes back when it was said to, and is the only one.
	wait := retryAfter(t, b.tryIn("alex", "wrong"))
	s.ahead.Add(int64(wait))
	b.burn("alex", 1)
	p := b.tryIn("alex", directory.DemoPassword)
	if p.status != 429 {
		t.Errorf("a second one: %d", p.status)
	}
	s.ahead.Add(int64(retryAfter(t, p)))
	if p := b.tryIn("alex", directory.DemoPassword); p.status != 200 || p.path != "/" {
		t.Errorf("when one came back: %d at %s", p.status, p.path)
	}
}

// 6.1.1: whoever uses up every limit does not keep the owner out on a device that
// they have signed in with before.
func TestAnOwnersDeviceIsNotLockedOut(t *testing.T) {
	folder := t.TempDir()
	s := limitedIn(t, folder, nil)
	own, attacker := s.browser(t), s.browser(t)
	own.signIn("alex")
	own.submit("Sign out") // which leaves the device known
	attacker.signIn("sam") // and so has a known device too, for their own account
	attacker.submit("Sign out")

	attacker.burn("alex", perAccount)
	attacker.burn("alex@example.com", perAccount)
	attacker.burn("nobody", perAddress-2*perAccount)
	for _, name := range []string{"alex", "alex@example.com", "somebody"} {
		if p := attacker.tryIn(name, directory.DemoPassword); p.status != 429 {
			t.Fatalf("the attacker as %s: %d", name, p.status)
		}
	}
	if p := s.browser(t).tryIn("alex", directory.DemoPassword); p.status != 429 {
		t.Errorf("the owner on another device: %d", p.status)
	}
	// Neither a restart of the server nor another way to write the name changes any
	// of that.
	s.App.Close()
	s = limitedIn(t, folder, nil)
	own.url, attacker.url = s.url, s.url
	for _, from := range []*browser{own, attacker} {
		moveCookies(t, from, s.url)
	}
	if p := attacker.tryIn("alex", directory.DemoPassword); p.status != 429 {
		t.Errorf("the attacker after a restart: %d", p.status)
	}
	for _, name := range []string{"alex", "ALEX@example.com"} {
		if p := own.tryIn(name, directory.DemoPassword); p.status != 200 || p.path != "/" {
			t.Fatalf("the owner on a device of theirs as %s: %d at %s", name, p.status, p.path)
		}
		own.submit("Sign out")
	}
	// The device has a limit of its own.
	own.burn("alex", perAccount)
	if p := own.tryIn("alex", directory.DemoPassword); p.status != 429 {
		t.Errorf("guessing on the device: %d", p.status)
	}
}

// moveCookies: a restarted test server has another port, and cookies know no ports.
func moveCookies(t *testing.T, b *browser, to string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range b.client.Jar.Cookies(u) {
		found = found || c.Name == "vedfolnir-device"
	}
	if !found {
		t.Fatal("the device's cookie is gone")
	}
}

// Lesson 34: a sign-in refused at the session limit counted as brute force.
func TestLesson34_WhatIsNoFailureIsNotCounted(t *testing.T) {
	s := limitedIn(t, t.TempDir(), func(c *config.Settings) {
		c.Session.Security.MaxConcurrentPerUser, c.Session.Security.LimitPolicy = 1, session.DenyNewest
	})
	s.browser(t).signIn("alex")
	b := s.browser(t)
	for range 2 * perAddress {
		if p, code := b.tryJSON("alex", directory.DemoPassword); p.status != 409 || code != "LIMIT_REACHED" {
			t.Fatalf("at the limit of sessions: %d %s", p.status, p.body)
		}
		b.open("/login")
		if p := b.submit(`type="password"`, "username", "alex", "password", "wrong", "csrf_token", "wrong"); p.status != 403 {
			t.Fatalf("without its token: %d", p.status)
		}
		if p, code := b.tryJSON("alex", ""); code != "BAD_REQUEST" {
			t.Fatalf("no password: %d %s", p.status, p.body)
		}
	}
	// The directory breaks for a while: what cannot be checked is no failure.
	if _, err := s.store.DB().Exec(`UPDATE directory_people SET password = 'broken ' || password`); err != nil {
		t.Fatal(err)
	}
	for range 2 * perAddress {
		if p, code := b.tryJSON("alex", "wrong"); p.status != 503 || code != "UNAVAILABLE" {
			t.Fatalf("what cannot be read: %d %s", p.status, p.body)
		}
	}
	if _, err := s.store.DB().Exec(`UPDATE directory_people SET password = substr(password, 8)`); err != nil {
		t.Fatal(err)
	}
	b.burn("alex", perAccount)
	if p := b.tryIn("alex", "wrong"); p.status != 429 {
		t.Errorf("one more than there are: %d", p.status)
	}
}

func TestTheFirstStartsCodeIsLimitedToo(t *testing.T) {
	settings := inFolder(t.TempDir(), false)
	settings.AttemptsPerAddress = perAddress
	s := start(t, settings, slog.LevelInfo)
	b := s.browser(t)
	for range perAddress {
		if p := become(b, "eve", firstPassword, "AAAAAAAAAAAAAAAAAAAAAAAAAA"); p.status != 403 {
			t.Fatalf("a wrong code: %d", p.status)
		}
	}
	if p := become(b, "eve", firstPassword, s.code); p.status != http.StatusTooManyRequests {
		t.Errorf("the right code after too many: %d", p.status)
	}
	retryAfter(t, b.page)
	b.sees("Too many attempts", "Please try again in 8 minutes.")
}

// What is stored of attempts tells neither names nor addresses.
func TestAttemptsAreStoredUnderNamesThatTellNothing(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	s.browser(t).burn("my-secret-password", 1)
	rows, err := s.store.DB().Query(`SELECT bucket FROM directory_attempts`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var bucket string
		if err := rows.Scan(&bucket); err != nil {
			t.Fatal(err)
		}
		n++
		if len(bucket) != 43 || strings.Contains(bucket, "secret") || strings.Contains(bucket, "127.0") {
			t.Errorf("a bucket is called %q", bucket)
		}
	}
	if n != 2 || rows.Err() != nil {
		t.Errorf("%d buckets, %v", n, rows.Err())
	}
}
