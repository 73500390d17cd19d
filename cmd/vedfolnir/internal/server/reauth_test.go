package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// asks is what a script sends to the API.
func (b *browser) asks(method, path, body string) page {
	b.t.Helper()
	token, _, _ := strings.Cut(strings.SplitN(b.open("/api/csrf").body, `"csrf_token":"`, 2)[1], `"`)
	return b.do(method, path, strings.NewReader(body), "Content-Type", "application/json", "X-CSRFToken", token)
}

// 7.5.1–3: whoever finds a browser that somebody left signed in cannot end the other
// sessions, nor take away what is stored, without proving who they are; their owner is
// asked once, on a page without script, and goes on where they were.
func TestWhatIsSensitiveAsksForAFreshProof(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	desk, phone := s.browser(t), s.browser(t)
	desk.signIn("alex")
	phone.signIn("alex")
	desk.open("/")
	phones := strings.Split(strings.SplitN(desk.page.body, `action="/sessions/`, 3)[2], "/end")[0]
	s.ahead.Add(int64(config.DefaultReauthAfter))

	desk.open("/")
	desk.submit("End all others")
	if desk.page.path != "/reauth" || phone.signedOut() {
		t.Fatalf("at %s", desk.page.path)
	}
	desk.sees("You are signed in as <strong>alex</strong>", `autocomplete="current-password"`)
	for _, sensitive := range []struct{ method, path string }{
		{"POST", "/api/sessions/revoke_others"}, {"DELETE", "/api/sessions/" + phones}, {"GET", exportPath},
	} {
		if p := desk.asks(sensitive.method, sensitive.path, ""); p.status != 403 || !strings.Contains(p.body, `"REAUTH_REQUIRED"`) || !strings.Contains(p.body, `"max_age_seconds":600`) {
			t.Errorf("%s %s: %d %s", sensitive.method, sensitive.path, p.status, p.body)
		}
	}
	if phone.signedOut() {
		t.Fatal("the phone is signed out")
	}

	if p := desk.open("/reauth?next=/api/export"); p.path != "/reauth" {
		t.Fatalf("at %s", p.path)
	}
	if p := desk.submit("Confirm", "password", "wrong"); p.status != 401 || p.path != "/reauth" {
		t.Errorf("a wrong password: %d at %s", p.status, p.path)
	}
	desk.sees("The password is wrong.", `value="/api/export"`)
	before := desk.cookie()
	if p := desk.submit("Confirm", "password", directory.DemoPassword); p.path != exportPath || p.header.Get("Content-Disposition") == "" {
		t.Fatalf("%d at %s", p.status, p.path)
	}
	if desk.cookie() == before {
		t.Error("the token is the one of before")
	}
	if p := desk.open("/reauth?next=/password"); p.path != "/password" {
		t.Errorf("asked again, at %s", p.path)
	}
	desk.open("/")
	desk.submit("End all others")
	desk.sees("All your other sessions have ended.")
	if !phone.signedOut() {
		t.Error("the phone is signed in")
	}
	s.notes.Wait()
	alex := entry(t, s.site, "alex").ID
	if lines := s.told(t, "reauthenticated"); len(lines) != 1 || lines[0].User != alex {
		t.Errorf("%+v", lines)
	}
	if lines := s.told(t, "sign_in_refused"); len(lines) != 1 || lines[0].User != alex {
		t.Errorf("%+v", lines)
	}
}

// 6.3.1: a proof is under the limits of sign-ins, and ends nothing when they are used up.
func TestAProofIsUnderTheLimitsOfAttempts(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	b := s.browser(t)
	b.signIn("alex")
	s.ahead.Add(int64(config.DefaultReauthAfter))
	for range perAccount {
		if p := b.asks("POST", "/api/session/reauth", `{"password":"wrong"}`); p.status != 401 || !strings.Contains(p.body, `"INVALID_CREDENTIALS"`) {
			t.Fatalf("%d %s", p.status, p.body)
		}
	}
	right := `{"password":"` + directory.DemoPassword + `"}`
	p := b.asks("POST", "/api/session/reauth", right)
	if wait := retryAfter(t, p); p.status != 429 || !strings.Contains(p.body, `"RATE_LIMITED"`) {
		t.Errorf("%d %s, in %v", p.status, p.body, wait)
	}
	b.open("/reauth")
	if p := b.submit("Confirm", "password", directory.DemoPassword); p.status != 429 || retryAfter(t, p) == 0 {
		t.Errorf("%d", p.status)
	}
	if b.signedOut() {
		t.Fatal("signed out")
	}
	s.ahead.Add(int64(retryAfter(t, b.asks("POST", "/api/session/reauth", right))))
	if p := b.asks("POST", "/api/session/reauth", right); p.status != 200 {
		t.Errorf("%d %s", p.status, p.body)
	}
}

// Whoever changes their password has just given the old one.
func TestAChangeOfPasswordIsAProof(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	b := s.browser(t)
	b.signIn("alex")
	s.ahead.Add(int64(config.DefaultReauthAfter))
	if p := b.open("/reauth?next=/api/export"); p.path != "/reauth" {
		t.Fatalf("at %s", p.path)
	}
	b.change(directory.DemoPassword, newPassword, newPassword)
	if p := b.open(exportPath); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
}

// A sign that somebody else has the cookie takes away what was proved, and the owner's
// proof settles it.
func TestWhatIsSuspiciousAsksForAFreshProof(t *testing.T) {
	s := limitedIn(t, t.TempDir(), func(c *config.Settings) { c.Session.Security.Suspicion.StepUpScore = 40 })
	b := s.browser(t)
	b.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	b.signIn("alex")
	if p := b.open("/reauth?next=/password"); p.path != "/password" {
		t.Fatalf("at %s", p.path)
	}
	b.agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	if p := b.open("/reauth?next=/password"); p.path != "/reauth" {
		t.Fatalf("at %s", p.path)
	}
	b.submit("Confirm", "password", directory.DemoPassword)
	for range 2 {
		if p := b.open("/reauth?next=/password"); p.path != "/password" {
			t.Errorf("at %s", p.path)
		}
	}
	list, err := s.manager.List(t.Context(), session.UserID(entry(t, s.site, "alex").ID))
	if err != nil || len(list) != 1 || list[0].Security.Score != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
