package main

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tryIn sends what a script does, with the cookies of c.
func (p *process) tryIn(c *http.Client, name, password string) (w *http.Response, code string) {
	p.t.Helper()
	var csrf struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal([]byte(get(p.t, c, p.url+"/api/csrf")), &csrf); err != nil {
		p.t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]string{"username": name, "password": password})
	r, err := http.NewRequestWithContext(p.t.Context(), "POST", p.url+"/login", strings.NewReader(string(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-CSRFToken", csrf.Token)
	if w, err = c.Do(r); err != nil {
		p.t.Fatal(err)
	}
	defer w.Body.Close()
	var answer struct {
		Code string `json:"error_code"`
	}
	if err := json.NewDecoder(w.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	return w, answer.Code
}

func stranger(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// Lesson 7: a refusal for too many attempts is what arrives, of the program as it is
// run, for a page and for a script; and the right password is refused with it.
func TestLesson07_TheProgramRefusesTooManyAttempts(t *testing.T) {
	t.Parallel()
	p := launch(t, t.TempDir(), nil, "--demo", "--attempts-per-account=3")
	c := stranger(t)
	for range 3 {
		if w, code := p.tryIn(c, "alex", "wrong"); w.StatusCode != 401 || code != "INVALID_CREDENTIALS" {
			t.Fatalf("a wrong password: %d %s", w.StatusCode, code)
		}
	}
	for _, password := range []string{"wrong", "vedfolnir-demo"} {
		w, code := p.tryIn(c, "alex", password)
		seconds, err := strconv.Atoi(w.Header.Get("Retry-After"))
		if w.StatusCode != 429 || code != "RATE_LIMITED" || err != nil || seconds < 60 || seconds > 20*60 {
			t.Errorf("one more: %d %s, Retry-After %q", w.StatusCode, code, w.Header.Get("Retry-After"))
		}
	}
	p.end(syscall.SIGTERM)
}

// Lesson 34: who has the right password and is refused for another reason uses up no
// attempt, of the program as it is run, and is told as none.
func TestLesson34_TheProgramCountsNoRefusalAtTheLimit(t *testing.T) {
	t.Parallel()
	p := launch(t, t.TempDir(), []string{"SESSION_MAX_CONCURRENT_PER_USER=1", "SESSION_LIMIT_POLICY=deny"}, "--demo", "--attempts-per-account=3")
	owner, c := p.signIn("alex"), stranger(t)
	told := func() string { return get(t, owner, p.url+"/api/safety") }
	for range 8 {
		if w, code := p.tryIn(c, "alex", "vedfolnir-demo"); w.StatusCode != 409 || code != "LIMIT_REACHED" {
			t.Fatalf("at the limit of sessions: %d %s", w.StatusCode, code)
		}
	}
	if w, code := p.tryIn(c, "alex", "wrong"); w.StatusCode != 401 {
		t.Errorf("the first that fails: %d %s", w.StatusCode, code)
	}
	for patience := time.Now().Add(10 * time.Second); !strings.Contains(told(), `"kind":"failed_attempts","text":"1 failed attempt `); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("told: %s", told())
		}
	}
	p.end(syscall.SIGTERM)
}
