package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestHeadersOfEveryRoute(t *testing.T) {
	s := demo(t)
	signedIn := s.browser(t)
	signedIn.signIn("alex")
	for _, b := range []*browser{s.browser(t), signedIn} {
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, c := range []struct{ method, path string }{
			{"GET", "/"},
			{"GET", "/login"},
			{"GET", "/nothing"},
			{"GET", "/index.html"},
			{"GET", "/livez"},
			{"GET", "/readyz"},
			{"GET", "/assets/none.css"},
			{"GET", "/assets/"},
			{"GET", s.pages.Assets().Path("app.css")},
			{"GET", "/session-sync.js"},
			{"GET", "/switch"},
			{"POST", "/switch"},
			{"POST", "/sessions/x/end"},
			{"POST", "/sessions/end-others"},
			{"GET", "/logout"},
			{"POST", "/logout"},
			{"POST", "/login"},
			{"DELETE", "/"},
			{"GET", "/api"},
			{"GET", "/api/none"},
			{"GET", "/api//x"},
			{"GET", "/api/session_state"},
			{"DELETE", "/api/session_state"},
			{"POST", "/api/session/cleanup"},
			{"GET", "//"},
			{"GET", "/a/../b"},
		} {
			p := b.do(c.method, c.path, nil)
			for name, want := range map[string]string{
				"Content-Security-Policy":      "frame-ancestors 'none'",
				"X-Content-Type-Options":       "nosniff",
				"Referrer-Policy":              "same-origin",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := p.header.Get(name); !strings.Contains(got, want) {
					t.Errorf("%s %s (%d): %s is %q", c.method, c.path, p.status, name, got)
				}
			}
			if policy := p.header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") {
				t.Errorf("%s %s: %s", c.method, c.path, policy)
			}
			public := strings.HasPrefix(c.path, "/assets/app.") || c.path == "/session-sync.js"
			if kept := p.header.Get("Cache-Control"); kept != "no-store" && !public && p.status != http.StatusTemporaryRedirect {
				t.Errorf("%s %s (%d): Cache-Control is %q", c.method, c.path, p.status, kept)
			}
			if strings.HasPrefix(c.path, "/api") && p.status < 400 && p.status >= 300 {
				t.Errorf("%s %s redirects", c.method, c.path)
			}
		}
	}
}

func TestNoOtherPathIsHome(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.signIn("alex")
	for _, path := range []string{"/nothing", "/home", "/index.html", "/login/x", "/api2", "/switch", "/api/session_state/x.css"} {
		if p := b.open(path); p.status != 404 {
			t.Errorf("GET %s: %d", path, p.status)
		}
	}
	b.open("/nothing")
	b.sees("There is nothing here", "Sign out")
}

func TestDemoAnswersThisMachineOnly(t *testing.T) {
	s := demo(t)
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"Host", "localhost:8080", 200},
		{"Host", "[::1]:8080", 200},
		{"Host", "[::1]", 200},
		{"Host", "127.0.0.2", 200},
		{"Accept", "*/*", 200},
		{"Host", "evil.example", 421},
		{"Host", "evil.example:8080", 421},
		{"Host", "localhost.evil.example", 421},
		{"Host", "10.0.0.1", 421},
		{"X-Forwarded-For", "127.0.0.1", 421},
		{"Forwarded", "for=127.0.0.1", 421},
		{"X-Real-IP", "127.0.0.1", 421},
		{"X-Forwarded-Host", "localhost", 421},
	} {
		for _, path := range []string{"/login", "/api/csrf", "/livez"} {
			if p := s.browser(t).do("GET", path, nil, c.name, c.value); p.status != c.status {
				t.Errorf("%s with %s: %s: %d, want %d", path, c.name, c.value, p.status, c.status)
			}
		}
	}
}

func TestReadiness(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	if p := b.open("/readyz"); p.status != 200 {
		t.Errorf("at first: %d", p.status)
	}
	s.draining.Store(true)
	if p := b.open("/readyz"); p.status != 503 || p.header.Get("Retry-After") == "" {
		t.Errorf("draining: %d %v", p.status, p.header)
	}
	s.draining.Store(false)
	s.store.Store.Close()
	if p := b.open("/readyz"); p.status != 503 {
		t.Errorf("without a database: %d", p.status)
	}
	if p := b.open("/livez"); p.status != 200 {
		t.Errorf("a process without a database lives: %d", p.status)
	}
}
