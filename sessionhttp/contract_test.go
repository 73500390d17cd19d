package sessionhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

var contractPeople = session.StaticDirectory{
	{User: session.User{ID: "123", Username: "alex", Email: "alex@example.com"}, Platforms: []session.Platform{
		{ID: "456", Name: "My Pixelfed", Type: "pixelfed", InstanceURL: "https://pixelfed.social", Username: "alex", IsDefault: true},
		{ID: "789", Name: "My Mastodon", Type: "mastodon", InstanceURL: "https://mastodon.social", Username: "myuser"},
	}},
	{User: session.User{ID: "124", Username: "sam", Email: "sam@example.com"}},
}

// contract is the API as a program serves it, with a clock and a store that the
// test can break.
type contract struct {
	manager *session.Manager
	handler *sessionhttp.Handler
	clock   *sessiontest.Clock
	store   *fragile
	served  http.Handler
}

func newContract(t *testing.T, config session.Config) *contract {
	t.Helper()
	return newContractOn(t, &fragile{Store: memstore.New()}, config)
}

func newContractOn(t *testing.T, store *fragile, config session.Config) *contract {
	t.Helper()
	c := &contract{clock: sessiontest.NewClock(), store: store}
	config.Now = c.clock.Now
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.manager, err = session.New(c.store, contractPeople, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.manager.Close() })
	c.handler, err = sessionhttp.New(c.manager, sessionhttp.Config{Login: c.login, Logger: config.Logger, ReauthPage: http.HandlerFunc(reauthPage)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, session.FromContext(r.Context()).Platform().Name)
	})
	mux.Handle("/private", c.handler.RequireSession(ok))
	mux.Handle("/show", c.handler.RequirePlatform(ok))
	mux.Handle("/post", c.handler.RequireStatedPlatform(ok))
	mux.Handle("/recent", c.handler.RequireRecent(recently, ok))
	mux.Handle("/strong", c.handler.RequireLevel(assurance.TwoFactors, ok))
	mux.Handle("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	c.served = c.handler.Wrap(mux)
	return c
}

func (c *contract) login(ctx context.Context, given sessionhttp.Credentials) (session.CreateRequest, error) {
	if given.Username == "flood" {
		return session.CreateRequest{}, &sessionhttp.RateLimitedError{RetryAfter: 1500 * time.Millisecond}
	}
	for _, p := range contractPeople {
		if (p.User.Username == given.Username || p.User.Email == given.Username) && given.Password == sessiontest.Password {
			epoch, err := c.manager.SignInEpoch(ctx, p.User.ID)
			return session.CreateRequest{UserID: p.User.ID, SignInEpoch: epoch}, err
		}
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

// wantShape compares a JSON answer with a pattern: the same members and types;
// strings equal unless the pattern's is "TIME", "HANDLE", "STAMP" or "*", numbers
// equal unless the pattern's is -1.
func wantShape(t *testing.T, body, pattern string) {
	t.Helper()
	var got, want any
	if err := errors.Join(json.Unmarshal([]byte(body), &got), json.Unmarshal([]byte(pattern), &want)); err != nil {
		t.Fatalf("%v in %s or %s", err, body, pattern)
	}
	compareShape(t, "", got, want)
}

var patterns = map[string]*regexp.Regexp{
	"TIME":   regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"MILLIS": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`),
	"HANDLE": regexp.MustCompile(`^[0-9a-f]{32}$`),
	"STAMP":  regexp.MustCompile(`^\d+\.\d+\.\d+$`),
	"*":      regexp.MustCompile(`.`),
}

func compareShape(t *testing.T, path string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is %v, want an object", path, got)
			return
		}
		for key := range want {
			name, optional := strings.CutSuffix(key, "?")
			if _, ok := object[name]; !ok {
				if !optional {
					t.Errorf("%s.%s is missing", path, name)
				}
				continue
			}
			compareShape(t, path+"."+name, object[name], want[key])
		}
		for name := range object {
			if _, ok := want[name]; !ok && want[name+"?"] == nil {
				t.Errorf("%s.%s is more than the contract names", path, name)
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			t.Errorf("%s is %v, want %d entries", path, got, len(want))
			return
		}
		for i := range want {
			compareShape(t, path+"[]", list[i], want[i])
		}
	case string:
		text, ok := got.(string)
		if p := patterns[want]; !ok || p != nil && !p.MatchString(text) || p == nil && text != want {
			t.Errorf("%s is %v, want %s", path, got, want)
		}
	case float64:
		if n, ok := got.(float64); !ok || want != -1 && n != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	default:
		if got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

// The routes of the API in the order of its page.
func TestEveryRouteAnswersFieldByField(t *testing.T) {
	const (
		user     = `{"id":123,"username":"alex","email":"alex@example.com"}`
		pixelfed = `{"id":456,"name":"My Pixelfed","type":"pixelfed","instance_url":"https://pixelfed.social","is_default":true}`
		session_ = `{"session_id":"HANDLE","created_at":"TIME","last_activity":"TIME","expires_at":"TIME","idle_expires_at":"TIME","version":1}`
		sync     = `{"enabled":true,"check_interval_seconds":2,"heartbeat_interval_seconds":30,"warning_threshold_seconds":900,"server_time":"MILLIS"}`
		state    = `{"success":true,"user":` + user + `,"platform":` + pixelfed + `,"session":` + session_ + `,"session_type":"integrated","sync":` + sync + `,"stamp":"STAMP","timestamp":"TIME"}`
		mastodon = `{"id":789,"name":"My Mastodon","platform_type":"mastodon","instance_url":"https://mastodon.social","username":"myuser"}`
	)
	type client = *sessiontest.Client
	for _, test := range []struct {
		route string
		ask   func(client) *sessiontest.Response
		want  string
	}{
		{"GET /api/csrf", func(c client) *sessiontest.Response { return c.Another().Get("/api/csrf") }, `{"success":true,"csrf_token":"*"}`},
		{"POST /login", func(c client) *sessiontest.Response {
			return c.Another().Post("/login", map[string]any{"username": "alex@example.com", "password": sessiontest.Password})
		}, `{"success":true,"message":"*","user":` + user + `,"platform":` + pixelfed + `,"session":` + session_ + `,"stamp":"STAMP"}`},
		{"POST /login as a platform", func(c client) *sessiontest.Response {
			return c.Another().Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password, "platform_id": 789})
		}, `{"success":true,"message":"*","user":` + user + `,"platform":{"id":789,"name":"My Mastodon","type":"mastodon","instance_url":"https://mastodon.social","is_default":false},"session":` + session_ + `,"stamp":"STAMP"}`},
		{"POST /logout", func(c client) *sessiontest.Response { return c.Post("/logout", nil) }, `{"success":true,"message":"*","timestamp":"TIME"}`},
		{"GET /api/session_state", func(c client) *sessiontest.Response { return c.Get("/api/session_state") }, state},
		{
			"GET /api/session_state without a platform", func(c client) *sessiontest.Response { return c.Another().SignIn("sam").Get("/api/session_state") },
			`{"success":true,"user":{"id":124,"username":"sam","email":"sam@example.com"},"platform":null,"session":` + session_ + `,"session_type":"integrated","sync":` + sync + `,"stamp":"STAMP","timestamp":"TIME"}`,
		},
		{"POST /api/session/validate", func(c client) *sessiontest.Response {
			return c.Do(c.Request("POST", "/api/session/validate", nil))
		}, `{"success":true,"valid":true,"database_session_valid":true,"flask_session_valid":true,"timestamp":"TIME"}`},
		{
			"POST /api/session/cleanup", func(c client) *sessiontest.Response { return c.Post("/api/session/cleanup", nil) },
			`{"success":true,"cleaned_sessions":0,"message":"Cleaned up 0 expired sessions"}`,
		},
		{"POST /api/session/cleanup of one", func(c client) *sessiontest.Response {
			c.Another().SignIn("alex").SignOut()
			return c.Post("/api/session/cleanup", nil)
		}, `{"success":true,"cleaned_sessions":1,"message":"Cleaned up 1 expired sessions"}`},
		{
			"POST /api/switch_platform/{id}", func(c client) *sessiontest.Response { return c.Post("/api/switch_platform/789", nil) },
			`{"success":true,"message":"Successfully switched to My Mastodon (Mastodon)","platform":` + mastodon + `}`,
		},
		{
			"POST /api/switch_platform/{id} to the current one", func(c client) *sessiontest.Response { return c.Post("/api/switch_platform/456", nil) },
			`{"success":true,"message":"Successfully switched to My Pixelfed (Pixelfed)","platform":{"id":456,"name":"My Pixelfed","platform_type":"pixelfed","instance_url":"https://pixelfed.social","username":"alex"}}`,
		},
		{
			"GET /api/user_platforms", func(c client) *sessiontest.Response { return c.Get("/api/user_platforms") },
			`{"success":true,"platforms":[
				{"id":456,"name":"My Pixelfed","platform_type":"pixelfed","instance_url":"https://pixelfed.social","username":"alex","is_default":true,"is_current":true,"last_used":null},
				{"id":789,"name":"My Mastodon","platform_type":"mastodon","instance_url":"https://mastodon.social","username":"myuser","is_default":false,"is_current":false,"last_used":null}],
				"current_platform":{"id":456,"name":"My Pixelfed"}}`,
		},
		{
			"GET /api/user_platforms without any", func(c client) *sessiontest.Response { return c.Another().SignIn("sam").Get("/api/user_platforms") },
			`{"success":true,"platforms":[],"current_platform":null}`,
		},
		{
			"POST /api/session/refresh", func(c client) *sessiontest.Response { return c.Post("/api/session/refresh", nil) },
			`{"success":true,"message":"*","expires_at":"TIME"}`,
		},
		{"POST /api/session/heartbeat", func(c client) *sessiontest.Response {
			return c.Post("/api/session/heartbeat", map[string]any{"active": true})
		}, `{"success":true,"active":true,"server_time":"MILLIS","expires_at":"TIME","idle_expires_at":"TIME"}`},
		{
			"POST /api/session/reauth/options", func(c client) *sessiontest.Response { return c.Post("/api/session/reauth/options", nil) },
			`{"success":true,"username":"alex","methods":["password"]}`,
		},
		{"POST /api/session/reauth", func(c client) *sessiontest.Response {
			return c.Post("/api/session/reauth", map[string]any{"password": sessiontest.Password})
		}, `{"success":true,"message":"*","user":` + user + `,"platform":` + pixelfed + `,"session":` + strings.Replace(session_, `"version":1`, `"version":2`, 1) + `,"stamp":"STAMP","authenticated_at":"TIME","level":1}`},
		{
			"GET /api/sessions", func(c client) *sessiontest.Response { return c.Get("/api/sessions") },
			`{"success":true,"sessions":[{"session_id":"HANDLE","is_current":true,"created_at":"TIME","last_activity":"TIME","expires_at":"TIME","ip_address":"127.0.0.1","user_agent":"*","device":"*","remembered":true,"platform":{"id":456,"name":"My Pixelfed"}}]}`,
		},
		{"DELETE /api/sessions/{handle}", func(c client) *sessiontest.Response {
			other := c.Another().SignIn("alex").State().Field("session.session_id").(string)
			return c.Delete("/api/sessions/" + other)
		}, `{"success":true}`},
		{"POST /api/sessions/revoke_others", func(c client) *sessiontest.Response {
			c.Another().SignIn("alex")
			return c.Post("/api/sessions/revoke_others", nil)
		}, `{"success":true,"revoked":1}`},
		{
			"GET /api/session/security", func(c client) *sessiontest.Response { return c.Get("/api/session/security") },
			`{"success":true,"session_age_seconds":0,"last_activity_seconds":0,"is_suspicious":false,"score":0,"answer":"none","signals":[],"explanation":"score 0: none","user_agent":"*","ip_address":"127.0.0.1","created_at":"TIME","last_activity":"TIME"}`,
		},
	} {
		t.Run(test.route, func(t *testing.T) {
			t.Parallel()
			c := newContract(t, session.Config{})
			answer := test.ask(sessiontest.NewClient(t, c.served).SignIn("alex")).Want(200)
			wantShape(t, answer.Body, test.want)
			if got := answer.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: %q", got)
			}
			if got := strings.Join(answer.Header.Values("Vary"), ","); !strings.Contains(got, "Cookie") {
				t.Errorf("Vary: %q", got)
			}
		})
	}
}

// Every error code, with its status and the exact form of an error.
func TestEveryErrorCode(t *testing.T) {
	type client = *sessiontest.Client
	const idle = 24*time.Hour + time.Minute
	post := func(path, body string, header ...string) func(client, *contract) *sessiontest.Response {
		return func(c client, _ *contract) *sessiontest.Response {
			r := c.Request("POST", path, nil)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("X-CSRFToken", c.CSRFToken())
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			return c.Do(r)
		}
	}
	get := func(path string) func(client, *contract) *sessiontest.Response {
		return func(c client, _ *contract) *sessiontest.Response { return c.Get(path) }
	}
	for _, test := range []struct {
		name         string
		config       session.Config
		ask          func(client, *contract) *sessiontest.Response
		status       int
		code, reason string
	}{
		{"malformed JSON", session.Config{}, post("/api/session/heartbeat", "{"), 400, "BAD_REQUEST", "malformed_request"},
		{"a field of another type", session.Config{}, post("/api/session/heartbeat", `{"active":"yes"}`), 400, "BAD_REQUEST", "malformed_request"},
		{"a malformed cookie", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			c.Header.Set("Cookie", "vedfolnir=garbage")
			return c.Another().Get("/api/session_state")
		}, 400, "BAD_REQUEST", "malformed_cookie"},
		{"two cookies of one name", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			c.Header.Set("Cookie", "vedfolnir=a; vedfolnir=b")
			return c.Another().Get("/api/session_state")
		}, 400, "BAD_REQUEST", "malformed_cookie"},
		{"no cookie", session.Config{}, func(c client, _ *contract) *sessiontest.Response { return c.Another().Get("/api/session_state") }, 401, "SESSION_REQUIRED", "no_session"},
		{"idle", session.Config{}, func(c client, k *contract) *sessiontest.Response {
			k.clock.Advance(idle)
			return c.Get("/api/session_state")
		}, 401, "SESSION_EXPIRED", "idle_timeout"},
		{"lifetime over", session.Config{Timeout: session.Timeout{SessionLifetime: time.Hour}}, func(c client, k *contract) *sessiontest.Response {
			k.clock.Advance(time.Hour)
			return c.Get("/api/session_state")
		}, 401, "SESSION_EXPIRED", "lifetime"},
		{"absolute limit", session.Config{Timeout: session.Timeout{SessionLifetime: time.Hour, AbsoluteTimeout: time.Hour}}, func(c client, k *contract) *sessiontest.Response {
			k.clock.Advance(time.Hour)
			return c.Get("/api/session_state")
		}, 401, "SESSION_EXPIRED", "absolute_timeout"},
		{"ended from another device", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			c.Another().SignIn("alex").Post("/api/sessions/revoke_others", nil).Want(200)
			return c.Get("/api/session_state")
		}, 401, "SESSION_ENDED", "revoked_by_user"},
		{"ended by an operator", session.Config{}, func(c client, k *contract) *sessiontest.Response {
			if _, err := k.manager.RevokeUser(t.Context(), "123", session.RevokedByAdmin, "kim"); err != nil {
				t.Fatal(err)
			}
			return c.Get("/api/session_state")
		}, 401, "SESSION_ENDED", "revoked_by_admin"},
		{"password changed", session.Config{}, func(c client, k *contract) *sessiontest.Response {
			if _, err := k.manager.RevokeUser(t.Context(), "123", session.CredentialChanged, "123"); err != nil {
				t.Fatal(err)
			}
			return c.Get("/api/session_state")
		}, 401, "SESSION_ENDED", "credential_changed"},
		{"made way at the limit", session.Config{Security: session.Security{MaxConcurrentPerUser: 1}}, func(c client, _ *contract) *sessiontest.Response {
			c.Another().SignIn("alex")
			return c.Get("/api/session_state")
		}, 401, "SESSION_ENDED", "evicted_by_limit"},
		{"a token that opens nothing", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			c.Header.Set("Cookie", "vedfolnir="+strings.Repeat("0", 32)+"."+strings.Repeat("A", 43))
			return c.Another().Get("/api/session_state")
		}, 401, "SESSION_INVALID", "unknown"},
		{"wrong password", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			return c.Another().Post("/login", map[string]any{"username": "alex", "password": "wrong"})
		}, 401, "INVALID_CREDENTIALS", "invalid_credentials"},
		{"no CSRF token", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			return c.Do(c.Request("POST", "/api/switch_platform/789", nil))
		}, 403, "CSRF_INVALID", "csrf_invalid"},
		{"the token of another login", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			r := c.Request("POST", "/api/switch_platform/789", nil)
			r.Header.Set("X-CSRFToken", c.Another().SignIn("alex").CSRFToken())
			return c.Do(r)
		}, 403, "CSRF_STALE", "csrf_stale"},
		{"from another site", session.Config{}, post("/api/switch_platform/789", "", "Sec-Fetch-Site", "cross-site"), 403, "CROSS_ORIGIN", "cross_origin"},
		{"states another's platform", session.Config{}, func(c client, _ *contract) *sessiontest.Response { return c.Acting("1").Get("/api/session_state") }, 403, "PLATFORM_FORBIDDEN", "platform_forbidden"},
		{"has no platform", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			other := c.Another().SignIn("sam")
			other.Header.Set("Accept", "application/json")
			return other.Get("/show")
		}, 403, "PLATFORM_REQUIRED", "platform_required"},
		{"states no platform", session.Config{}, func(c client, _ *contract) *sessiontest.Response { return c.Post("/post", nil) }, 409, "PLATFORM_UNSTATED", "platform_unstated"},
		{"a proof that is too old", session.Config{}, func(c client, k *contract) *sessiontest.Response {
			k.clock.Advance(recently)
			return c.Post("/recent", nil)
		}, 403, "REAUTH_REQUIRED", "authentication_too_old"},
		{"a proof that is too weak", session.Config{}, func(c client, k *contract) *sessiontest.Response { return c.Post("/strong", nil) }, 403, "REAUTH_REQUIRED", "level_too_low"},
		{"a wrong password to confirm", session.Config{}, post("/api/session/reauth", `{"password":"wrong"}`), 401, "INVALID_CREDENTIALS", "invalid_credentials"},
		{"nothing to confirm with", session.Config{}, post("/api/session/reauth", `{"username":"alex"}`), 400, "BAD_REQUEST", "malformed_request"},
		{"too many attempts to confirm", session.Config{}, post("/api/session/reauth", `{"username":"flood","password":"x"}`), 429, "RATE_LIMITED", "rate_limited"},
		{"unknown route", session.Config{}, get("/api/nothing"), 404, "NOT_FOUND", "not_found"},
		{"a state that looks like a file", session.Config{}, get("/api/session_state/x.css"), 404, "NOT_FOUND", "not_found"},
		{"an unclean path", session.Config{}, get("/api//session_state"), 404, "NOT_FOUND", "not_found"},
		{"the API itself", session.Config{}, get("/api"), 404, "NOT_FOUND", "not_found"},
		{"another's platform", session.Config{}, post("/api/switch_platform/1", ""), 404, "PLATFORM_NOT_FOUND", "platform_not_found"},
		{"another's session", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			return c.Delete("/api/sessions/" + c.Another().SignIn("sam").State().Field("session.session_id").(string))
		}, 404, "SESSION_NOT_FOUND", "session_not_found"},
		{"a malformed handle", session.Config{}, func(c client, _ *contract) *sessiontest.Response { return c.Delete("/api/sessions/nonsense") }, 400, "BAD_REQUEST", "malformed_request"},
		{"no such session", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			return c.Delete("/api/sessions/" + strings.Repeat("0", 32))
		}, 404, "SESSION_NOT_FOUND", "session_not_found"},
		{"wrong method", session.Config{}, func(c client, _ *contract) *sessiontest.Response { return c.Post("/api/session_state", nil) }, 405, "METHOD_NOT_ALLOWED", "method_not_allowed"},
		{"at the limit, under deny", session.Config{Security: session.Security{MaxConcurrentPerUser: 1, LimitPolicy: session.DenyNewest}}, func(c client, _ *contract) *sessiontest.Response {
			return c.Another().Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password})
		}, 409, "LIMIT_REACHED", "limit_reached"},
		{"too large", session.Config{}, post("/api/session/heartbeat", strings.Repeat(" ", 65<<10)), 413, "TOO_LARGE", "too_large"},
		{"text that is JSON", session.Config{}, post("/api/session/heartbeat", `{"active":true}`, "Content-Type", "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE", "unsupported_media_type"},
		{"too many attempts", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			return c.Another().Post("/login", map[string]any{"username": "flood", "password": "x"})
		}, 429, "RATE_LIMITED", "rate_limited"},
		{"lesson 37: the store is down", session.Config{Sync: session.Sync{Lease: session.NoLease}}, func(c client, k *contract) *sessiontest.Response {
			k.store.down.Store(true)
			return c.Get("/api/session_state")
		}, 503, "UNAVAILABLE", "store_unavailable"},
		{"a panic", session.Config{}, func(c client, _ *contract) *sessiontest.Response {
			c.Header.Set("Accept", "application/json")
			return c.Get("/panic")
		}, 500, "INTERNAL", "internal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, test.config)
			answer := test.ask(sessiontest.NewClient(t, k.served).SignIn("alex"), k).Want(test.status)
			wantShape(t, answer.Body, `{"success":false,"error":"*","error_code":"`+test.code+`","reason":"`+test.reason+`","request_id":"*","timestamp":"TIME"`+endFields(test.code)+`}`)
			if got := answer.Header.Get("X-Request-Id"); got != answer.Field("request_id") {
				t.Errorf("X-Request-Id: %q", got)
			}
			if retry := answer.Header.Get("Retry-After"); (test.status == 503 || test.status == 429) != (retry != "") {
				t.Errorf("Retry-After: %q", retry)
			}
			if len(answer.Header["Set-Cookie"]) > 0 && test.status == 503 {
				t.Errorf("a cookie was set: %v", answer.Header["Set-Cookie"])
			}
			if test.status == 405 && answer.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", answer.Header.Get("Allow"))
			}
			if csp := answer.Header.Get("Content-Security-Policy"); csp == "" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers of an error: %v", answer.Header)
			}
		})
	}
}

func TestStateWithItsETagIs304(t *testing.T) {
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	c.State()
	state := c.State()
	tag := state.Header.Get("ETag")
	if want := `"` + state.Field("session.session_id").(string) + "." + state.Field("stamp").(string) + `"`; tag != want {
		t.Errorf("ETag %s, want %s", tag, want)
	}
	c.Header.Set("If-None-Match", tag)
	if answer := c.Get("/api/session_state").Want(304); answer.Body != "" {
		t.Errorf("body %q", answer.Body)
	}
	c.SwitchPlatform("789")
	c.State()
}

func TestAnothersSessionAnswersLikeNone(t *testing.T) {
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	another := c.Another().SignIn("sam").State().Field("session.session_id").(string)
	varying := regexp.MustCompile(`"(request_id|timestamp)":"[^"]*"`)
	var bodies []string
	for _, handle := range []string{another, strings.Repeat("0", 32)} {
		bodies = append(bodies, varying.ReplaceAllString(c.Delete("/api/sessions/"+handle).Want(404).Body, ""))
	}
	if bodies[0] != bodies[1] {
		t.Errorf("%s\n%s", bodies[0], bodies[1])
	}
}

func TestValidateOfAnEndedSession(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	k.clock.Advance(25 * time.Hour)
	answer := c.Do(c.Request("POST", "/api/session/validate", nil)).Want(401)
	wantShape(t, answer.Body, `{"success":false,"valid":false,"database_session_valid":false,"flask_session_valid":true,
		"error":"*","error_code":"SESSION_EXPIRED","reason":"idle_timeout","ended_at":"TIME","request_id":"*","timestamp":"TIME"}`)
	other := c.Another()
	answer = other.Do(other.Request("POST", "/api/session/validate", nil)).Want(401)
	wantShape(t, answer.Body, `{"success":false,"valid":false,"database_session_valid":false,"flask_session_valid":false,
		"error":"*","error_code":"SESSION_REQUIRED","reason":"no_session","request_id":"*","timestamp":"TIME"}`)
	r := c.Request("POST", "/api/session/validate", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	c.Do(r).Want(403)
}

func TestGuardsAnswerInJSONOrByARedirect(t *testing.T) {
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served)
	page := c.Open("/private?a=b").Want(303)
	if got := page.Header.Get("Location"); got != "/login?next=%2Fprivate%3Fa%3Db" {
		t.Errorf("Location: %q", got)
	}
	c.Header.Set("X-Requested-With", "XMLHttpRequest")
	c.Get("/private").Want(401)
	delete(c.Header, "X-Requested-With")
	c.SignIn("alex")
	if got := c.Get("/show").Want(200).Body; got != "My Pixelfed" {
		t.Errorf("it shows %q", got)
	}
	// Lesson 33: what a tab shows is what it acts as, however late it hears.
	stale := c.Acting("456")
	c.SwitchPlatform("789")
	if got := stale.Post("/post", nil).Want(200).Body; got != "My Pixelfed" {
		t.Errorf("a stale tab posts as %q", got)
	}
	c.Post("/post", nil).Want(409)
}

func TestWhatCountsAsActivity(t *testing.T) {
	for _, test := range []struct {
		name string
		ask  func(*sessiontest.Client) *sessiontest.Response
		acts bool
	}{
		{"opening a page", func(c *sessiontest.Client) *sessiontest.Response { return c.Open("/private") }, true},
		{"posting", func(c *sessiontest.Client) *sessiontest.Response { return c.Acting("456").Post("/post", nil) }, true},
		{"switching", func(c *sessiontest.Client) *sessiontest.Response { return c.Post("/api/switch_platform/789", nil) }, true},
		{"an active heartbeat", func(c *sessiontest.Client) *sessiontest.Response {
			return c.Post("/api/session/heartbeat", map[string]any{"active": true})
		}, true},
		{"an idle heartbeat", func(c *sessiontest.Client) *sessiontest.Response {
			return c.Post("/api/session/heartbeat", map[string]any{"active": false})
		}, false},
		{"polling", func(c *sessiontest.Client) *sessiontest.Response { return c.State() }, false},
		{"validating", func(c *sessiontest.Client) *sessiontest.Response {
			return c.Do(c.Request("POST", "/api/session/validate", nil))
		}, false},
		{"a script's request", func(c *sessiontest.Client) *sessiontest.Response { return c.Get("/private") }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, session.Config{})
			c := sessiontest.NewClient(t, k.served).SignIn("alex")
			k.clock.Advance(5 * time.Hour) // far enough to be stored at once
			before := c.State().Field("session.last_activity")
			test.ask(c).Want(200)
			if after := c.State().Field("session.last_activity"); (after != before) != test.acts {
				t.Errorf("last activity went from %v to %v", before, after)
			}
		})
	}
}

// 3.3.4: the token is in Set-Cookie and nowhere else.
func TestTheTokenIsNowhereButInSetCookie(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	signedIn := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
	cookie := regexp.MustCompile(`^vedfolnir=([^;]+)`).FindStringSubmatch(signedIn.Header.Get("Set-Cookie"))
	if cookie == nil {
		t.Fatal(signedIn.Header)
	}
	secret := strings.SplitN(cookie[1], ".", 2)[1]
	answers := []*sessiontest.Response{
		signedIn, c.State(), c.Get("/api/sessions"), c.Get("/api/session/security"), c.Get("/api/user_platforms"),
		c.Get("/api/csrf"), c.Get("/api/nothing"), c.Open("/private"), c.Post("/api/session/cleanup", nil), c.Post("/api/session/refresh", nil),
	}
	for _, a := range answers {
		a.Header.Del("Set-Cookie")
		var headers strings.Builder
		if err := a.Header.Write(&headers); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(a.Body+headers.String(), secret) {
			t.Errorf("the secret is in\n%s\n%s", headers.String(), a.Body)
		}
	}
}

func TestEverySetCookie(t *testing.T) {
	k := newContract(t, session.Config{})
	for _, test := range []struct {
		name   string
		client *sessiontest.Client
		want   string
	}{
		{"over TLS", sessiontest.NewTLSClient(t, k.served), `^__Host-vedfolnir=[0-9a-f]{32}\.[\w-]{43}; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax$`},
		{"on loopback", sessiontest.NewClient(t, k.served), `^vedfolnir=[0-9a-f]{32}\.[\w-]{43}; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax$`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.client
			answer := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
			if got := answer.Header["Set-Cookie"]; len(got) != 1 || !regexp.MustCompile(test.want).MatchString(got[0]) {
				t.Errorf("sign-in sets %q", got)
			}
			for _, path := range []string{"/api/session_state", "/api/sessions", "/private"} {
				if got := c.Get(path).Header["Set-Cookie"]; len(got) > 0 {
					t.Errorf("%s sets %q", path, got)
				}
			}
			out := c.Post("/logout", nil).Want(200).Header["Set-Cookie"]
			if len(out) != 1 || !strings.Contains(out[0], "vedfolnir=; Path=/; Max-Age=0") {
				t.Errorf("sign-out sets %q", out)
			}
			if strings.Contains(test.want, "Secure") && !strings.HasSuffix(c.URL, "/") && strings.Contains(out[0], "Domain") {
				t.Errorf("a domain in %q", out)
			}
		})
	}
}
