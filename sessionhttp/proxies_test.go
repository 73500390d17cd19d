package sessionhttp_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// A set-up that breaks sign-in behind a proxy is told, with the way out, once in a
// while and to whoever reads the log: the people only see that it does not work.
func TestLesson29_ASetUpThatBreaksCookiesIsTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		remote string
		header map[string]string
		want   string // in the log; empty: nothing
		ok     bool   // signs in
	}{
		{"a proxy as it should be", "10.0.0.1:1", map[string]string{"X-Forwarded-Proto": "https"}, "", true},
		{"one whose address is written as IPv6", "[::ffff:10.0.0.1]:1", map[string]string{"X-Forwarded-Proto": "https"}, "", true},
		{"one that is named as IPv6", "192.0.2.9:1", map[string]string{"X-Forwarded-Proto": "https"}, "", true},
		{"one by its link-local address", "[fe80::7%eth0]:1", map[string]string{"X-Forwarded-Proto": "https"}, "", true},
		{"one that is not named", "172.16.0.9:1", map[string]string{"X-Forwarded-Proto": "https"}, "--trusted-proxy ADDRESS): until then nobody can sign in through it", false},
		{"one that is not named, and says it otherwise", "172.16.0.9:1", map[string]string{"Forwarded": "for=1.2.3.4;Proto=https"}, "--trusted-proxy", false},
		{"one that is not named, and says it otherwise still", "172.16.0.9:1", map[string]string{"X-Forwarded-Ssl": "on"}, "--trusted-proxy", false},
		{"a named one that does not say", "10.0.0.1:1", nil, "proxy_set_header X-Forwarded-Proto $scheme", false},
		{"a named one that says it otherwise", "10.0.0.1:1", map[string]string{"Forwarded": "proto=https"}, "proxy_set_header X-Forwarded-Proto $scheme", false},
		{"a named one that is reached by plain http", "10.0.0.1:1", map[string]string{"X-Forwarded-Proto": "http"}, "redirect plain http", false},
		{"none at all", "172.16.0.9:1", nil, "--tls-cert", false},
		{"a named one that changes Host", "10.0.0.1:1", map[string]string{"X-Forwarded-Proto": "https", "Origin": "https://people.example", "Sec-Fetch-Site": "same-origin"}, "proxy_set_header Host $http_host", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log journal
			clock := sessiontest.NewClock()
			m, err := session.New(memstore.New(), nil, session.Config{Now: clock.Now, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			h, err := sessionhttp.New(m, sessionhttp.Config{
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
				TrustedProxies: []netip.Prefix{
					netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("fe80::/64"),
				},
				Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
					return session.CreateRequest{UserID: "1"}, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			served := h.Wrap(http.NotFoundHandler())
			cookie, token := "", ""
			ask := func(method, path, body string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, "http://backend:8080"+path, strings.NewReader(body))
				r.RemoteAddr = test.remote
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Cookie", cookie)
				r.Header.Set("X-CSRFToken", token)
				for name, value := range test.header {
					r.Header.Set(name, value)
				}
				w := httptest.NewRecorder()
				served.ServeHTTP(w, r)
				return w
			}
			signIn := func() int {
				visit := ask("GET", "/api/csrf", "")
				cookie, _, _ = strings.Cut(visit.Header().Get("Set-Cookie"), ";")
				token = tokenIn(t, visit)
				return ask("POST", "/login", `{"username":"1","password":"x"}`).Code
			}
			for range 20 {
				cookie = ""
				if code := signIn(); (code == 200) != test.ok {
					t.Fatalf("signing in: %d", code)
				}
			}
			told := strings.Count(log.String(), "level=WARN")
			if want := min(len(test.want), 1); told != want || !strings.Contains(log.String(), test.want) {
				t.Errorf("told %d times, want %d, with %q:\n%s", told, want, test.want, log.String())
			}
			if test.want == "" {
				return
			}
			clock.Advance(time.Hour)
			cookie = ""
			signIn()
			if again := strings.Count(log.String(), "level=WARN"); again != 2 {
				t.Errorf("an hour later it has been told %d times in all", again)
			}
		})
	}
}

// A stranger who writes forwarded headers changes nothing in any answer.
func TestSpoofedForwardedHeadersChangeNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	// Another network than the one of signing in would be a signal.
	_, token, err := e.manager.Create(t.Context(), session.CreateRequest{UserID: "1", Client: session.Client{IPAddress: "192.0.2.7"}})
	if err != nil {
		t.Fatal(err)
	}
	plain := "vedfolnir=" + token.Reveal()
	e.cookie = "__Host-" + plain
	ask := func(tls bool, spoof map[string]string) *httptest.ResponseRecorder {
		scheme, cookie := "http", plain
		if tls {
			scheme, cookie = "https", e.cookie
		}
		r := httptest.NewRequest("GET", scheme+"://example.com/api/session/security", nil)
		r.RemoteAddr = "192.0.2.7:1234"
		r.Header.Set("Cookie", cookie)
		for name, value := range spoof {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(w, r)
		return w
	}
	for _, tls := range []bool{true, false} {
		honest := ask(tls, nil)
		if honest.Code != 200 || !strings.Contains(honest.Body.String(), `"signals":[]`) {
			t.Fatalf("%d %s", honest.Code, honest.Body)
		}
		for _, spoof := range []map[string]string{
			{"X-Forwarded-For": "203.0.113.9"},
			{"X-Forwarded-For": "10.0.0.1"},
			{"X-Forwarded-Proto": "https"},
			{"X-Forwarded-Proto": "http"},
			{"X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "1", "X-Forwarded-Server": "evil.example"},
			{"Forwarded": "for=203.0.113.9;proto=https;host=evil.example"},
			{"X-Real-Ip": "203.0.113.9", "True-Client-Ip": "203.0.113.9", "Cf-Connecting-Ip": "203.0.113.9"},
			{"X-Original-Url": "/api/csrf", "X-Rewrite-Url": "/api/csrf"},
		} {
			got := ask(tls, spoof)
			for _, name := range []string{"Strict-Transport-Security", "Set-Cookie", "Location", "Vary", "Cache-Control"} {
				if got.Header().Get(name) != honest.Header().Get(name) {
					t.Errorf("%v makes %s %q", spoof, name, got.Header().Get(name))
				}
			}
			body, want := seconds.ReplaceAllString(got.Body.String(), ""), seconds.ReplaceAllString(honest.Body.String(), "")
			if got.Code != honest.Code || body != want {
				t.Errorf("%v: %d %s\nis not %s", spoof, got.Code, body, want)
			}
		}
	}
}

var seconds = regexp.MustCompile(`"[a-z_]+_seconds":\d+,?`)
