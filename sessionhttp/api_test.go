package sessionhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// noLease has every request ask the store.
var noLease = session.Config{Sync: session.Sync{Lease: session.NoLease}}

// send sends body as it is, with the CSRF token.
func send(c *sessiontest.Client, method, path, contentType, body string) *sessiontest.Response {
	r := c.Request(method, path, nil)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Type", contentType)
	if contentType == "" {
		r.Header.Del("Content-Type")
	}
	r.Header.Set("X-CSRFToken", c.CSRFToken())
	return c.Do(r)
}

func wantError(t *testing.T, answer *sessiontest.Response, status int, code, reason string) {
	t.Helper()
	answer.Want(status)
	wantShape(t, answer.Body, `{"success":false,"error":"*","error_code":"`+code+`","reason":"`+reason+`","request_id":"*","timestamp":"TIME"`+endFields(code)+`}`)
}

// endFields are what a refusal says of a session that has ended, and only of one.
func endFields(code string) string {
	if code == "SESSION_ENDED" || code == "SESSION_EXPIRED" {
		return `,"ended_at":"TIME","ended_from?":"*"`
	}
	if code == "REAUTH_REQUIRED" {
		return `,"required":{"max_age_seconds":-1,"level":-1}`
	}
	return ""
}

// 16.5: whichever call to the store fails, the answer is 503 with Retry-After, no
// cookie is touched, and the session lives when the store answers again.
func TestLesson37_EveryCallToTheStoreThatFailsIs503(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		call, method, path string
		body               any
	}{
		{"Get", "GET", "/api/session_state", nil},
		{"Get", "GET", "/api/csrf", nil},
		{"Get", "GET", "/api/user_platforms", nil},
		{"Get", "GET", "/api/sessions", nil},
		{"List", "GET", "/api/sessions", nil},
		{"Get", "GET", "/api/session/security", nil},
		{"Get", "GET", "/api/session/events", nil},
		{"Get", "POST", "/api/session/validate", nil},
		{"SwitchPlatform", "POST", "/api/switch_platform/789", nil},
		{"Expire", "POST", "/api/session/cleanup", nil},
		{"Purge", "POST", "/api/session/cleanup", nil},
		{"Refresh", "POST", "/api/session/refresh", nil},
		{"Touch", "POST", "/api/session/refresh", nil},
		{"Touch", "POST", "/api/session/heartbeat", map[string]bool{"active": true}},
		{"End", "POST", "/api/sessions/revoke_others", nil},
		{"Get", "DELETE", "/api/sessions/" + strings.Repeat("0", 32), nil},
		{"SignInEpoch", "POST", "/login", map[string]string{"username": "alex", "password": sessiontest.Password}},
		{"Create", "POST", "/login", map[string]string{"username": "alex", "password": sessiontest.Password}},
		{"Get", "POST", "/login", map[string]string{"username": "alex", "password": sessiontest.Password}},
		{"Touch", "POST", "/post", nil},
		{"Get", "GET", "/private", nil},
	} {
		t.Run(test.call+" for "+test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, noLease)
			c := sessiontest.NewClient(t, k.served).SignIn("alex")
			r := c.Request(test.method, test.path, test.body)
			r.Header.Set("X-CSRFToken", c.CSRFToken())
			r.Header.Set("Accept", "application/json")
			k.clock.Advance(5 * time.Hour) // activity is stored at once
			k.store.failing(test.call, errRefused, false)
			answer := c.Do(r)
			wantError(t, answer, 503, "UNAVAILABLE", "store_unavailable")
			if answer.Header.Get("Retry-After") == "" || answer.Header.Get("Cache-Control") != "no-store" || len(answer.Header["Set-Cookie"]) > 0 {
				t.Errorf("%v", answer.Header)
			}
			if strings.Contains(answer.Body, errRefused.Error()) {
				t.Errorf("the client is told %s", answer.Body)
			}
			k.store.mend()
			c.State()
		})
	}
}

// A server that shuts down cancels its requests' contexts while the clients are
// still there: an empty 200 would be taken for an answer.
func TestACancelledRequestIsNoSuccess(t *testing.T) {
	t.Parallel()
	var log journal
	e := newEdge(t, nil, sessionhttp.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	e.signIn()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.down.Store(true)
	for _, path := range []string{"/api/session_state", "/api/sessions", "/"} {
		r := httptest.NewRequestWithContext(ctx, "GET", "https://example.com"+path, nil)
		r.Header.Set("Cookie", e.cookie)
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(w, r)
		if w.Code != 503 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if log.String() != "" {
		t.Errorf("a client that went away is no failure of ours:\n%s", &log)
	}
}

func TestAConflictIs409AndRefreshTriesOnceMore(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	k.store.failing("Refresh", session.ErrConflict, true)
	c.Post("/api/session/refresh", nil).Want(200)
	k.store.failing("Refresh", session.ErrConflict, false)
	wantError(t, c.Post("/api/session/refresh", nil), 409, "CONFLICT", "conflict")
	k.store.failing("Create", session.ErrConflict, false)
	wantError(t, c.Another().Post("/login", map[string]string{"username": "alex", "password": sessiontest.Password}), 409, "CONFLICT", "conflict")
}

// Each reason reaches whoever holds the right secret, and nobody else.
func TestTheHolderIsToldWhyItsSessionEnded(t *testing.T) {
	t.Parallel()
	for _, reason := range []session.Reason{
		session.SignedOut, session.RevokedByUser, session.RevokedByAdmin, session.EvictedByLimit,
		session.TokenReplayed, session.UserDisabled, session.CredentialChanged,
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, nil, sessionhttp.Config{})
			c := e.signIn()
			if err := e.manager.Revoke(t.Context(), c.Session.ID, reason, session.System); err != nil {
				t.Fatal(err)
			}
			w := e.do("GET", "/api/session_state", "")
			wantCode(t, w, 401, "SESSION_ENDED")
			if !strings.Contains(w.Body.String(), `"reason":"`+string(reason)+`"`) {
				t.Errorf("%s", w.Body)
			}
			e.cookie = "__Host-vedfolnir=" + c.Session.ID.String() + "." + strings.Repeat("A", 43)
			w = e.do("GET", "/api/session_state", "")
			wantCode(t, w, 401, "SESSION_INVALID")
			if strings.Contains(w.Body.String(), string(reason)) {
				t.Errorf("somebody with the handle alone is told %s", w.Body)
			}
		})
	}
}

// What POST /login refuses, in JSON and as a form.
func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	const jsonType, form = "application/json", "application/x-www-form-urlencoded"
	k := newContract(t, session.Config{Security: session.Security{MaxConcurrentPerUser: session.NoLimit}})
	c := sessiontest.NewClient(t, k.served)
	c.Header.Set("Accept", "application/json")
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		code                    string
	}{
		{"nothing", jsonType, "", 400, "BAD_REQUEST"},
		{"no password", jsonType, `{"username":"alex"}`, 400, "BAD_REQUEST"},
		{"no password in the form", form, "username=alex", 400, "BAD_REQUEST"},
		{"a list", jsonType, `[]`, 400, "BAD_REQUEST"},
		{"cut short", jsonType, `{"username":"alex"`, 400, "BAD_REQUEST"},
		{"a form that is none", form, "%zz", 400, "BAD_REQUEST"},
		{"an unknown person", jsonType, `{"username":"nobody","password":"x"}`, 401, "INVALID_CREDENTIALS"},
		{"a wrong password", jsonType, `{"username":"alex","password":"x"}`, 401, "INVALID_CREDENTIALS"},
		{"a password without end", jsonType, `{"username":"alex","password":"` + strings.Repeat("x", 2000) + `"}`, 401, "INVALID_CREDENTIALS"},
		{"another's platform", jsonType, `{"username":"sam","password":"` + sessiontest.Password + `","platform_id":456}`, 404, "PLATFORM_NOT_FOUND"},
		{"JSON that is no type of JSON", "text/plain", `{"username":"alex","password":"` + sessiontest.Password + `"}`, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"a body without end", jsonType, `"` + strings.Repeat("x", 65<<10) + `"`, 413, "TOO_LARGE"},
		{"a form without end", form, "password=" + strings.Repeat("x", 1<<20), 413, "TOO_LARGE"},
		{"too many attempts", form, "username=flood&password=x", 429, "RATE_LIMITED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := send(c, "POST", "/login", test.contentType, test.body).Want(test.status)
			if answer.Field("error_code") != test.code || len(answer.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s %v", answer.Body, answer.Header)
			}
			if retry := answer.Header.Get("Retry-After"); test.status == 429 && retry != "2" {
				t.Errorf("Retry-After %q, want 1.5 s rounded up", retry)
			}
		})
	}
	unknown := send(c, "POST", "/login", jsonType, `{"username":"nobody","password":"x"}`)
	wrong := send(c, "POST", "/login", jsonType, `{"username":"alex","password":"x"}`)
	if unknown.Field("error") != wrong.Field("error") || unknown.Field("reason") != wrong.Field("reason") {
		t.Errorf("%s and %s", unknown.Body, wrong.Body)
	}
	c.Get("/api/session_state").Want(401) // none of them has made a session
}

func TestFormsSignInAndOutByRedirects(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served)
	credentials := map[string][]string{"username": {"alex"}, "password": {sessiontest.Password}, "platform_id": {"789"}, "next": {"/show?a=b"}}
	if in := c.PostForm("/login", credentials).Want(303); in.Header.Get("Location") != "/show?a=b" || len(in.Header["Set-Cookie"]) != 1 {
		t.Errorf("%v", in.Header)
	}
	if got := c.Platform(); got != "My Mastodon" {
		t.Errorf("signed in as %q", got)
	}
	if out := c.PostForm("/logout", nil).Want(303); out.Header.Get("Location") != "/login" {
		t.Errorf("%v", out.Header)
	}
	c.Get("/api/session_state").Want(401)
	c.PostForm("/logout", nil).Want(303) // of somebody who is signed out already
	credentials["next"] = []string{"https://evil.example/"}
	if in := c.PostForm("/login", credentials).Want(303); in.Header.Get("Location") != "/" {
		t.Errorf("%v", in.Header)
	}
}

// The application's own page says when to try again too.
func TestTheSignInPageShowsTheProblemWithItsStatus(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := sessionhttp.LoginProblem(r.Context()); p != nil {
			io.WriteString(w, p.Code+" "+p.RequestID)
			return
		}
		io.WriteString(w, "the form")
	})
	e := newEdge(t, nil, sessionhttp.Config{LoginPage: page, Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
		return session.CreateRequest{}, &sessionhttp.RateLimitedError{RetryAfter: time.Minute}
	}})
	if w := e.do("GET", "/login", ""); w.Code != 200 || w.Body.String() != "the form" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	token := e.visit(t)
	w := e.do("POST", "/login", "username=alex&password=x&csrf_token="+token, "Content-Type", "application/x-www-form-urlencoded")
	if w.Code != 429 || w.Body.String() != "RATE_LIMITED "+w.Header().Get("X-Request-Id") || w.Header().Get("Retry-After") != "60" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestMethodsThatARouteDoesNotHave(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served)
	for path, allow := range map[string]string{
		"/api/csrf": "GET, HEAD", "/api/session_state": "GET, HEAD", "/api/user_platforms": "GET, HEAD", "/api/sessions": "GET, HEAD",
		"/api/session/security": "GET, HEAD", "/api/session/events": "GET, HEAD",
		"/api/session/validate": "POST", "/api/session/cleanup": "POST", "/api/session/refresh": "POST", "/api/session/heartbeat": "POST",
		"/api/switch_platform/1": "POST", "/api/sessions/revoke_others": "POST", "/api/sessions/" + strings.Repeat("0", 32): "DELETE",
	} {
		for _, method := range []string{"PUT", "PATCH", "OPTIONS", "TRACE"} {
			answer := c.Do(c.Request(method, path, nil))
			wantError(t, answer, 405, "METHOD_NOT_ALLOWED", "method_not_allowed")
			if answer.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q", method, path, answer.Header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/api/csrf/", "/api/session_state/", "/api/sessions/", "/api/switch_platform/", "/api/switch_platform/1/2", "/api/session", "/api/login", "/api/%73ession_state"} {
		wantError(t, c.Get(path), 404, "NOT_FOUND", "not_found")
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	for _, path := range []string{"/api/csrf", "/api/session_state", "/api/user_platforms", "/api/sessions", "/api/session/security", "/api/session/events"} {
		if answer := c.Do(c.Request("HEAD", path, nil)).Want(200); answer.Body != "" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %q %v", path, answer.Body, answer.Header)
		}
	}
}

// Bodies: none at all, none with the type of JSON as the specification's snippets
// send it, and what else a route does not look at.
func TestBodiesThatAreNotNeeded(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	for _, path := range []string{"/api/session/validate", "/api/session/cleanup", "/api/session/refresh", "/api/session/heartbeat", "/api/switch_platform/789", "/api/sessions/revoke_others"} {
		send(c, "POST", path, "", "").Want(200)
		send(c, "POST", path, "application/json", "").Want(200)
		send(c, "POST", path, "application/json; charset=utf-8", "{}").Want(200)
		send(c, "POST", path, "application/json", "{").Want(400)
		send(c, "POST", path, "application/json", "{} {}").Want(400)
		send(c, "POST", path, "", "{}").Want(415)
		send(c, "POST", path, "application/x-www-form-urlencoded", "a=b").Want(415)
		send(c, "POST", path, "application/json", strings.Repeat(" ", 64<<10+1)).Want(413)
	}
}

// The id of a platform or a person is a number if it can be one.
func TestIDsThatAreNoNumbersAreStrings(t *testing.T) {
	t.Parallel()
	people := session.StaticDirectory{{User: session.User{ID: "u-1", Username: "alex"}, Platforms: []session.Platform{
		{ID: "at/home", Name: "Über <b>", Type: "mastodon", IsDefault: true}, {ID: "007", Name: "Other"},
	}}}
	m, err := session.New(memstore.New(), people, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := sessionhttp.New(m, sessionhttp.Config{Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
		return session.CreateRequest{UserID: "u-1"}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := sessiontest.NewClient(t, h.Wrap(http.NotFoundHandler())).SignIn("alex")
	state := c.State()
	if state.Field("user.id") != "u-1" || state.Field("platform.id") != "at/home" || state.Field("platform.name") != "Über <b>" {
		t.Errorf("%s", state.Body)
	}
	c.SwitchPlatform("007")
	if got := c.State().Field("platform.id"); got != "007" {
		t.Errorf("%v", got)
	}
	c.SwitchPlatform("at/home")
	if got := c.Platform(); got != "Über <b>" {
		t.Errorf("%v", got)
	}
}

// Two devices, the other used last: the newest activity first, and each with what
// it is known by.
func TestTheListOfSessions(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	phone := c.Another()
	phone.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) FxiOS/130.0 Safari/604.1")
	k.clock.Advance(time.Minute)
	phone.SignIn("alex").SwitchPlatform("789")
	gone := c.Another().SignIn("alex")
	gone.SignOut()
	wantShape(t, c.Get("/api/sessions").Want(200).Body, `{"success":true,"sessions":[
		{"session_id":"HANDLE","is_current":false,"created_at":"2025-01-11T10:01:00Z","last_activity":"2025-01-11T10:01:00Z","expires_at":"2025-01-13T10:01:00Z","ip_address":"127.0.0.1","user_agent":"*","device":"Firefox on iPhone","remembered":true,"platform":{"id":789,"name":"My Mastodon"}},
		{"session_id":"HANDLE","is_current":true,"created_at":"2025-01-11T10:00:00Z","last_activity":"2025-01-11T10:00:00Z","expires_at":"2025-01-13T10:00:00Z","ip_address":"127.0.0.1","user_agent":"*","device":"Go program","remembered":true,"platform":{"id":456,"name":"My Pixelfed"}}]}`)
}

// Switching to the active platform changes nothing and is not counted; signals
// tell of too many switches.
func TestSwitchingToTheActivePlatformIsNoSwitch(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{Security: session.Security{MaxPlatformSwitchesPerHour: 2}})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	before := c.State().Field("stamp")
	for range 4 {
		c.SwitchPlatform("456")
	}
	if after := c.State().Field("stamp"); after != before {
		t.Errorf("the stamp went from %v to %v", before, after)
	}
	noticed := func() int { return len(c.Get("/api/session/security").Want(200).Field("signals").([]any)) }
	for _, id := range []string{"789", "456"} {
		c.SwitchPlatform(id)
	}
	if noticed() != 0 {
		t.Error("noticed within the limit")
	}
	refused := c.Post("/api/switch_platform/789", nil)
	wantError(t, refused, 429, "RATE_LIMITED", "rate_limited")
	if after := refused.Header.Get("Retry-After"); after != "3600" {
		t.Errorf("Retry-After: %s", after)
	}
	if noticed() != 1 || c.Platform() != "My Pixelfed" {
		t.Error("past the limit nothing is noticed, or it was switched")
	}
	c.SwitchPlatform("456") // to the active one
	k.clock.Advance(time.Hour)
	c.SwitchPlatform("789")
}
