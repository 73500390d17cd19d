package sessionhttp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// everyAnswer asks for one of each kind: every route, every refusal, and what is
// not ours. The store is up again afterwards.
func everyAnswer(t *testing.T, k *contract, c *sessiontest.Client) map[string]*sessiontest.Response {
	t.Helper()
	answers := map[string]*sessiontest.Response{}
	nobody := c.Another()
	for _, path := range []string{
		"/api/csrf", "/api/session_state", "/api/user_platforms", "/api/sessions", "/api/session/security",
		"/api", "/api/nothing", "/api//csrf", "/api/session_state/x.css",
		"/", "/nothing", "/private", "/post", "/login", "/logout", "/panic", k.handler.ScriptURL(), k.handler.ModuleURL(),
	} {
		answers["GET "+path] = c.Get(path)
		answers["open "+path] = c.Open(path)
		answers["signed out, GET "+path] = nobody.Get(path)
		answers["signed out, open "+path] = nobody.Open(path)
	}
	for _, path := range []string{
		"/api/session/validate", "/api/session/cleanup", "/api/session/refresh", "/api/session/heartbeat", "/api/switch_platform/789",
		"/api/switch_platform/1", "/api/sessions/revoke_others", "/api/csrf", "/post", "/panic",
	} {
		answers["POST "+path] = c.Post(path, nil)
		answers["POST without a token "+path] = c.Do(c.Request("POST", path, nil))
		answers["signed out, POST "+path] = nobody.Do(nobody.Request("POST", path, nil))
		foreign := c.Request("POST", path, nil)
		foreign.Header.Set("Sec-Fetch-Site", "cross-site")
		answers["from another site, POST "+path] = c.Do(foreign)
	}
	answers["DELETE"] = c.Delete("/api/sessions/" + strings.Repeat("0", 32))
	tag := c.Request("GET", "/api/session_state", nil)
	tag.Header.Set("If-None-Match", "*")
	answers["304"] = c.Do(tag)
	broken := c.Another().Request("GET", "/api/session_state", nil)
	broken.Header.Set("Cookie", "vedfolnir=x; __Host-vedfolnir=x")
	answers["malformed"] = c.Another().Do(broken)
	answers["wrong password"] = nobody.Post("/login", map[string]string{"username": "alex", "password": "x"})
	answers["rate limited"] = nobody.Post("/login", map[string]string{"username": "flood", "password": "x"})
	k.store.failing("List", errRefused, false)
	answers["503"] = c.Get("/api/sessions").Want(503)
	k.store.mend()
	return answers
}

// 3.4.1-8: on every answer, whatever it is.
func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	for name, browser := range map[string]func(testing.TB, http.Handler) *sessiontest.Client{"over TLS": sessiontest.NewTLSClient, "plain": sessiontest.NewClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, session.Config{})
			for what, answer := range everyAnswer(t, k, browser(t, k.served).SignIn("alex")) {
				h := answer.Header
				want := map[string]string{
					"Content-Security-Policy":      "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
					"Cross-Origin-Opener-Policy":   "same-origin",
					"Cross-Origin-Resource-Policy": "same-origin",
					"Referrer-Policy":              "same-origin",
					"X-Content-Type-Options":       "nosniff",
					"Strict-Transport-Security":    "",
				}
				if name == "over TLS" {
					want["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
				}
				for header, value := range want {
					if got := h.Values(header); strings.Join(got, "|") != value {
						t.Errorf("%s: %s: %q", what, header, got)
					}
				}
				if strings.Contains(what, "session-sync") {
					continue // the same for everybody
				}
				if !strings.HasPrefix(what, "signed out") && h.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d: Cache-Control %q", what, answer.Status, h.Get("Cache-Control"))
				}
				if !slices.Contains(h.Values("Vary"), "Cookie") {
					t.Errorf("%s: %d: Vary %q", what, answer.Status, h.Values("Vary"))
				}
				if h.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s lets other origins read it", what)
				}
				if answer.Status/100 == 3 && answer.Status != 304 && strings.Contains(what, "/api") {
					t.Errorf("%s redirects", what)
				}
			}
		})
	}
}

// 3.3.1-5: each cookie that is ever set, as a browser reads it. Only sign-in,
// rotation and sign-out set the session's, and only the token's page the other.
func TestEveryCookieThatIsSet(t *testing.T) {
	t.Parallel()
	for name, browser := range map[string]func(testing.TB, http.Handler) *sessiontest.Client{"over TLS": sessiontest.NewTLSClient, "plain": sessiontest.NewClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := ""
			if name == "over TLS" {
				prefix = "__Host-"
			}
			k := newContract(t, session.Config{})
			c := browser(t, withRotation(k))
			in := c.Post("/login", map[string]string{"username": "alex", "password": sessiontest.Password})
			answers := everyAnswer(t, k, c)
			answers["POST /login"], answers["POST /rotate"], answers["POST /logout"] = in, c.Post("/rotate", nil), c.Post("/logout", nil)
			for what, answer := range answers {
				cookies := (&http.Response{Header: answer.Header}).Cookies()
				if len(cookies) != len(answer.Header["Set-Cookie"]) || len(cookies) > 1 {
					t.Errorf("%s sets %q", what, answer.Header["Set-Cookie"])
				}
				setsSession := what == "POST /login" || what == "POST /rotate" || what == "POST /logout"
				if setsSession && len(cookies) != 1 {
					t.Errorf("%s sets no cookie: %d %s", what, answer.Status, answer.Body)
				}
				for _, c := range cookies {
					switch c.Name {
					case prefix + "vedfolnir":
						if !setsSession {
							t.Errorf("%s sets the session's cookie", what)
						}
						if cleared := c.MaxAge < 0; cleared != (what == "POST /logout") || cleared != (c.Value == "") {
							t.Errorf("%s: %s", what, c)
						}
					case prefix + "vedfolnir-prelogin":
						if !strings.Contains(what, "/api/csrf") || c.MaxAge != 0 {
							t.Errorf("%s: %s", what, c)
						}
					default:
						t.Errorf("%s sets %s", what, c)
					}
					if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != (prefix != "") || len(c.String()) >= 4096 {
						t.Errorf("%s: %s", what, c)
					}
				}
			}
		})
	}
}

// withRotation serves the contract and a route that gives the session a new token.
func withRotation(k *contract) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) {
		if _, err := k.handler.Rotate(w, r); err != nil {
			k.handler.Error(w, r, err)
		}
	})
	mux.Handle("/", k.served)
	return k.handler.Wrap(mux)
}

// 3.3.4 and 16.2.5: the token is in Set-Cookie and nowhere else: no body, no other
// header, no event, no line of any log. The same is true of the password.
func TestNoBodyHeaderEventOrLogLineHoldsTheSecret(t *testing.T) {
	t.Parallel()
	var log journal
	k := newContract(t, session.Config{
		Sync: session.Sync{Lease: session.NoLease}, Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
	})
	c := sessiontest.NewClient(t, withRotation(k))
	in := c.Post("/login", map[string]string{"username": "alex", "password": sessiontest.Password})
	events := c.Events("")
	told := []sessiontest.Event{events.Await("state")}
	answers := everyAnswer(t, k, c)
	c.SwitchPlatform("456")
	told = append(told, events.Await("platform_switched"))
	rotated := c.Post("/rotate", nil).Want(200)
	c.State()
	k.clock.Advance(time.Minute)
	thief := c.Another()
	thief.Header.Set("Cookie", strings.SplitN(in.Header.Get("Set-Cookie"), ";", 2)[0])
	answers["replay"] = thief.Get("/api/session_state").Want(401)
	told = append(told, events.Await("ended"))
	answers["ended"] = c.Get("/api/session_state").Want(401)
	k.store.down.Store(true)
	answers["down"] = c.Get("/api/session_state").Want(503)
	answers["sign-in"], answers["rotation"] = in, rotated

	secrets := []string{sessiontest.Password}
	for _, answer := range []*sessiontest.Response{in, rotated} {
		pair, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
		_, secret, ok := strings.Cut(pair, ".")
		if !ok {
			t.Fatalf("%v", answer.Header)
		}
		secrets = append(secrets, secret)
	}
	search := func(where, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s:\n%s", where, secret, text)
			}
		}
	}
	for what, answer := range answers {
		header := answer.Header.Clone()
		header.Del("Set-Cookie")
		var text bytes.Buffer
		if err := header.Write(&text); err != nil {
			t.Fatal(err)
		}
		search(what, text.String()+answer.Body)
	}
	for _, e := range told {
		search(e.Kind, e.ID+e.Data)
	}
	search("the log", log.String())
	for _, want := range []string{`"action":"created"`, `"action":"token_replayed"`, "panic: boom", errRefused.Error()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell of %s:\n%s", want, &log)
		}
	}
}

// A shared cache in front must not hand one person's answer to another.
func TestVaryIsAddedToWhatTheApplicationVariesBy(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{})
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Accept-Encoding")
	e.handler.ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/api/csrf", nil))
	if got := strings.Join(w.Header().Values("Vary"), ", "); got != "Accept-Encoding, Cookie" {
		t.Errorf("Vary: %s", got)
	}
}

// What an application adds to a header of one answer is in no other answer.
func TestTheHeadersOfAnAnswerAreItsOwn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		w.Header().Add("Content-Security-Policy", "sandbox")
		w.Header().Set("Cache-Control", "private")
	}), sessionhttp.Config{})
	e.signIn()
	for range 2 {
		w := e.do("GET", "/", "")
		if len(w.Header()["Vary"]) != 2 || len(w.Header()["Content-Security-Policy"]) != 2 || w.Header().Get("Cache-Control") != "private" {
			t.Errorf("%v", w.Header())
		}
	}
	if w := e.do("GET", "/api/csrf", ""); len(w.Header()["Vary"]) != 1 || len(w.Header()["Content-Security-Policy"]) != 1 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
}

// 16.5.4: a panic is told by 500 and the log, wherever it came from; the next
// request is served.
func TestAPanicIs500AndTheProcessLives(t *testing.T) {
	t.Parallel()
	var log journal
	quietly := slog.New(slog.NewTextHandler(&log, nil))
	e := newEdge(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/nil":
			var p *sessionhttp.Problem
			p.Code = ""
		case "/error":
			panic(errors.New("a secret of ours"))
		case "/gone":
			panic("after the client had gone")
		}
	}), sessionhttp.Config{Logger: quietly, Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
		panic("in the application's sign-in")
	}})
	server := httptest.NewUnstartedServer(e.handler)
	server.Config.ErrorLog = slog.NewLogLogger(quietly.Handler(), slog.LevelError)
	server.Start()
	defer server.Close()
	for _, path := range []string{"/nil", "/error"} {
		answer, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 500 || strings.Contains(string(body), "secret") || !strings.Contains(string(body), answer.Header.Get("X-Request-Id")) {
			t.Errorf("%s: %d %s", path, answer.StatusCode, body)
		}
	}
	if answer, err := http.Get(server.URL + "/abort"); err == nil {
		answer.Body.Close()
		t.Errorf("an aborted answer is %d", answer.StatusCode)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	e.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, "GET", "https://example.com/gone", nil))
	token := e.visit(t)
	wantCode(t, e.do("POST", "/login", `{"username":"a","password":"b"}`, "Content-Type", "application/json", "X-CSRFToken", token), 500, "INTERNAL")
	for _, want := range []string{"nil pointer", "a secret of ours", "after the client had gone", "in the application's sign-in"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell of %q", want)
		}
	}
	if w := e.do("GET", "/", ""); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// What a stranger writes into headers makes no second line of the log, and no
// second header.
func TestWhatAStrangerSendsStaysInItsPlace(t *testing.T) {
	t.Parallel()
	var log journal
	k := newContract(t, session.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := sessiontest.NewClient(t, k.served)
	c.Header.Set("User-Agent", "Firefox/1\u2028msg=forged <script>alert(1)</script>")
	c.SignIn("alex")
	body := c.Get("/api/sessions").Want(200).Body
	if strings.Contains(body, "<script>") || strings.ContainsAny(body, "\u2028") {
		t.Errorf("%s", body)
	}
	if strings.ContainsAny(log.String(), "\u2028") {
		t.Errorf("%q", log.String())
	}
	for _, path := range []string{"/private?next=" + url.QueryEscape("a\r\nSet-Cookie: b=c"), "/panic?%0d%0aX-Evil:%201"} {
		if h := c.Another().Open(path).Header; h.Get("X-Evil") != "" || h.Get("Set-Cookie") != "" {
			t.Errorf("%v", h)
		}
	}
}

// CVE-2025-58186 and others: a flood of cookies costs a look at each and no more.
func TestAFloodOfCookies(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{})
	e.signIn()
	mine := e.cookie
	e.cookie = strings.Repeat("a=b; ", 20_000) + mine
	if w := e.do("GET", "/api/session_state", ""); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	e.cookie += "; " + mine
	wantCode(t, e.do("GET", "/api/session_state", ""), 400, "BAD_REQUEST")
	for _, cookie := range []string{
		"__Host-vedfolnir", "__Host-vedfolnir=", ";;;", "=", "__Host-vedfolnirx=y", "vedfolnir=" + strings.TrimPrefix(mine, "__Host-vedfolnir="), "__host-vedfolnir=x",
	} {
		e.cookie = cookie
		wantCode(t, e.do("GET", "/api/session_state", ""), 401, "SESSION_REQUIRED")
	}
	e.cookie = mine + "; " + mine
	w := e.do("POST", "/logout", "", "Content-Type", "application/json", "X-CSRFToken", "x")
	if wantCode(t, w, 400, "BAD_REQUEST"); w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%v", w.Header())
	}
	for _, value := range []string{`"` + strings.TrimPrefix(mine, "__Host-vedfolnir=") + `"`, strings.ToUpper(strings.TrimPrefix(mine, "__Host-vedfolnir=")), "\x00", strings.Repeat("a", 1<<20)} {
		e.cookie = "__Host-vedfolnir=" + value
		wantCode(t, e.do("GET", "/api/session_state", ""), 400, "BAD_REQUEST")
	}
}

// RFC 9110, 13.1.2.
func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{})
	e.signIn()
	e.do("GET", "/api/session_state", "")
	tag := e.do("GET", "/api/session_state", "").Header().Get("ETag")
	for given, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, `W/"x",W/` + tag + `, "y"`: 304, "*": 304,
		"": 200, `"x"`: 200, strings.Trim(tag, `"`): 200, tag[:len(tag)-2] + `"`: 200, `"` + strings.Repeat("0", 32) + tag[33:]: 200,
	} {
		w := e.do("GET", "/api/session_state", "", "If-None-Match", given)
		if w.Code != status || w.Header().Get("ETag") != tag || (w.Body.Len() == 0) != (status == 304) {
			t.Errorf("%q: %d %v", given, w.Code, w.Header())
		}
	}
}
