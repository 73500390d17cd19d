package sessionhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// Nobody has to choose a setting to be safe.
func TestTheZeroConfigIsSafe(t *testing.T) {
	m, err := session.New(memstore.New(), nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := sessionhttp.New(m, sessionhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	served := h.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	w := httptest.NewRecorder()
	if _, err := h.SignIn(w, httptest.NewRequest("POST", "https://example.com/login", nil), "1"); err != nil {
		t.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("the cookie is %s", cookie)
	}

	plain := httptest.NewRequest("POST", "http://example.com/login", nil)
	plain.Header.Set("X-Forwarded-Proto", "https") // anybody can say so
	if _, err := h.SignIn(httptest.NewRecorder(), plain, "1"); !errors.Is(err, sessionhttp.ErrPlainHTTP) {
		t.Errorf("signed in over plain http: %v", err)
	}

	browser := newBrowser(served).signIn(h, "1")
	for want, headers := range map[string][]string{
		"403 CSRF_INVALID": {"Sec-Fetch-Site", "same-origin", "Accept", "application/json"},
		"403 CROSS_ORIGIN": {"Sec-Fetch-Site", "cross-site", "Accept", "application/json"},
	} {
		if got := browser.do("POST", "/", "", headers...); got != want {
			t.Errorf("a post with %v: %s, want %s", headers, got, want)
		}
	}
	if got := browser.post("/", ""); got != "200" {
		t.Errorf("a post with the token: %s", got)
	}
	header := browser.ask("GET", "/", "").Header()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "Vary": "Cookie", "Cache-Control": "no-store",
	} {
		if got := header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}

	// Both ends of a session come by themselves, and a person has not any number.
	if c := m.Config(); c.Timeout.IdleTimeout > 24*time.Hour || c.Timeout.AbsoluteTimeout > 7*24*time.Hour || c.Security.MaxConcurrentPerUser != 5 || c.Features.NoBackgroundCleanup || c.Security.NoAuditLogging {
		t.Errorf("in force: %+v", c)
	}
}
