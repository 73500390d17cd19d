package sessionhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// walk goes through all routes that the handler says it has. Whoever adds one has
// it tested here.
type walk struct {
	*contract
	served  http.Handler
	changes atomic.Int64 // calls that a store was asked to store something by
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	w := &walk{contract: newContractOn(t, &fragile{Store: memstore.New()}, session.Config{
		Security: session.Security{MaxConcurrentPerUser: session.NoLimit},
	})}
	w.counting()
	var err error
	w.handler, err = sessionhttp.New(w.manager, sessionhttp.Config{
		Login: w.login, Logger: slog.New(slog.DiscardHandler),
		ReauthPage: http.HandlerFunc(reauthPage),
		LoginPage:  http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, w.handler.CSRFToken(rw, r)) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.served = w.handler.Wrap(http.NotFoundHandler())
	return w
}

func (w *walk) counting() {
	count := func(call string) error {
		if !slices.Contains([]string{"Get", "List", "SignInEpoch"}, call) {
			w.changes.Add(1)
		}
		return nil
	}
	w.store.fail.Store(&count)
}

// visitor is a browser over TLS: a cookie and the token that goes with it.
type visitor struct{ cookie, token string }

// person signs alex in, once more.
func (w *walk) person(t *testing.T) visitor {
	t.Helper()
	_, token, err := w.manager.Create(t.Context(), session.CreateRequest{UserID: "123"})
	if err != nil {
		t.Fatal(err)
	}
	v := visitor{cookie: "__Host-vedfolnir=" + token.Reveal()}
	v.token = tokenIn(t, w.do(t, v, "GET", "/api/csrf", nil))
	return v
}

// stranger has the cookie that the sign-in form's token is bound to.
func (w *walk) stranger(t *testing.T) visitor {
	t.Helper()
	answer := w.do(t, visitor{}, "GET", "/api/csrf", nil)
	cookie, _, _ := strings.Cut(answer.Header().Get("Set-Cookie"), ";")
	return visitor{cookie, tokenIn(t, answer)}
}

// do asks as a script of the page would, but for what forge changes. An event
// stream ends by itself.
func (w *walk) do(t *testing.T, v visitor, method, path string, forge func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	body := ""
	if method == "POST" && path == "/login" {
		body = `{"username":"sam","password":"` + sessiontest.Password + `"}`
	}
	contentType := "application/json"
	switch {
	case method == "POST" && path == "/reauth":
		contentType, body = "application/x-www-form-urlencoded", "password="+sessiontest.Password
	case method == "POST" && strings.HasSuffix(path, "/reauth"):
		body = `{"password":"` + sessiontest.Password + `"}`
	}
	ctx := t.Context()
	if strings.HasSuffix(path, "/events") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, "https://app.example"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if v.cookie != "" {
		r.Header.Set("Cookie", v.cookie)
	}
	if v.token != "" {
		r.Header.Set("X-CSRFToken", v.token)
	}
	if forge != nil {
		forge(r)
	}
	rw := httptest.NewRecorder()
	w.served.ServeHTTP(rw, r)
	return rw
}

// path fills in what a route takes.
func (w *walk) path(t *testing.T, pattern string) string {
	t.Helper()
	c, _, err := w.manager.Create(t.Context(), session.CreateRequest{UserID: "123"})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.NewReplacer("{handle}", c.Session.ID.String(), "{id}", "789").Replace(pattern)
	if strings.Contains(path, "{") {
		t.Fatalf("%s takes what this test does not know", pattern)
	}
	return path
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}

func setsSession(header http.Header) bool {
	return slices.ContainsFunc(header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, "__Host-vedfolnir=") })
}

// Every route × every method × signed in or not: the headers of a secure answer,
// nothing to be kept by a cache, no other method, and nothing changed by one that
// only shows.
func TestEveryRouteByEveryMethod(t *testing.T) {
	w := newWalk(t)
	routes := w.handler.Routes()
	if len(routes) < 15 {
		t.Fatalf("only %d routes", len(routes))
	}
	declared := map[string][]string{}
	for _, route := range routes {
		declared[route.Path] = append(declared[route.Path], route.Method)
		if route.Method == "GET" {
			declared[route.Path] = append(declared[route.Path], "HEAD")
		}
	}
	for pattern, own := range declared {
		for _, method := range methods {
			for who, v := range map[string]visitor{"signed in": w.person(t), "signed out": w.stranger(t), "for the first time": {}} {
				path := w.path(t, pattern)
				before := w.changes.Load()
				answer := w.do(t, v, method, path, nil)
				changed := w.changes.Load() != before
				what := strings.Join([]string{method, path, who}, " ")
				h := answer.Header()
				for name, want := range map[string]string{
					"Content-Security-Policy":      "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
					"Cross-Origin-Opener-Policy":   "same-origin",
					"Cross-Origin-Resource-Policy": "same-origin",
					"Referrer-Policy":              "same-origin",
					"X-Content-Type-Options":       "nosniff",
					"Strict-Transport-Security":    "max-age=31536000; includeSubDomains",
					"Access-Control-Allow-Origin":  "",
				} {
					if got := strings.Join(h.Values(name), "|"); got != want {
						t.Errorf("%s: %d: %s is %q", what, answer.Code, name, got)
					}
				}
				script := strings.HasSuffix(path, ".js") || strings.HasSuffix(path, ".mjs")
				if !script && (!slices.Contains(h.Values("Vary"), "Cookie") || strings.HasPrefix(path, "/api") && h.Get("Cache-Control") != "no-store") {
					t.Errorf("%s: %d may be kept: %v", what, answer.Code, h)
				}
				if who == "signed in" && !script && h.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d may be kept: %v", what, answer.Code, h)
				}
				if strings.HasPrefix(path, "/api") && answer.Code/100 == 3 {
					t.Errorf("%s redirects", what)
				}
				if !slices.Contains(own, method) {
					if answer.Code < 400 || changed || setsSession(h) {
						t.Errorf("%s: %d, changed %v: the route has only %v", what, answer.Code, changed, own)
					}
					if strings.HasPrefix(path, "/api") && (answer.Code != 405 || h.Get("Allow") == "") {
						t.Errorf("%s: %d, Allow %q", what, answer.Code, h.Get("Allow"))
					}
				}
				if reads := method == "GET" || method == "HEAD"; reads && (changed || setsSession(h)) {
					t.Errorf("%s: %d changes something", what, answer.Code)
				}
			}
		}
	}
}

// forgeries are all the ways in which a request is not the page's own.
var forgeries = []struct {
	name   string
	origin bool // it is the origin that is wrong, and not the token
	forge  func(w *walk, t *testing.T, r *http.Request)
}{
	{"Sec-Fetch-Site: cross-site", true, func(_ *walk, _ *testing.T, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
	{"Sec-Fetch-Site: same-site", true, func(_ *walk, _ *testing.T, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
	{"Sec-Fetch-Site: nonsense", true, func(_ *walk, _ *testing.T, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin, x") }},
	{"a foreign Origin", true, origin("https://evil.example")},
	{"a sibling's Origin", true, origin("https://evil.app.example")},
	{"the null Origin", true, origin("null")},
	{"an http Origin to an https host", true, origin("http://app.example")},
	{"an http Origin that says it is the same", true, func(_ *walk, _ *testing.T, r *http.Request) { r.Header.Set("Origin", "http://app.example") }},
	{"an Origin with another port", true, origin("https://app.example:8443")},
	{"no token", false, token(func(*walk, *testing.T, string) string { return "" })},
	{"a token of another session", false, token(func(w *walk, t *testing.T, _ string) string { return w.person(t).token })},
	{"a token of another visit", false, token(func(w *walk, t *testing.T, _ string) string { return w.stranger(t).token })},
	{"a token with one bit flipped", false, token(func(_ *walk, _ *testing.T, good string) string {
		changed := []byte(good)
		changed[len(changed)/2] ^= 1
		return string(changed)
	})},
	{"the token in the address", false, func(_ *walk, _ *testing.T, r *http.Request) {
		r.URL.RawQuery = url.Values{"csrf_token": {r.Header.Get("X-CSRFToken")}, "X-CSRFToken": {r.Header.Get("X-CSRFToken")}}.Encode()
		r.Header.Del("X-CSRFToken")
	}},
	{"the token in a cookie", false, func(_ *walk, _ *testing.T, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "csrf_token", Value: r.Header.Get("X-CSRFToken")})
		r.Header.Del("X-CSRFToken")
	}},
	{"neither header, no token", false, func(_ *walk, _ *testing.T, r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Del("X-CSRFToken")
	}},
}

func origin(value string) func(*walk, *testing.T, *http.Request) {
	return func(_ *walk, _ *testing.T, r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", value)
	}
}

func token(of func(w *walk, t *testing.T, good string) string) func(*walk, *testing.T, *http.Request) {
	return func(w *walk, t *testing.T, r *http.Request) {
		if r.Header.Set("X-CSRFToken", of(w, t, r.Header.Get("X-CSRFToken"))); r.Header.Get("X-CSRFToken") == "" {
			r.Header.Del("X-CSRFToken")
		}
	}
}

// Every route that changes something × every forgery: refused, and nothing
// changed. As its own page does it, it passes: the checks refuse nobody else.
func TestEveryRouteThatChangesSomethingAgainstEveryForgery(t *testing.T) {
	w := newWalk(t)
	for _, route := range w.handler.Routes() {
		if route.Method == "GET" {
			continue
		}
		visitors := map[string]func(*testing.T) visitor{"signed in": w.person}
		if route.Path == "/login" {
			visitors["signed out"] = w.stranger // and sign-out without a session changes nothing
		}
		for who, visit := range visitors {
			for _, f := range forgeries {
				if !f.origin && !route.Changes {
					continue
				}
				path, v := w.path(t, route.Path), visit(t)
				var answer *httptest.ResponseRecorder
				var before int64
				answer = w.do(t, v, route.Method, path, func(r *http.Request) {
					f.forge(w, t, r)
					before = w.changes.Load()
				})
				refused := strings.Contains(answer.Body.String(), `"CSRF_`)
				if f.origin {
					refused = strings.Contains(answer.Body.String(), `"CROSS_ORIGIN"`)
				}
				if answer.Code != 403 || !refused || w.changes.Load() != before || len(answer.Header()["Set-Cookie"]) > 0 {
					t.Errorf("%s %s, %s, %s: %d %s", route.Method, path, who, f.name, answer.Code, answer.Body)
				}
			}
			for _, name := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
				answer := w.do(t, visit(t), "GET", w.path(t, route.Path), func(r *http.Request) { r.Header.Set(name, route.Method) })
				if changes := setsSession(answer.Header()); changes {
					t.Errorf("%s made GET %s a %s", name, route.Path, route.Method)
				}
			}
			path, v := w.path(t, route.Path), visit(t)
			for _, own := range []func(*http.Request){nil, func(r *http.Request) { r.Header.Set("Origin", "https://app.example") }} {
				before := w.changes.Load()
				answer := w.do(t, v, route.Method, path, own)
				if answer.Code >= 400 {
					t.Errorf("%s %s, %s, by its own page: %d %s", route.Method, path, who, answer.Code, answer.Body)
				}
				unchanging := !route.Changes || strings.HasSuffix(path, "/heartbeat") || strings.HasSuffix(path, "/options")
				if changed := w.changes.Load() != before; !changed && !unchanging && own == nil {
					t.Errorf("%s %s, %s: says that it was done, and nothing was", route.Method, path, who)
				}
				if path, v = w.path(t, route.Path), visit(t); own != nil {
					break
				}
			}
		}
	}
}

// What is done for people who are signed out is done by their own page too.
func TestAnApplicationsOwnFormForPeopleSignedOut(t *testing.T) {
	var e *edge
	done := 0
	e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.h.RequireToken(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { done++ })).ServeHTTP(w, r)
	}), sessionhttp.Config{})
	good := e.visit(t)
	for _, test := range []struct {
		name, method, token string
		status              int
	}{
		{"no token", "POST", "", 403},
		{"another visit's", "POST", (&edge{t: t, handler: e.handler}).visit(t), 403},
		{"its own", "POST", good, 200},
		{"to look at it", "GET", "", 200},
	} {
		before := done
		w := e.do(test.method, "/own", "", "X-CSRFToken", test.token, "Accept", "application/json")
		if w.Code != test.status || (done > before) != (test.status == 200) {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
	}
	e.signIn()
	if w := e.do("POST", "/own", "", "X-CSRFToken", good); w.Code != 403 {
		t.Errorf("signed in, with the visit's token: %d", w.Code)
	}
	if w := e.do("POST", "/own", "", "X-CSRFToken", e.csrf()); w.Code != 200 {
		t.Errorf("signed in: %d %s", w.Code, w.Body)
	}
}
