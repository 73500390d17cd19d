package sessionhttp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// What may follow a sign-in is a path of this origin, as a browser reads it.
func TestSafeNext(t *testing.T) {
	t.Parallel()
	for _, safe := range []string{
		"/", "/queue", "/queue?page=2&sort=new", "/a/b/c#part", "/a//b", "/%2f%2fevil.example", "/../up", "/@evil.example", "/ümlaut",
		"/?next=https://evil.example",
	} {
		if got := sessionhttp.SafeNext(safe); got != safe {
			t.Errorf("%q is refused", safe)
		}
	}
	for _, unsafe := range []string{
		"", "queue", "?a", "#a", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, `/a\b`,
		"https://evil.example/", "HTTPS:evil.example", "javascript:alert(1)", "data:text/html,x", "/\t/evil.example", "/\n/evil.example",
		"/\r\nSet-Cookie: a=b", "\t//evil.example", " /queue", "/a b", "/a\x00", "/a\x7f", "/" + strings.Repeat("a", 2048),
	} {
		if got := sessionhttp.SafeNext(unsafe); got != "" {
			t.Errorf("%q is taken as %q", unsafe, got)
		}
		if location := "/login?next=" + url.QueryEscape(unsafe); strings.ContainsAny(location, "\r\n") {
			t.Errorf("%q", location)
		}
	}
}

// A page is led to sign in and back; everything else is told in JSON.
func TestLesson12_JSONInsteadOfARedirect(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	for _, test := range []struct {
		name, method, path string
		headers            []string
		location           string // "": JSON
	}{
		{"a page", "GET", "/private?a=b&c", nil, "/login?next=%2Fprivate%3Fa%3Db%26c"},
		{"a page that was only looked at", "HEAD", "/private", nil, "/login?next=%2Fprivate"},
		{"home, where one comes to anyway", "GET", "/", nil, "/login"},
		{"a form, which cannot be repeated", "POST", "/private", []string{"Content-Type", "application/x-www-form-urlencoded"}, "/login"},
		{"a path that a browser would take for a host", "GET", "//evil.example/..//private", nil, "/login"},
		{"asks for JSON", "GET", "/private", []string{"Accept", "application/json"}, ""},
		{"among others", "GET", "/private", []string{"Accept", "text/plain, application/json;q=0.5"}, ""},
		{"a script of the old kind", "GET", "/private", []string{"X-Requested-With", "XMLHttpRequest"}, ""},
		{"sends JSON", "POST", "/private", []string{"Content-Type", "application/json"}, ""},
		{"the API", "GET", "/api/sessions", []string{"Accept", "text/html"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := c.Request(test.method, test.path, nil)
			r.Header.Del("Content-Type")
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Set(test.headers[i], test.headers[i+1])
			}
			if strings.HasPrefix(test.path, "//") || test.path == "/" {
				serveGuarded(t, k, r, test.location)
				return
			}
			answer := c.Do(r)
			if test.location == "" {
				wantError(t, answer, 401, "SESSION_REQUIRED", "no_session")
			} else if answer.Want(303); answer.Header.Get("Location") != test.location {
				t.Errorf("Location %q, want %q", answer.Header.Get("Location"), test.location)
			}
		})
	}
}

// serveGuarded asks a guard itself, past the ServeMux that has no such route or
// would clean the path.
func serveGuarded(t *testing.T, k *contract, r *http.Request, location string) {
	w := httptest.NewRecorder()
	k.handler.Middleware(k.handler.RequireSession(http.NotFoundHandler())).ServeHTTP(w, r)
	if w.Code != 303 || w.Header().Get("Location") != location {
		t.Errorf("%d, Location %q", w.Code, w.Header().Get("Location"))
	}
}

// An application that checks a password on a page of its own answers there.
func TestAWrongPasswordOnAnotherPageLeadsNowhere(t *testing.T) {
	t.Parallel()
	var e *edge
	e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.h.Error(w, r, fmt.Errorf("confirm: %w", sessionhttp.ErrBadCredentials))
	}), sessionhttp.Config{})
	e.signIn()
	if w := e.do("POST", "/confirm", "csrf_token="+e.csrf(), "Content-Type", "application/x-www-form-urlencoded"); w.Code != 401 || w.Header().Get("Location") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// What no password can be is not worth a hash.
func TestCredentialsWithoutEndAreNotChecked(t *testing.T) {
	t.Parallel()
	asked := 0
	e := newEdge(t, nil, sessionhttp.Config{Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
		asked++
		return session.CreateRequest{}, sessionhttp.ErrBadCredentials
	}})
	token := e.visit(t)
	for _, body := range []string{
		`{"username":"alex","password":"` + strings.Repeat("x", 1025) + `"}`,
		`{"username":"` + strings.Repeat("x", 321) + `","password":"x"}`,
	} {
		wantCode(t, e.do("POST", "/login", body, "Content-Type", "application/json", "X-CSRFToken", token), 401, "INVALID_CREDENTIALS")
	}
	if asked > 0 {
		t.Errorf("asked %d times", asked)
	}
	wantCode(t, e.do("POST", "/login", `{"username":"alex","password":"`+strings.Repeat("x", 1024)+`"}`, "Content-Type", "application/json", "X-CSRFToken", token), 401, "INVALID_CREDENTIALS")
	if asked != 1 {
		t.Error("a long password is not checked")
	}
}

// What has ended is led to sign in as well; a store that is down is not.
func TestLesson37_APageIsNotLedToSignInWhenTheStoreIsDown(t *testing.T) {
	t.Parallel()
	k := newContract(t, noLease)
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.Open("/private").Want(200)
	k.store.down.Store(true)
	down := c.Open("/private").Want(503)
	if down.Header.Get("Retry-After") == "" || down.Header.Get("Location") != "" || len(down.Header["Set-Cookie"]) > 0 || !strings.Contains(down.Body, "not signed out") {
		t.Errorf("%v\n%s", down.Header, down.Body)
	}
	k.store.mend()
	c.Open("/private").Want(200)
	k.clock.Advance(25 * time.Hour)
	c.Open("/private").Want(303)
}

func TestGuards(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	alex := sessiontest.NewClient(t, k.served).SignIn("alex")
	sam := alex.Another().SignIn("sam") // who has no platform
	nobody := alex.Another()
	for _, c := range []*sessiontest.Client{alex, sam, nobody} {
		c.Header.Set("Accept", "application/json")
	}
	for _, test := range []struct {
		name   string
		client *sessiontest.Client
		path   string
		status int
		code   any
	}{
		{"signed out", nobody, "/private", 401, "SESSION_REQUIRED"},
		{"signed out", nobody, "/show", 401, "SESSION_REQUIRED"},
		{"signed out", nobody, "/post", 401, "SESSION_REQUIRED"},
		{"without a platform", sam, "/private", 200, nil},
		{"without a platform", sam, "/show", 403, "PLATFORM_REQUIRED"},
		{"without a platform", sam, "/post", 409, "PLATFORM_UNSTATED"},
		{"states another's platform", sam.Acting("456"), "/post", 403, "PLATFORM_FORBIDDEN"},
		{"states another's platform where none is needed", sam.Acting("456"), "/private", 403, "PLATFORM_FORBIDDEN"},
		{"with a platform", alex, "/show", 200, nil},
		{"with a platform, which it does not state", alex, "/post", 409, "PLATFORM_UNSTATED"},
		{"states its active one", alex.Acting("456"), "/post", 200, nil},
		{"states its other one", alex.Acting("789"), "/show", 200, nil},
	} {
		t.Run(test.name+" "+test.path, func(t *testing.T) {
			answer := test.client.Get(test.path).Want(test.status)
			if test.code != nil && answer.Field("error_code") != test.code {
				t.Errorf("%s", answer.Body)
			}
		})
	}
	if got := alex.Acting("789").Get("/show").Body; got != "My Mastodon" {
		t.Errorf("acts as %q", got)
	}
	if got := alex.Acting("789").State().Field("platform.name"); got != "My Pixelfed" {
		t.Errorf("the session's state is %v: it is the same in every tab", got)
	}
	w := httptest.NewRecorder() // a guard that was mounted without the middleware lets nobody in
	k.handler.RequireSession(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 303 {
		t.Errorf("%d", w.Code)
	}
}

func TestLesson33_TwoHeadersThatStateDifferentPlatforms(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	for _, test := range []struct {
		stated []string
		status int
	}{
		{[]string{"789"}, 200},
		{[]string{"789", "789"}, 200},
		{[]string{"789", "456"}, 400},
		{[]string{"456", "1"}, 400},
	} {
		for _, path := range []string{"/show", "/api/session_state", "/api/sessions"} {
			r := c.Request("GET", path, nil)
			r.Header["X-Platform-Id"] = test.stated
			if answer := c.Do(r); answer.Status != test.status {
				t.Errorf("%s as %q: %d %s", path, test.stated, answer.Status, answer.Body)
			}
		}
	}
}

// Signing in over a live session ends that one, whoever's it was, and names the
// platform of the one who signs in, not of the one who was.
func TestLesson39_SigningInOverALiveSessionEndsIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ first, then, platform string }{
		"the same person":                 {"alex", "alex", ""},
		"another person":                  {"alex", "sam", ""},
		"another person with a platform":  {"sam", "alex", "789"},
		"the same person with a platform": {"alex", "alex", "789"},
	} {
		for _, form := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k := newContract(t, session.Config{})
				c := sessiontest.NewClient(t, k.served)
				first := c.Post("/login", map[string]any{"username": test.first, "password": sessiontest.Password}).Want(200)
				if form {
					c.PostForm("/login", url.Values{"username": {test.then}, "password": {sessiontest.Password}, "platform_id": {test.platform}}).Want(303)
				} else {
					c.Post("/login", map[string]any{"username": test.then, "password": sessiontest.Password, "platform_id": test.platform}).Want(200)
				}
				if got := c.State().Field("user.username"); got != test.then {
					t.Errorf("signed in as %v", got)
				}
				if test.platform != "" && c.Platform() != "My Mastodon" {
					t.Errorf("as %q", c.Platform())
				}
				old := c.Another()
				old.Header.Set("Cookie", strings.SplitN(first.Header.Get("Set-Cookie"), ";", 2)[0])
				wantError(t, old.Get("/api/session_state"), 401, "SESSION_ENDED", "signed_out")
				if list := c.Get("/api/sessions").Field("sessions").([]any); len(list) != 1 {
					t.Errorf("phantom sessions: %v", list)
				}
			})
		}
	}
}

// Lesson 1: a sign-in lasts.
func TestLesson01_TheNextRequestsAreSignedIn(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	for range 5 {
		c.Open("/private").Want(200)
		c.State()
	}
}

// Lesson 2: there is no second copy of a session that could outlive its row.
func TestLesson02_ARowThatIsGoneIsGone(t *testing.T) {
	t.Parallel()
	k := newContract(t, noLease)
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.State()
	k.store.Store = memstore.New() // as if somebody had deleted the row
	wantError(t, c.Get("/api/session_state"), 401, "SESSION_INVALID", "unknown")
	c.Open("/private").Want(303)
}

// Lessons 3 and 4: a poll writes nothing, whatever cookie and platform it left with.
func TestLesson03_APollWritesNothing(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{Security: session.Security{MaxPlatformSwitchesPerHour: 2}})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.SwitchPlatform("789")
	before := c.State()
	late := c.Acting("456") // a tab from before the switch
	k.clock.Advance(time.Hour)
	for range 20 {
		c.State()
		late.State()
		c.Get("/api/session/security").Want(200)
		c.Do(c.Request("POST", "/api/session/validate", nil)).Want(200)
	}
	after := c.State()
	for _, field := range []string{"stamp", "platform.name", "session.last_activity"} {
		if after.Field(field) != before.Field(field) {
			t.Errorf("%s went from %v to %v", field, before.Field(field), after.Field(field))
		}
	}
	if after.Header.Get("Set-Cookie") != "" {
		t.Error("a poll sets a cookie")
	}
}

// Lesson 8: the token that comes after a refusal is good.
func TestLesson08_TheFreshTokenAfterARefusalIsGood(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	stale := c.CSRFToken()
	c.SignIn("alex")
	r := c.Request("POST", "/api/switch_platform/789", nil)
	r.Header.Set("X-CSRFToken", stale)
	wantError(t, c.Do(r), 403, "CSRF_STALE", "csrf_stale")
	c.Post("/api/switch_platform/789", nil).Want(200)
}

// Lesson 9: cleaning up leaves the caller's session, and everybody else's.
func TestLesson09_CleaningUpLeavesTheLiving(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	c.Another().SignIn("alex") // idle until it expires
	k.clock.Advance(20 * time.Hour)
	alex, sam := c.Another().SignIn("alex"), c.Another().SignIn("sam")
	sam.Another().SignIn("sam").SignOut()
	c.SignIn("alex")
	k.clock.Advance(10 * time.Hour)
	wantShape(t, c.Post("/api/session/cleanup", nil).Want(200).Body, `{"success":true,"cleaned_sessions":1,"message":"Cleaned up 1 expired sessions"}`)
	c.State()
	alex.State()
	sam.State()
	wantShape(t, sam.Post("/api/session/cleanup", nil).Want(200).Body, `{"success":true,"cleaned_sessions":1,"message":"Cleaned up 1 expired sessions"}`)
}

// Lesson 10: what is only remarkable is told as that; valid and usable are one.
func TestLesson10_AChangedUserAgentIsASignalAndNoVerdict(t *testing.T) {
	t.Parallel()
	c := sessiontest.NewClient(t, newContract(t, session.Config{}).served).SignIn("alex")
	c.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
	if got := c.Do(c.Request("POST", "/api/session/validate", nil)).Want(200).Field("valid"); got != true {
		t.Errorf("valid: %v", got)
	}
	security := c.Get("/api/session/security").Want(200)
	if security.Field("is_suspicious") != true || security.Field("answer") != "note" || security.Field("explanation") != "user_agent_changed 40, platform_changed 25, score 65: note" {
		t.Errorf("%s", security.Body)
	}
	c.State()
}

// Lesson 24: a request in flight while its session is ended does not bring it back.
func TestLesson24_ARequestInFlightDuringSignOut(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	under, goOn := make(chan struct{}), make(chan struct{})
	var h *sessionhttp.Handler
	served := k.handler.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(under)
		<-goOn
		io.WriteString(w, h.CSRFToken(w, r))
	}))
	h = k.handler
	c := sessiontest.NewClient(t, served).SignIn("alex")
	k.clock.Advance(time.Hour)
	answered := make(chan *sessiontest.Response)
	go func() { answered <- c.Open("/slow") }()
	<-under
	c.SignOut()
	close(goOn)
	if answer := <-answered; len(answer.Header["Set-Cookie"]) > 0 {
		t.Errorf("the late answer sets %v", answer.Header["Set-Cookie"])
	}
	c.Get("/api/session_state").Want(401)
	k.clock.Advance(time.Minute)
	c.Get("/api/session_state").Want(401)
}

// Lessons 31 and 41: what asks for nothing new costs a 304 without a body, and no
// question to the store.
func TestLesson31_PollsAskTheStoreNothing(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{Sync: session.Sync{Lease: time.Hour}})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.State()
	c.Header.Set("If-None-Match", c.State().Header.Get("ETag"))
	k.store.failing("Get", errRefused, false)
	for range 20 {
		if answer := c.Get("/api/session_state").Want(304); answer.Body != "" || answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Vary") != "Cookie" {
			t.Errorf("%q %v", answer.Body, answer.Header)
		}
	}
}

// Forms and other unsafe requests of the application itself.
func TestUnsafeRequestsOfTheApplicationNeedTheToken(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PURGE"} {
		r := c.Request(method, "/private", nil)
		wantError(t, c.Do(r), 403, "CSRF_INVALID", "csrf_invalid")
		r = c.Request(method, "/private", nil)
		r.Header.Set("X-CSRFToken", c.CSRFToken())
		c.Do(r).Want(200)
		r.Header.Set("Sec-Fetch-Site", "same-site")
		wantError(t, c.Do(r), 403, "CROSS_ORIGIN", "cross_origin")
	}
	c.PostForm("/private", url.Values{"a": {"b"}}).Want(200)
	c.PostForm("/private?csrf_token="+c.CSRFToken(), url.Values{"csrf_token": {""}}).Want(403)
	nobody := c.Another() // has nothing to protect but the origin
	nobody.Do(nobody.Request("POST", "/private", nil)).Want(401)
	r := nobody.Request("POST", "/private", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	wantError(t, nobody.Do(r), 403, "CROSS_ORIGIN", "cross_origin")
	r = nobody.Request("POST", "/private", nil)
	r.Header.Del("Content-Type")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if page := nobody.Do(r).Want(403); !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%v", page.Header)
	}
}

// What a proxy says counts if it is named, and nothing else does.
func TestLesson29_ForwardedProtocolsCountOnlyFromNamedProxies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, remote, proto string
		status              int
		cookie              string
	}{
		{"a named proxy over TLS", "10.0.0.1:1", "https", 200, "__Host-vedfolnir="},
		{"a named proxy over plain http", "10.0.0.1:1", "http", 400, ""},
		{"a named proxy that does not say", "10.0.0.1:1", "", 400, ""},
		{"anybody", "192.0.2.7:1", "https", 400, ""},
		{"this machine", "127.0.0.1:1", "https", 200, "vedfolnir="},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var e *edge
			e = newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := e.h.SignIn(w, r, "1"); err != nil {
					e.h.Error(w, r, err)
				}
			}), sessionhttp.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
			r := httptest.NewRequest("GET", "http://localhost/", nil)
			r.RemoteAddr = test.remote
			r.Header.Set("X-Forwarded-Proto", test.proto)
			r.Header.Set("X-Forwarded-Host", "localhost")
			r.Header.Set("Accept", "application/json")
			w := httptest.NewRecorder()
			e.handler.ServeHTTP(w, r)
			set := w.Header().Get("Set-Cookie")
			if w.Code != test.status || !strings.HasPrefix(set, test.cookie) || (set == "") != (test.cookie == "") {
				t.Errorf("%d %q %s", w.Code, set, w.Body)
			}
			tls := strings.HasPrefix(set, "__Host-")
			if (w.Header().Get("Strict-Transport-Security") != "") != tls || tls != strings.Contains(set, "Secure") {
				t.Errorf("%q, HSTS %q", set, w.Header().Get("Strict-Transport-Security"))
			}
		})
	}
}

func TestPlainHTTPBeyondLoopbackOnlyByTheOptionThatSaysDanger(t *testing.T) {
	t.Parallel()
	for _, danger := range []bool{false, true} {
		e := newEdge(t, nil, sessionhttp.Config{DangerouslyAllowPlainHTTP: danger})
		ask := func(method, path string, headers ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "http://example.com"+path, strings.NewReader(`{"username":"1","password":"x"}`))
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			e.handler.ServeHTTP(w, r)
			return w
		}
		visit := ask("GET", "/api/csrf")
		token := tokenIn(t, visit)
		prelogin, _, _ := strings.Cut(visit.Header().Get("Set-Cookie"), ";")
		w := ask("POST", "/login", "Content-Type", "application/json", "Cookie", prelogin, "X-CSRFToken", token)
		if !danger {
			if wantCode(t, w, 400, "BAD_REQUEST"); !strings.Contains(w.Body.String(), `"reason":"plain_http"`) || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s %v", w.Body, w.Header())
			}
		} else if set := w.Header().Get("Set-Cookie"); w.Code != 200 || !strings.HasPrefix(set, "vedfolnir=") {
			t.Errorf("%d %q", w.Code, set)
		}
	}
}

// A mistake in the configuration is an error that names it.
func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	m, err := session.New(memstore.New(), nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for name, test := range map[string]struct {
		manager *session.Manager
		config  sessionhttp.Config
		want    string
	}{
		"no manager":                     {nil, sessionhttp.Config{}, "manager"},
		"a path without a slash":         {m, sessionhttp.Config{LoginPath: "login"}, "LoginPath"},
		"a path that ends in one":        {m, sessionhttp.Config{LogoutPath: "/logout/"}, "LogoutPath"},
		"another host":                   {m, sessionhttp.Config{HomePath: "//evil.example"}, "HomePath"},
		"a pattern":                      {m, sessionhttp.Config{ScriptPath: "/{x}"}, "ScriptPath"},
		"the API over everything":        {m, sessionhttp.Config{BasePath: "/"}, "BasePath"},
		"a script over everything":       {m, sessionhttp.Config{ScriptPath: "/"}, "ScriptPath"},
		"a cookie's prefix":              {m, sessionhttp.Config{CookieName: "__Secure-a"}, "CookieName"},
		"no name of a cookie":            {m, sessionhttp.Config{CookieName: "a b"}, "CookieName"},
		"a form of less than nothing":    {m, sessionhttp.Config{MaxFormBytes: -1}, "MaxFormBytes"},
		"a policy that is two headers":   {m, sessionhttp.Config{ContentSecurityPolicy: "a\r\nSet-Cookie: b"}, "ContentSecurityPolicy"},
		"two mistakes, the second one":   {m, sessionhttp.Config{LoginPath: "x", CookieName: "a b"}, "CookieName"},
		"the sign-in page over sign-out": {m, sessionhttp.Config{LoginPath: "/in", LogoutPath: "/in"}, "LogoutPath"},
	} {
		if h, err := sessionhttp.New(test.manager, test.config); h != nil || err == nil || !strings.Contains(err.Error(), test.want+" ") {
			t.Errorf("%s: %v, want a word on %s", name, err, test.want)
		}
	}
	if _, err := sessionhttp.New(m, sessionhttp.Config{LoginPath: "/"}); err != nil {
		t.Error(err)
	}
}

func TestHeadOfAPage(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	served := k.handler.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, string(k.handler.Head(w, r)+k.handler.Head(w, r)))
	}))
	c := sessiontest.NewTLSClient(t, served)
	page := c.Open("/").Want(200)
	if n := len(page.Header["Set-Cookie"]); n != 1 || page.Header.Get("Cache-Control") != "no-store" || strings.Count(page.Body, k.handler.ScriptURL()) != 2 {
		t.Errorf("%d cookies for two tokens: %v\n%s", n, page.Header, page.Body)
	}
	for _, part := range strings.Split(page.Body, `content="`)[1:] {
		r := c.Request("POST", "/login", map[string]string{"username": "alex", "password": sessiontest.Password})
		r.Header.Set("X-CSRFToken", part[:strings.IndexByte(part, '"')])
		answer := c.Another().Do(withCookie(r, page))
		answer.Want(200)
	}
	c.SignIn("alex")
	if page = c.Open("/"); len(page.Header["Set-Cookie"]) > 0 {
		t.Errorf("a cookie for somebody who is signed in: %v", page.Header)
	}
}

func withCookie(r *http.Request, from *sessiontest.Response) *http.Request {
	pair, _, _ := strings.Cut(from.Header.Get("Set-Cookie"), ";")
	r.Header.Set("Cookie", pair)
	return r
}

func TestTheClientsScript(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	// What the client loads by itself is beside it, by its plain name.
	beside := c.Get("/session-dialogs.js").Want(200)
	if beside.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(beside.Body, "export{") {
		t.Errorf("%v", beside.Header)
	}
	// Its parts it asks for by their content, and once more if that failed; another release's there are none of.
	parts := regexp.MustCompile(`\./session-(?:act|live)\.js\?v=[0-9a-f]{16}`).FindAllString(c.Get("/session-sync.js").Want(200).Body, -1)
	if len(parts) != 2 {
		t.Errorf("parts: %v", parts)
	}
	for _, part := range parts {
		for _, address := range []string{part[1:], part[1:] + "&"} {
			if header := c.Get(address).Want(200).Header; header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("%s: %v", address, header)
			}
		}
		if header := c.Get(part[1:len(part)-16] + "0123456789abcdef").Want(404).Header; header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s of another release: %v", part, header)
		}
	}
	for _, address := range []string{k.handler.ScriptURL(), k.handler.ModuleURL()} {
		named := c.Get(address).Want(200)
		if named.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.HasPrefix(named.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %v", address, named.Header)
		}
		path, _, _ := strings.Cut(address, "?")
		plain := c.Get(path).Want(200)
		if plain.Header.Get("Cache-Control") != "no-cache" || plain.Body != named.Body {
			t.Errorf("%s: %v", path, plain.Header)
		}
		r := c.Request("GET", path, nil)
		r.Header.Set("If-None-Match", plain.Header.Get("ETag"))
		c.Do(r).Want(304)
		if refused := c.Do(c.Request("POST", path, nil)).Want(405); refused.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%v", refused.Header)
		}
	}
}

// Whatever store calls a page makes, its own context ends with the request.
func TestAnApplicationOfItsOwnSignsInAndOut(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	h, err := sessionhttp.New(k.manager, sessionhttp.Config{BasePath: "/x/api", CookieName: "own", SameSiteStrict: true, ScriptPath: "/js/sync.js"})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		c, err := h.SignInWith(w, r, session.CreateRequest{UserID: "123", PlatformID: session.PlatformID(r.FormValue("as"))})
		if err != nil {
			h.Error(w, r, err)
			return
		}
		w.Write(c.ClientView())
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := h.SignOut(w, r); err != nil {
			h.Error(w, r, err)
		}
	})
	c := sessiontest.NewTLSClient(t, h.Wrap(mux))
	in := c.Do(c.Request("POST", "/login?as=789", nil)).Want(200)
	if set := in.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-own=") || !strings.HasSuffix(set, "SameSite=Strict") || in.Field("platform.id") != 789.0 {
		t.Errorf("%q %s", set, in.Body)
	}
	c.Get("/x/api/session_state").Want(200)
	c.Get("/js/sync.mjs").Want(200)
	c.Get("/api/session_state").Want(404)
	c.Do(c.Request("POST", "/logout", nil)).Want(403)
	r := c.Request("POST", "/logout", nil)
	r.Header.Set("X-CSRFToken", c.Get("/x/api/csrf").Field("csrf_token").(string))
	if out := c.Do(r).Want(200); !strings.HasPrefix(out.Header.Get("Set-Cookie"), "__Host-own=;") {
		t.Errorf("%v", out.Header)
	}
	c.Get("/x/api/session_state").Want(401)
	c.Do(c.Request("POST", "/login?as=1", nil)).Want(404)
}

// Credentials cannot be printed.
func TestCredentialsArePrintedWithoutThePassword(t *testing.T) {
	t.Parallel()
	var log journal
	e := newEdge(t, nil, sessionhttp.Config{Login: func(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
		slog.New(slog.NewTextHandler(&log, nil)).Info("sign-in", "credentials", c)
		io.WriteString(&log, sprint(c, &c, struct{ C sessionhttp.Credentials }{c}))
		return session.CreateRequest{}, sessionhttp.ErrForbidden
	}})
	token := e.visit(t)
	w := e.do("POST", "/login", `{"username":"alex","password":"hunter2"}`, "Content-Type", "application/json", "X-CSRFToken", token)
	wantCode(t, w, 403, "FORBIDDEN")
	if text := log.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "alex") {
		t.Errorf("%s", text)
	}
}
