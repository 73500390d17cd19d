package server

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/monitor"
	"github.com/vedfolnir/session/sessionhttp"
)

// A route without its checks does not let the server start.
func TestARouteWithoutItsChecksIsRefused(t *testing.T) {
	s := demo(t)
	nothing := func(http.ResponseWriter, *http.Request) {}
	for name, r := range map[string]route{
		"a change for everybody":        {"POST", "/a", everybody, nothing},
		"a pattern for everybody":       {"GET", "/a/{b}", everybody, nothing},
		"one that everybody has":        {"GET", "/livez", everybody, nothing},
		"any method":                    {"", "/a", person, nothing},
		"a method that browsers send":   {"OPTIONS", "/a", person, nothing},
		"HEAD, which GET has":           {"HEAD", "/a", visitor, nothing},
		"a route of the session's own":  {"POST", "/login", visitor, nothing},
		"a route of the session's API":  {"GET", "/api/csrf", visitor, nothing},
		"sign-out, with other manners":  {"POST", "/logout", person, nothing},
		"the sync API's change by PATH": {"POST", "/api/switch_platform/{id}", person, nothing},
	} {
		if _, err := s.newRouter(append(s.table(), r)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	// And one that is declared as it should be has them.
	done := 0
	table := append(s.table(), route{"DELETE", "/own", person, func(http.ResponseWriter, *http.Request) { done++ }})
	r, err := s.newRouter(table)
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{site: s, served: r.handler(s.sessions)}
	v := w.person(t)
	for _, f := range forgeries {
		if answer := w.do(t, v, "DELETE", "/own", f.forge); answer.Code != 403 || done > 0 {
			t.Errorf("%s: %d", f.name, answer.Code)
		}
	}
	if answer := w.do(t, v, "DELETE", "/own", nil); answer.Code != 200 || done != 1 {
		t.Errorf("by its own page: %d", answer.Code)
	}
	if answer := w.do(t, visitor0, "DELETE", "/own", nil); answer.Code != 401 || done != 1 {
		t.Errorf("by nobody: %d", answer.Code)
	}
}

// walk goes through all routes of a server, as a browser over TLS would.
type walk struct {
	*site
	served http.Handler

	changes int      // of alex's password
	keys    *holding // nil: nobody has a passkey

	conn    *sql.Conn // what is stored is read by
	version int64     // of what it has seen committed
	hash    string    // of what was stored then
}

// password is alex's after so many changes.
func (w *walk) password(changes int) string {
	if changes == 0 {
		return directory.DemoPassword
	}
	return fmt.Sprint(newPassword, changes)
}

// change is the form of a change of password.
func (w *walk) change() url.Values {
	next := w.password(w.changes + 1)
	return url.Values{"current": {w.password(w.changes)}, "password": {next}, "again": {next}}
}

// every route, the session handler's own too.
func (w *walk) every() (all []sessionhttp.Route) {
	for _, r := range w.table() {
		if r.who == machine { // no browser asks for it: TestTheSignOutEndpoint
			continue
		}
		all = append(all, sessionhttp.Route{Method: r.method, Path: r.pattern, Changes: r.method != "GET", Public: r.who <= visitor})
	}
	return append(all, w.sessions.Routes()...)
}

type visit struct{ cookie, token string }

var visitor0 visit

func (w *walk) do(t *testing.T, v visit, method, path string, forge func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	body, kind := "", "application/json"
	switch {
	case path == "/login" && method == "POST":
		body = `{"username":"sam","password":"` + directory.DemoPassword + `"}`
	case path == "/password" && method == "POST" && w.demo:
		body, kind = w.change().Encode(), "application/x-www-form-urlencoded"
	case path == "/api/session/reauth" && method == "POST" && w.demo:
		body = `{"password":"` + w.password(w.changes) + `"}`
	case path == "/reauth" && method == "POST" && w.demo:
		body, kind = url.Values{"password": {w.password(w.changes)}}.Encode(), "application/x-www-form-urlencoded"
	case path == "/openid/unlink" && method == "POST":
		body, kind = url.Values{"issuer": {alexThere.Issuer}, "subject": {alexThere.Subject}}.Encode(), "application/x-www-form-urlencoded"
	case w.keys != nil && method == "POST" && w.keys.knows(path):
		body, kind = w.keys.fill(t, w, v, path)
	case path == "/switch" && method == "POST" && w.demo:
		body, kind = "to="+w.other(t), "application/x-www-form-urlencoded"
	}
	ctx := t.Context()
	if strings.HasSuffix(path, "/events") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, "https://localhost"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", kind)
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
	if path == "/password" && method == "POST" && rw.Code == http.StatusSeeOther {
		w.changes++
	}
	if path == recoverPath && rw.Code == http.StatusSeeOther {
		w.keys.codes = w.keys.codes[1:]
	}
	return rw
}

// alexThere is who alex is at a provider.
var alexThere = directory.Identity{Issuer: "https://id.example.org", Subject: "alex"}

// alex is the person of the walk.
func (w *walk) alex(t *testing.T) session.UserID { return w.named(t, "alex") }

func (w *walk) named(t *testing.T, name string) session.UserID {
	t.Helper()
	account, err := w.people.Find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return account.ID
}

// other is a platform that alex does not begin with.
func (w *walk) other(t *testing.T) string {
	t.Helper()
	person, err := w.people.Person(t.Context(), w.alex(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range person.Platforms {
		if !p.IsDefault {
			return string(p.ID)
		}
	}
	t.Fatal("alex has one platform")
	return ""
}

func (w *walk) session(t *testing.T) (session.ID, string) { return w.sessionOf(t, w.alex(t)) }

func (w *walk) sessionOf(t *testing.T, user session.UserID) (session.ID, string) {
	t.Helper()
	c, token, err := w.manager.Create(t.Context(), session.CreateRequest{UserID: user})
	if err != nil {
		t.Fatal(err)
	}
	return c.Session.ID, "__Host-vedfolnir=" + token.Reveal()
}

func (w *walk) administrator(t *testing.T) visit {
	t.Helper()
	_, cookie := w.sessionOf(t, w.named(t, "admin"))
	return visit{cookie, token(t, w.do(t, visit{cookie: cookie}, "GET", "/api/csrf", nil))}
}

func (w *walk) person(t *testing.T) visit {
	t.Helper()
	_, cookie := w.session(t)
	return visit{cookie, token(t, w.do(t, visit{cookie: cookie}, "GET", "/api/csrf", nil))}
}

func (w *walk) stranger(t *testing.T) visit {
	t.Helper()
	answer := w.do(t, visitor0, "GET", "/api/csrf", nil)
	cookie, _, _ := strings.Cut(answer.Header().Get("Set-Cookie"), ";")
	return visit{cookie, token(t, answer)}
}

func token(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Token == "" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return body.Token
}

// path fills in what a route takes.
func (w *walk) path(t *testing.T, pattern string) string {
	t.Helper()
	switch pattern {
	case "/{$}":
		return "/"
	case "/openid/unlink":
		if err := w.people.Link(t.Context(), w.alex(t), alexThere, time.Now()); err != nil {
			t.Fatal(err)
		}
	case "/people/{id}/act-as", "/api/admin/impersonate/{id}":
		return strings.Replace(pattern, "{id}", string(w.alex(t)), 1)
	case "/api/switch_platform/{id}":
		return "/api/switch_platform/" + w.other(t)
	case "/api/sessions/{handle}", "/sessions/{id}/end":
		id, _ := w.session(t)
		return strings.NewReplacer("{handle}", id.String(), "{id}", id.String()).Replace(pattern)
	}
	if prefix, ok := strings.CutSuffix(pattern, "/seen/{id}"); ok {
		return prefix + "/seen/1"
	}
	if strings.Contains(pattern, "{") {
		t.Fatalf("%s takes what this test does not know", pattern)
	}
	return pattern
}

// stored is a hash of what the database holds, but for the audit, in which a refusal
// has its line. It is read anew if another connection has committed anything since, and
// this one only reads.
func (w *walk) stored(t *testing.T) string {
	t.Helper()
	w.notes.Wait()
	w.soon.settle()
	if w.conn == nil {
		var err error
		if w.conn, err = w.store.DB().Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.conn.Close() })
	}
	var version int64
	if err := w.conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if version == w.version {
		return w.hash
	}
	names, err := w.conn.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'session_audit%' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	names.Close()
	sum := sha256.New()
	for _, table := range tables {
		rows, err := w.conn.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		for rows.Next() {
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if columns[i] != "last_used" { // of a platform: written some time after the switch
					fmt.Fprintf(sum, "%x\x00", *v.(*any))
				}
			}
		}
		rows.Close()
	}
	w.version, w.hash = version, string(sum.Sum(nil))
	return w.hash
}

var forgeries = []struct {
	name, code string
	forge      func(*http.Request)
}{
	{"from another site", "CROSS_ORIGIN", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
	{"from a sibling domain", "CROSS_ORIGIN", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
	{"a foreign Origin", "CROSS_ORIGIN", func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
	}},
	{"an http Origin", "CROSS_ORIGIN", func(r *http.Request) { r.Header.Set("Origin", "http://localhost") }},
	{"no token", "CSRF_INVALID", func(r *http.Request) { r.Header.Del("X-CSRFToken") }},
	{"a token cut short", "CSRF_INVALID", func(r *http.Request) { r.Header.Set("X-CSRFToken", r.Header.Get("X-CSRFToken")[1:]) }},
}

// Every route of the program × every method × whoever asks: the headers of a
// secure answer, nothing that a cache keeps, a name to be counted under, nothing
// changed by what only shows; and × every forgery, for what changes something.
func TestEveryRouteOfTheProgram(t *testing.T) {
	first, _ := firstServer(t)
	provided, _ := withProvider(t, nil)
	for name, s := range map[string]*site{"with people": demo(t), "without people": first, "beside a provider": provided} {
		t.Run(name, func(t *testing.T) {
			w := &walk{site: s, served: s.handler}
			peopled := s.demo
			if peopled {
				w.keys = w.hold(t)
				before := w.stored(t)
				if w.person(t); w.stored(t) == before {
					t.Fatal("a sign-in changes nothing that is stored: this test looks in the wrong place")
				}
			}
			declared := map[string][]string{"/nothing": nil, "/api/none": nil, "/api//csrf": nil, "/assets/none.css": nil, "//": nil, "/a/../b": nil}
			for _, r := range w.every() {
				declared[r.Path] = append(declared[r.Path], r.Method)
				if r.Method == "GET" {
					declared[r.Path] = append(declared[r.Path], "HEAD")
				}
			}
			if len(declared) < 25 {
				t.Fatalf("only %d routes", len(declared))
			}
			for pattern, own := range declared {
				visits := map[string]visit{"for the first time": visitor0, "signed out": w.stranger(t)}
				if peopled {
					visits["signed in"] = w.person(t)
				}
				path := pattern
				if peopled {
					path = w.path(t, pattern)
				} else if strings.Contains(pattern, "{") {
					continue
				}
				if own != nil && monitor.Route(path) == "other" {
					t.Errorf("%s is counted among others: give it a name in the monitor", path)
				}
				for who, v := range visits {
					before := w.stored(t)
					for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
						answer := w.do(t, v, method, path, nil)
						after := w.stored(t)
						what := fmt.Sprintf("%s %s, %s: %d", method, path, who, answer.Code)
						w.secure(t, what, path, answer)
						reads := method == "GET" || method == "HEAD"
						if !slices.Contains(own, method) && answer.Code < 400 && answer.Code != http.StatusTemporaryRedirect {
							t.Errorf("%s: the route has only %v", what, own)
						}
						if (reads || !slices.Contains(own, method)) && after != before {
							t.Errorf("%s changes something", what)
						}
						before = after
					}
				}
			}
			for _, r := range w.every() {
				if r.Method == "GET" || !peopled && strings.Contains(r.Path, "{") {
					continue
				}
				visits := map[string]func(*testing.T) visit{}
				if peopled {
					visits["signed in"] = w.person
					if strings.HasPrefix(r.Path, "/people/") || strings.HasPrefix(r.Path, "/api/admin/") {
						visits["signed in"] = w.administrator
					}
				}
				if r.Public && r.Path != "/logout" && r.Changes {
					visits["signed out"] = w.stranger
				}
				for who, visit := range visits {
					path, v := r.Path, visit(t)
					if peopled {
						path = w.path(t, path)
					}
					before := w.stored(t)
					for _, f := range forgeries {
						if !r.Changes && f.code != "CROSS_ORIGIN" {
							continue
						}
						answer := w.do(t, v, r.Method, path, f.forge)
						if answer.Code != 403 || !strings.Contains(answer.Body.String(), `"`+f.code+`"`) || w.stored(t) != before {
							t.Errorf("%s %s, %s, %s: %d %s", r.Method, path, who, f.name, answer.Code, answer.Body)
						}
						w.secure(t, f.name, path, answer)
					}
					if !peopled {
						continue // nobody there to do it
					}
					if answer := w.do(t, visit(t), r.Method, w.path(t, r.Path), nil); answer.Code >= 400 {
						t.Errorf("%s %s, %s, by its own page: %d %s", r.Method, r.Path, who, answer.Code, answer.Body)
					}
				}
			}
		})
	}
}

// secure checks what every answer has.
func (w *walk) secure(t *testing.T, what, path string, answer *httptest.ResponseRecorder) {
	t.Helper()
	h := answer.Header()
	for name, want := range map[string]string{
		"Content-Security-Policy":      contentPolicy,
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Strict-Transport-Security":    "max-age=31536000; includeSubDomains",
		"Access-Control-Allow-Origin":  "",
	} {
		if got := strings.Join(h.Values(name), "|"); got != want {
			t.Errorf("%s: %s is %q", what, name, got)
		}
	}
	script := slices.Contains(w.pages.Assets().Paths(), path) || strings.HasSuffix(path, ".js") || strings.HasSuffix(path, ".mjs")
	if kept := h.Get("Cache-Control"); kept != "no-store" && !script && answer.Code != http.StatusTemporaryRedirect {
		t.Errorf("%s: Cache-Control is %q", what, kept)
	}
	fixed := script || path == "/livez" || path == "/readyz"
	if !fixed && !slices.Contains(h.Values("Vary"), "Cookie") {
		t.Errorf("%s: Vary is %q", what, h.Values("Vary"))
	}
	if strings.HasPrefix(path, "/api") && answer.Code/100 == 3 {
		t.Errorf("%s redirects", what)
	}
	for _, c := range answer.Result().Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s sets %s", what, c)
		}
	}
}
