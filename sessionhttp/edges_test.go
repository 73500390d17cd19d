package sessionhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// edge is a handler on a store that can be made to fail, as a browser over TLS
// sees it.
type edge struct {
	t       *testing.T
	manager *session.Manager
	handler http.Handler
	h       *sessionhttp.Handler
	down    atomic.Bool
	changes atomic.Int32 // of the session, each just before a rotation is stored
	cookie  string       // "name=value"
}

type failingStore struct {
	session.Store
	down    *atomic.Bool
	changes *atomic.Int32
}

func (s failingStore) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	if s.changes.Add(-1) >= 0 {
		r, err := s.Get(ctx, id)
		if err == nil {
			_, err = s.Refresh(ctx, id, r.Version, to.At)
		}
		if err != nil {
			return session.Record{}, err
		}
	}
	return s.Store.Rotate(ctx, id, version, to)
}

var errDown = errors.New("the disk is on fire")

func (s failingStore) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if s.down.Load() {
		return session.Record{}, errDown
	}
	return s.Store.Get(ctx, id)
}

func newEdge(t *testing.T, app http.Handler, config sessionhttp.Config) *edge {
	t.Helper()
	e := &edge{t: t}
	people := session.StaticDirectory{{User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "11", Name: "Mine", IsDefault: true}}}}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	e.manager, err = session.New(failingStore{memstore.New(), &e.down, &e.changes}, people, session.Config{Logger: quiet, Sync: session.Sync{Lease: session.NoLease}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.manager.Close() })
	if config.Logger == nil {
		config.Logger = quiet
	}
	if config.Login == nil {
		config.Login = func(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
			return session.CreateRequest{UserID: session.UserID(c.Username)}, nil
		}
	}
	if e.h, err = sessionhttp.New(e.manager, config); err != nil {
		t.Fatal(err)
	}
	if app == nil {
		app = http.NotFoundHandler()
	}
	e.handler = e.h.Wrap(app)
	return e
}

// signIn holds the cookie of a new session.
func (e *edge) signIn() session.Context {
	e.t.Helper()
	c, token, err := e.manager.Create(e.t.Context(), session.CreateRequest{UserID: "1"})
	if err != nil {
		e.t.Fatal(err)
	}
	e.cookie = "__Host-vedfolnir=" + token.Reveal()
	return c
}

func (e *edge) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequest(method, "https://example.com"+target, strings.NewReader(body))
	if e.cookie != "" {
		r.Header.Set("Cookie", e.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	return w
}

func (e *edge) csrf() string {
	e.t.Helper()
	return tokenIn(e.t, e.do("GET", "/api/csrf", ""))
}

func wantCode(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct {
		Code string `json:"error_code"`
	}
	json.Unmarshal(w.Body.Bytes(), &body)
	if w.Code != status || body.Code != code {
		t.Errorf("%d %q, want %d %q: %s", w.Code, body.Code, status, code, w.Body)
	}
}

func TestSignOutClearsTheCookieAlsoWhenTheStoreIsDown(t *testing.T) {
	e := newEdge(t, nil, sessionhttp.Config{})
	c := e.signIn()
	token := e.csrf()
	e.down.Store(true)
	w := e.do("POST", "/logout", "", "Content-Type", "application/json")
	if wantCode(t, w, 403, "CSRF_INVALID"); w.Header().Get("Set-Cookie") != "" {
		t.Errorf("without a token the cookie went: %v", w.Header())
	}
	w = e.do("POST", "/logout", "", "Content-Type", "application/json", "X-CSRFToken", token)
	wantCode(t, w, 503, "UNAVAILABLE")
	if set := w.Header().Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-vedfolnir=;") || !strings.Contains(set, "Max-Age=0") {
		t.Errorf("Set-Cookie %q does not clear the cookie", set)
	}
	e.down.Store(false)
	if _, err := e.manager.Get(t.Context(), c.Session.ID); err != nil {
		t.Errorf("the session the answer said it could not end: %v", err)
	}
}

func TestAClosedManagerIsUnavailableAndNotSignedOut(t *testing.T) {
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Error("the application was asked, as if nobody were signed in")
	}), sessionhttp.Config{})
	e.signIn()
	token := e.csrf()
	e.manager.Close()
	wantCode(t, e.do("GET", "/", "", "Accept", "application/json"), 503, "UNAVAILABLE")
	wantCode(t, e.do("GET", "/api/csrf", ""), 503, "UNAVAILABLE")
	wantCode(t, e.do("GET", "/api/session_state", ""), 503, "UNAVAILABLE")
	wantCode(t, e.do("POST", "/logout", "", "Content-Type", "application/json", "X-CSRFToken", token), 503, "UNAVAILABLE")
}

func TestACookieThatMakesNoSenseIsRefused(t *testing.T) {
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), sessionhttp.Config{
		LoginPage: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}),
	})
	e.signIn()
	good := e.cookie
	for name, cookie := range map[string]string{"malformed": "__Host-vedfolnir=x", "two": good + "; " + good} {
		e.cookie = cookie
		for _, path := range []string{"/", "/api/csrf", "/api/session_state"} {
			t.Run(name+" "+path, func(t *testing.T) {
				w := e.do("GET", path, "", "Accept", "application/json")
				if wantCode(t, w, 400, "BAD_REQUEST"); w.Header().Get("Set-Cookie") != "" {
					t.Errorf("a cookie was set: %v", w.Header())
				}
			})
		}
		wantCode(t, e.do("POST", "/api/session/validate", ""), 400, "BAD_REQUEST")
	}
	e.cookie = "__Host-vedfolnir=x"
	if w := e.do("GET", "/login", ""); w.Code != 200 {
		t.Errorf("a person with a broken cookie cannot sign in to replace it: %d", w.Code)
	}
}

func TestLesson12_AnUncleanPathIntoTheAPIDoesNotRedirect(t *testing.T) {
	mux := http.NewServeMux() // redirects unclean paths
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	e := newEdge(t, mux, sessionhttp.Config{})
	for _, path := range []string{"//api/session_state", "/./api/session_state", "/x/../api/session_state", "/api//session_state", "/api/./session_state", "/api/x/../session_state", "/api/", "/api", "/api/../api/csrf", "/api/.."} {
		wantCode(t, e.do("GET", path, ""), 404, "NOT_FOUND")
	}
	if w := e.do("GET", "//elsewhere", ""); w.Code/100 != 3 {
		t.Errorf("the application's own unclean path: %d", w.Code)
	}
}

func TestTheApplicationsOwnRoutesBesideTheAPI(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/posts/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "post "+r.PathValue("id")) })
	mux.HandleFunc("GET /api/csrf", func(w http.ResponseWriter, r *http.Request) { t.Error("the application's route hid ours") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	e := newEdge(t, mux, sessionhttp.Config{})
	if w := e.do("GET", "/api/posts/7", ""); w.Body.String() != "post 7" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if e.csrf() == "" {
		t.Error("no token")
	}
	wantCode(t, e.do("GET", "/api/nothing", ""), 404, "NOT_FOUND")
	wantCode(t, e.do("POST", "/api/csrf", ""), 405, "METHOD_NOT_ALLOWED")
}

func TestAPanicIsLoggedWithItsPlaceAndAnsweredWhole(t *testing.T) {
	var log bytes.Buffer
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Encoding", "gzip")
		panic("boom")
	}), sessionhttp.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w := e.do("GET", "/", "")
	if w.Code != 500 || !strings.Contains(w.Body.String(), "</html>") || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"Etag", "Content-Encoding", "Content-Length"} {
		if got := w.Header().Get(name); got != "" {
			t.Errorf("%s %q is of the answer that was not to be", name, got)
		}
	}
	for _, want := range []string{"boom", "edges_test.go", w.Header().Get("X-Request-Id")} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, &log)
		}
	}
}

func TestTheClientsAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct{ name, remote, forwarded, want string }{
		{"directly", "192.0.2.7:1234", "", "192.0.2.7"},
		{"what anybody writes", "192.0.2.7:1234", "203.0.113.9", "192.0.2.7"},
		{"by a proxy", "10.0.0.1:1234", "203.0.113.9", "203.0.113.9"},
		{"by two", "10.0.0.1:1234", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"by a proxy that writes ports", "10.0.0.1:1234", "203.0.113.9:4711", "203.0.113.9"},
		{"and IPv6", "10.0.0.1:1234", "[2001:db8::1]:4711", "2001:db8::1"},
		{"nonsense", "10.0.0.1:1234", "203.0.113.9, what", "10.0.0.1"},
		{"a socket file", "@", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e *edge
			e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := e.h.SignIn(w, r, "1"); err != nil {
					t.Error(err)
				}
			}), sessionhttp.Config{TrustedProxies: proxies})
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			r.RemoteAddr = test.remote
			r.Header.Set("X-Forwarded-For", test.forwarded)
			e.handler.ServeHTTP(httptest.NewRecorder(), r)
			list, err := e.manager.List(t.Context(), "1")
			if err != nil || len(list) != 1 || list[0].Client.IPAddress != test.want {
				t.Errorf("%+v, %v: want %q", list, err, test.want)
			}
		})
	}
}

func TestAHostHeaderDoesNotMakeAClientLocal(t *testing.T) {
	for from, want := range map[[2]string]int{
		{"127.0.0.1:1", "localhost"}: 200, {"[::1]:1", "localhost"}: 200, {"127.0.0.1:1", "app.localhost:8080"}: 200, {"127.0.0.1:1", "[::1]:8080"}: 200,
		{"192.0.2.7:1", "localhost"}: 400, {"", "localhost"}: 400,
		{"127.0.0.1:1", "example.com"}: 400, {"127.0.0.1:1", "localhost.example.com"}: 400, // by a proxy that nobody named
	} {
		var e *edge
		e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := e.h.SignIn(w, r, "1"); err != nil {
				e.h.Error(w, r, err)
			}
		}), sessionhttp.Config{})
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.RemoteAddr, r.Host = from[0], from[1]
		w := httptest.NewRecorder()
		if e.handler.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d, want %d", from, w.Code, want)
		}
	}
}

func TestRotateGivesANewTokenForTheSameSession(t *testing.T) {
	var e *edge
	mux := http.NewServeMux()
	mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) {
		if _, err := e.h.Rotate(w, r); err != nil {
			e.h.Error(w, r, err)
		}
	})
	e = newEdge(t, mux, sessionhttp.Config{})
	c := e.signIn()
	old, token := e.cookie, e.csrf()
	w := e.do("POST", "/password", "", "X-CSRFToken", token)
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].Path != "/" || cookies[0].MaxAge <= 0 {
		t.Fatalf("%d %v", w.Code, cookies)
	}
	e.cookie = cookies[0].Name + "=" + cookies[0].Value
	if e.cookie == old {
		t.Fatal("the token is the old one")
	}
	var state struct {
		Session struct {
			ID session.ID `json:"session_id"`
		}
	}
	if err := json.Unmarshal(e.do("GET", "/api/session_state", "").Body.Bytes(), &state); err != nil || state.Session.ID != c.Session.ID {
		t.Errorf("the new token opens %v, %v", state.Session.ID, err)
	}
	if w := e.do("POST", "/api/session/refresh", "", "X-CSRFToken", token); w.Code != 200 {
		t.Errorf("the page's token did not survive the rotation: %s", w.Body)
	}
	e.cookie = ""
	if w := e.do("POST", "/password", "", "Accept", "application/json"); w.Code != 401 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("signed out: %d %v", w.Code, w.Header())
	}
}

// A switch in another tab, or on another node, comes between the reading and the
// writing of a rotation: the old token must not stay for it.
func TestRotateIsNotPutOffByAnotherChange(t *testing.T) {
	var e *edge
	e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := e.h.Rotate(w, r); err != nil {
			e.h.Error(w, r, err)
		}
	}), sessionhttp.Config{})
	for changes, want := range map[int32]int{0: 200, 1: 200, 2: 200, 3: 409} {
		e.signIn()
		token := e.csrf()
		e.changes.Store(changes)
		w := e.do("POST", "/password", "", "X-CSRFToken", token)
		if set := w.Header().Get("Set-Cookie") != ""; w.Code != want || set != (want == 200) {
			t.Errorf("%d changes at that moment: %d, with a cookie: %v", changes, w.Code, set)
		}
	}
}

func TestOnlyWhatAPersonDoesIsActivity(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
		counts  bool
	}{
		{"a page", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true},
		{"a page, of a browser that does not say so", []string{"Accept", "text/html,*/*"}, true},
		{"a frame, which may reload by itself", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, false},
		{"a prefetch", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Purpose", "prefetch"}, false},
		{"a script's request", []string{"Sec-Fetch-Mode", "cors", "Accept", "text/html"}, false},
		{"an image", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := sessiontest.NewClock()
			m, err := session.New(memstore.New(), nil, session.Config{Now: now.Now, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			h, err := sessionhttp.New(m, sessionhttp.Config{})
			if err != nil {
				t.Fatal(err)
			}
			c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
			if err != nil {
				t.Fatal(err)
			}
			now.Advance(3 * time.Hour) // more than a tenth of the idle timeout: stored at once
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			r.Header.Set("Cookie", "__Host-vedfolnir="+token.Reveal())
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Set(test.headers[i], test.headers[i+1])
			}
			h.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
			after, err := m.Get(t.Context(), c.Session.ID)
			if err != nil {
				t.Fatal(err)
			}
			if counted := after.Session.LastActivity.Equal(now.Now()); counted != test.counts {
				t.Errorf("activity at %v, now is %v", after.Session.LastActivity, now)
			}
		})
	}
}

func TestAFormIsLeftToTheApplicationToRead(t *testing.T) {
	const form = "csrf_token=%s&text=a+%%26+b"
	var got, field string
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		field = r.PostFormValue("text")
		body, _ := io.ReadAll(r.Body)
		got = string(body)
	}), sessionhttp.Config{})
	e.signIn()
	sent := fmt.Sprintf(form, e.csrf())
	if w := e.do("POST", "/", sent, "Content-Type", "application/x-www-form-urlencoded"); w.Code != 200 || got != sent || field != "a & b" {
		t.Errorf("%d: body %q, field %q", w.Code, got, field)
	}
}

func TestLesson33_TwoStatedPlatformsAreNone(t *testing.T) {
	var acted session.PlatformID
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		acted = session.FromContext(r.Context()).Platform().ID
	}), sessionhttp.Config{})
	e.signIn()
	for _, test := range []struct {
		header, fields string
		status         int
	}{
		{"11", "platform_id=11", 200},
		{"", "platform_id=11", 200},
		{"", "platform_id=", 200}, // not filled in: not stated
		{"11", "platform_id=12", 400},
		{"", "platform_id=11&platform_id=12", 400},
		{"12", "", 403},
	} {
		acted = ""
		w := e.do("POST", "/", test.fields, "Content-Type", "application/x-www-form-urlencoded", "X-CSRFToken", e.csrf(), "X-Platform-Id", test.header)
		if w.Code != test.status || (acted == "11") != (test.status == 200) {
			t.Errorf("%+v: %d, acted as %q", test, w.Code, acted)
		}
	}
}

func TestTheAuditSaysFromWhereAnOldTokenWasReplayed(t *testing.T) {
	heard := make(chan session.AuditEvent, 16)
	now := sessiontest.NewClock()
	m, err := session.New(memstore.New(), nil, session.Config{Now: now.Now, Audit: auditFunc(func(e session.AuditEvent) { heard <- e })})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := sessionhttp.New(m, sessionhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	_, renewed, err := m.Rotate(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Authenticate(t.Context(), renewed, session.Client{}); err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Minute) // past the overlap
	r := httptest.NewRequest("GET", "https://example.com/api/session_state", nil)
	r.Header.Set("Cookie", "__Host-vedfolnir="+old.Reveal())
	r.Header.Set("User-Agent", "thief/1.0")
	w := httptest.NewRecorder()
	h.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	wantCode(t, w, 401, "SESSION_ENDED")
	close(heard)
	for e := range heard {
		if e.Action == "token_replayed" {
			if e.Client.IPAddress != "192.0.2.1" || e.Client.UserAgent != "thief/1.0" {
				t.Errorf("%+v", e.Client)
			}
			return
		}
	}
	t.Error("no audit line of the replay")
}

type auditFunc func(session.AuditEvent)

func (f auditFunc) Audit(_ context.Context, e session.AuditEvent) { f(e) }

func TestWhatAReaderHasOfAnotherSessionIsNothing(t *testing.T) {
	e := newEdge(t, nil, sessionhttp.Config{})
	c := e.signIn()
	server := httptest.NewTLSServer(e.handler)
	defer server.Close()
	first := func(lastEventID string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/session/events?last_event_id="+lastEventID, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", e.cookie)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok && kind != "heartbeat" {
				return kind
			}
		}
		t.Fatal("the stream ended without an event")
		return ""
	}
	state, err := e.manager.Get(t.Context(), c.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := first(strings.Repeat("0", 32) + "." + state.Stamp().String()); got != "state" {
		t.Errorf("with the stamp of another session: %q", got)
	}
}
