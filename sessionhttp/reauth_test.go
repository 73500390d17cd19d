package sessionhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

const recently = 10 * time.Minute

// reauthPage stands for an application's form.
func reauthPage(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, "the form")
	if p := sessionhttp.LoginProblem(r.Context()); p != nil {
		io.WriteString(w, ": "+p.Message)
	}
}

// sessionsOf counts what lives.
func (c *contract) sessionsOf(t *testing.T, user session.UserID) int {
	t.Helper()
	list, err := c.manager.List(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Lesson 39: signing in again to confirm left phantom sessions. A proof in place
// keeps the session, its platform and the other tabs, and there is never another.
func TestLesson39_AProofInPlaceKeepsTheSession(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.SwitchPlatform("789")
	token := c.CSRFToken()
	was := c.State()
	k.clock.Advance(recently)
	wantError(t, c.Post("/recent", nil), 403, "REAUTH_REQUIRED", "authentication_too_old")
	wantError(t, c.Post("/api/session/reauth", map[string]string{"password": "wrong"}), 401, "INVALID_CREDENTIALS", "invalid_credentials")
	wantError(t, c.Post("/recent", nil), 403, "REAUTH_REQUIRED", "authentication_too_old")
	proved := c.Post("/api/session/reauth", map[string]string{"password": sessiontest.Password}).Want(200)
	if len(proved.Header["Set-Cookie"]) != 1 || proved.Field("authenticated_at") != k.clock.Now().Format(time.RFC3339) {
		t.Errorf("%v, %s", proved.Header["Set-Cookie"], proved.Body)
	}
	r := c.Request("POST", "/recent", nil)
	r.Header.Set("X-CSRFToken", token) // the page's own is as good as before
	if answer := c.Do(r).Want(200); answer.Body != "My Mastodon" {
		t.Errorf("served as %q", answer.Body)
	}
	now := c.State()
	for _, field := range []string{"session.session_id", "platform.id", "user.id", "session.created_at"} {
		if now.Field(field) != was.Field(field) {
			t.Errorf("%s is %v, was %v", field, now.Field(field), was.Field(field))
		}
	}
	if n := k.sessionsOf(t, "123"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	wantError(t, c.Post("/strong", nil), 403, "REAUTH_REQUIRED", "level_too_low")
}

// Whoever holds the cookie from before gains nothing by the owner's proof.
func TestACookieFromBeforeAProofIsAsGoodAsItWas(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	in := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
	cookie, _, _ := strings.Cut(in.Header.Get("Set-Cookie"), ";")
	late := c.Another()
	late.Header.Set("Cookie", cookie)
	k.clock.Advance(recently)
	c.Post("/api/session/reauth", map[string]string{"password": sessiontest.Password}).Want(200)
	for range 2 {
		late.State()
		wantError(t, late.Post("/recent", nil), 403, "REAUTH_REQUIRED", "authentication_too_old")
		c.Post("/recent", nil).Want(200) // the new one is used
	}
	k.clock.Advance(10 * time.Second)
	wantError(t, late.Get("/api/session_state"), 401, "SESSION_ENDED", "token_replayed")
}

// As another person: a session of their own, and this one ends.
func TestAProofOfAnotherPersonIsASessionOfTheirOwn(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.SwitchPlatform("789")
	old := c.State().Field("session.session_id")
	events := c.Events("")
	answer := c.Post("/api/session/reauth", map[string]string{"username": "sam", "password": sessiontest.Password}).Want(200)
	if answer.Field("user.username") != "sam" || answer.Field("session.session_id") == old || answer.Field("platform") != nil {
		t.Errorf("%s", answer.Body)
	}
	events.Await("ended") // the other tabs follow
	if state := c.State(); state.Field("user.username") != "sam" || k.sessionsOf(t, "123") != 0 || k.sessionsOf(t, "124") != 1 {
		t.Errorf("%s; %d of alex and %d of sam", state.Body, k.sessionsOf(t, "123"), k.sessionsOf(t, "124"))
	}
	c.Post("/recent", nil).Want(200)
}

// Pages without a script are led to a form and back.
func TestAPageThatAsksForAProofLeadsThereAndBack(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.Open("/recent?a=b").Want(200)
	k.clock.Advance(recently)
	const there = "/reauth?next=%2Frecent%3Fa%3Db"
	leads := func(answer *sessiontest.Response, to string) {
		t.Helper()
		if answer.Want(303).Header.Get("Location") != to {
			t.Errorf("to %q, want %q", answer.Header.Get("Location"), to)
		}
	}
	leads(c.Open("/recent?a=b"), there)
	form := func(referer string) *sessiontest.Response {
		c.Header.Set("Referer", referer)
		defer c.Header.Del("Referer")
		return c.PostForm("/recent", nil)
	}
	leads(form(c.URL+"/recent?a=b"), there)
	leads(form("https://evil.example/recent"), "/reauth")
	leads(form(""), "/reauth")
	if page := c.Open(there).Want(200); page.Body != "the form" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q, %v", page.Body, page.Header)
	}
	wrong := c.PostForm("/reauth", url.Values{"password": {"wrong"}, "next": {"/recent?a=b"}}).Want(401)
	if !strings.HasPrefix(wrong.Body, "the form: ") || len(wrong.Header["Set-Cookie"]) > 0 {
		t.Errorf("%q, %v", wrong.Body, wrong.Header)
	}
	if limited := c.PostForm("/reauth", url.Values{"username": {"flood"}, "password": {"x"}}).Want(429); limited.Header.Get("Retry-After") != "2" {
		t.Errorf("%v", limited.Header)
	}
	leads(c.Open("/recent?a=b"), there)
	leads(c.PostForm("/reauth", url.Values{"password": {sessiontest.Password}, "next": {"/recent?a=b"}}), "/recent?a=b")
	c.Open("/recent?a=b").Want(200)
	leads(c.PostForm("/reauth", url.Values{"password": {sessiontest.Password}, "next": {"//evil.example"}}), "/")
	leads(c.Another().Open("/reauth?next=%2Frecent"), "/login?next=%2Freauth%3Fnext%3D%252Frecent")
	c.SignOut()
	leads(c.Open("/recent"), "/login?next=%2Frecent")
}

// Where the application asks for nothing and knows no way, there is none.
func TestWithoutAWayToProveAnythingThereIsNoRoute(t *testing.T) {
	t.Parallel()
	m, err := session.New(memstore.New(), contractPeople, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, config := range []sessionhttp.Config{
		{ReauthPage: http.NotFoundHandler()},
		{ReauthOptions: func(context.Context, *session.Context) (o sessionhttp.ReauthOptions, err error) { return o, nil }},
		{ReauthPath: "/login"},
		{ReauthPath: "/logout"},
		{ReauthPath: "reauth"},
	} {
		if _, err := sessionhttp.New(m, config); err == nil {
			t.Errorf("%+v was taken", config)
		}
	}
	h, err := sessionhttp.New(m, sessionhttp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /in", func(w http.ResponseWriter, r *http.Request) {
		if _, err := h.SignIn(w, r, "123"); err != nil {
			t.Error(err)
		}
	})
	c := sessiontest.NewClient(t, h.Wrap(mux))
	c.Post("/in", nil).Want(200)
	wantError(t, c.Post("/api/session/reauth/options", nil), 404, "NOT_FOUND", "not_found")
	wantError(t, c.Post("/api/session/reauth", map[string]string{"password": "x"}), 404, "NOT_FOUND", "not_found")
	if answer := c.Open("/reauth"); answer.Status != 404 {
		t.Errorf("%d", answer.Status)
	}
}

// An application with passkeys is asked for options, and given the answer as the
// browser sent it; what was proved has its level.
func TestAnApplicationsOwnProof(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	const passkey = `{"id":"AQ","response":{"signature":"Ag"}}`
	var err error
	k.handler, err = sessionhttp.New(k.manager, sessionhttp.Config{
		Login: k.login, Logger: slog.New(slog.DiscardHandler),
		ReauthOptions: func(_ context.Context, c *session.Context) (sessionhttp.ReauthOptions, error) {
			return sessionhttp.ReauthOptions{Methods: []string{"passkey", "password"}, Passkey: json.RawMessage(`{"challenge":"` + c.Session.ID.String() + `"}`)}, nil
		},
		Reauth: func(ctx context.Context, c *session.Context, given sessionhttp.ReauthProof) (session.CreateRequest, error) {
			switch {
			case given.Passkey == nil:
				return k.login(ctx, given.Credentials)
			case string(given.Passkey) != passkey || given.Credentials != (sessionhttp.Credentials{}):
				return session.CreateRequest{}, sessionhttp.ErrBadCredentials
			}
			return session.CreateRequest{UserID: c.Session.UserID, Level: assurance.TwoFactors}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/strong", k.handler.RequireLevel(assurance.TwoFactors, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.Handle("/never", k.handler.RequireRecent(0, http.NotFoundHandler()))
	c := sessiontest.NewClient(t, k.handler.Wrap(mux)).SignIn("alex")
	refused := c.Post("/strong", nil)
	wantError(t, refused, 403, "REAUTH_REQUIRED", "level_too_low")
	if refused.Field("required.level") != 2.0 || refused.Field("required.max_age_seconds") != 0.0 {
		t.Errorf("%s", refused.Body)
	}
	options := c.Post("/api/session/reauth/options", nil).Want(200)
	wantShape(t, options.Body, `{"success":true,"username":"alex","methods":["passkey","password"],"passkey":{"challenge":"HANDLE"}}`)
	wantError(t, c.Post("/api/session/reauth", map[string]any{"passkey": map[string]string{"id": "Ag"}}), 401, "INVALID_CREDENTIALS", "invalid_credentials")
	wantError(t, c.Post("/api/session/reauth", map[string]any{"passkey": nil}), 400, "BAD_REQUEST", "malformed_request")
	proved := c.Post("/api/session/reauth", map[string]any{"passkey": json.RawMessage(passkey)}).Want(200)
	if proved.Field("level") != 2.0 {
		t.Errorf("%s", proved.Body)
	}
	c.Post("/strong", nil).Want(200)
	k.clock.Advance(time.Hour)
	if again := c.Post("/api/session/reauth", map[string]string{"password": sessiontest.Password}).Want(200); again.Field("level") != 2.0 {
		t.Errorf("%s", again.Body)
	}
	c.Post("/strong", nil).Want(200)
	wantError(t, c.Post("/never", nil), 403, "REAUTH_REQUIRED", "authentication_too_old")

	byPassword := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	wantError(t, byPassword.Post("/api/session/reauth", map[string]any{"passkey": json.RawMessage(passkey)}), 400, "BAD_REQUEST", "malformed_request")
}

// Of tabs that prove it at once one wins, and the others are told 409 and get no
// token; switches beside them are no conflict.
func TestTabsThatProveItAtOnce(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{Security: session.Security{MaxPlatformSwitchesPerHour: session.NoLimit}})
	browser := sessiontest.NewClient(t, k.served)
	for range 10 {
		in := browser.Another().Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
		k.clock.Advance(recently)
		holding := func(answer *sessiontest.Response) *sessiontest.Client {
			c := browser.Another()
			cookie, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
			c.Header.Set("Cookie", cookie)
			return c
		}
		token := holding(in).CSRFToken()
		post := func(path, body string) *sessiontest.Response {
			c := holding(in)
			r := c.Request("POST", path, json.RawMessage(body))
			r.Header.Set("X-CSRFToken", token)
			return c.Do(r)
		}
		var wg sync.WaitGroup
		won := make(chan *sessiontest.Response, 4)
		for i := range 4 {
			wg.Go(func() {
				answer := post("/api/session/reauth", `{"password":"`+sessiontest.Password+`"}`)
				if answer.Status == 200 {
					won <- answer
				} else if answer.Status != 409 || len(answer.Header["Set-Cookie"]) > 0 {
					t.Errorf("%d %v %s", answer.Status, answer.Header["Set-Cookie"], answer.Body)
				}
			})
			wg.Go(func() {
				if answer := post("/api/switch_platform/"+[]string{"456", "789"}[i%2], `{}`); answer.Status != 200 {
					t.Errorf("%d %s", answer.Status, answer.Body)
				}
			})
		}
		wg.Wait()
		if n := k.sessionsOf(t, "123"); n != 1 || len(won) != 1 {
			t.Fatalf("%d sessions, %d won", n, len(won))
		}
		winner := holding(<-won)
		wantError(t, post("/recent", `{}`), 403, "REAUTH_REQUIRED", "authentication_too_old")
		winner.Post("/recent", nil).Want(200)
		winner.SignOut()
	}
}

// Whoever checks by their own router gets the same answers; a session that came
// without a cookie has proved nothing.
func TestAProofIsCheckedWithoutTheMiddlewareOfNetHTTP(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	found, _, err := k.manager.Create(t.Context(), session.CreateRequest{UserID: "123", Level: assurance.TwoFactors})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		sessionhttp.CheckRecent(t.Context(), time.Hour), sessionhttp.CheckRecent(session.NewContext(t.Context(), &found), time.Hour),
		sessionhttp.CheckLevel(session.NewContext(t.Context(), &found), 1),
	} {
		if p := sessionhttp.ProblemOf(err); p.Code != "SESSION_REQUIRED" {
			t.Errorf("%v", err)
		}
	}
	p := sessionhttp.ProblemOf(fmt.Errorf("pay: %w", assurance.Required{MaxAge: 90 * time.Second, Level: 2}.Check(assurance.Proof{}, time.Now())))
	if p.Code != "REAUTH_REQUIRED" || p.Required != (assurance.Required{MaxAge: 90 * time.Second, Level: 2}) || p.FailedAttempt() {
		t.Errorf("%+v", p)
	}
}

func TestAProofCannotBePrinted(t *testing.T) {
	given := sessionhttp.ReauthProof{Credentials: sessionhttp.Credentials{Username: "alex", Password: "secret"}, Passkey: json.RawMessage(`"secret"`)}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("given", "proof", given)
	printed := fmt.Sprintf("%v %+v %#v %s", given, given, given, errors.Join(fmt.Errorf("%v", given))) + logged.String()
	if strings.Contains(printed, "secret") || !strings.Contains(printed, "alex") {
		t.Errorf("%s", printed)
	}
}

// 7.5.2: an application may want a proof before other sessions are ended.
func TestEndingOtherSessionsMayAskForAProof(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	if _, err := sessionhttp.New(k.manager, sessionhttp.Config{RecentToEnd: -1}); err == nil {
		t.Error("a negative age was taken")
	}
	var err error
	if k.handler, err = sessionhttp.New(k.manager, sessionhttp.Config{Login: k.login, RecentToEnd: recently, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	c := sessiontest.NewClient(t, k.handler.Wrap(http.NotFoundHandler())).SignIn("alex")
	other := c.Another().SignIn("alex")
	handle := other.State().Field("session.session_id").(string)
	k.clock.Advance(recently)
	for range 2 {
		wantError(t, c.Delete("/api/sessions/"+handle), 403, "REAUTH_REQUIRED", "authentication_too_old")
		wantError(t, c.Post("/api/sessions/revoke_others", nil), 403, "REAUTH_REQUIRED", "authentication_too_old")
	}
	wantError(t, c.Do(c.Request("POST", "/api/sessions/revoke_others", nil)), 403, "CSRF_INVALID", "csrf_invalid") // first things first
	other.State()
	c.Post("/api/session/reauth", map[string]string{"password": sessiontest.Password}).Want(200)
	c.Delete("/api/sessions/" + handle).Want(200)
	c.Post("/api/sessions/revoke_others", nil).Want(200)
	wantError(t, other.Get("/api/session_state"), 401, "SESSION_ENDED", "revoked_by_user")
	c.State()
}
