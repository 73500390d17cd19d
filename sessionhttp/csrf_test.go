package sessionhttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// What the contract marks with a token does nothing without the right one.
func TestEveryRouteThatChangesSomethingNeedsTheToken(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	other := c.Another().SignIn("alex")
	c.Another().SignIn("alex").SignOut()
	handle := other.State().Field("session.session_id").(string)
	stale := c.Another().CSRFToken()
	before := c.State().Body
	for _, route := range []string{
		"POST /api/session/cleanup", "POST /api/switch_platform/789", "POST /api/session/refresh", "POST /api/session/heartbeat",
		"DELETE /api/sessions/" + handle, "POST /api/sessions/revoke_others", "POST /logout", "POST /login", "POST /post",
	} {
		method, path, _ := strings.Cut(route, " ")
		for token, code := range map[string]string{"": "CSRF_INVALID", "x": "CSRF_INVALID", stale: "CSRF_STALE", other.CSRFToken(): "CSRF_STALE"} {
			r := c.Request(method, path, map[string]any{"active": true, "username": "sam", "password": sessiontest.Password})
			r.Header.Set("X-CSRFToken", token)
			if answer := c.Do(r); answer.Status != 403 || answer.Field("error_code") != code || len(answer.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s with %q: %d %s, want %s", route, token, answer.Status, answer.Body, code)
			}
		}
	}
	other.State()
	versions := regexp.MustCompile(`"(version|stamp)":"?[0-9.]+"?`) // that so many were refused is a signal
	if after := c.State().Body; versions.ReplaceAllString(after, "") != versions.ReplaceAllString(before, "") {
		t.Errorf("%s\nhas become\n%s", before, after)
	}
	if signals := fmt.Sprint(c.Get("/api/session/security").Field("signals")); signals != "[many_failures]" {
		t.Errorf("noticed: %s", signals)
	}
	wantShape(t, c.Post("/api/session/cleanup", nil).Body, `{"success":true,"cleaned_sessions":1,"message":"Cleaned up 1 expired sessions"}`)
}

// Whichever bit of a token's text is flipped, it is no longer good: not even the
// two that stand for nothing.
func TestNoTokenWithAFlippedBitIsGood(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{})
	e.signIn()
	good := e.csrf()
	check := func(token string) (int, string) {
		w := e.do("POST", "/api/session/heartbeat", "", "X-CSRFToken", token)
		return w.Code, w.Body.String()
	}
	for i := range good {
		for bit := range 7 {
			token := []byte(good)
			token[i] ^= 1 << bit
			if code, body := check(string(token)); code != 403 || !strings.Contains(body, `"CSRF_INVALID"`) {
				t.Fatalf("bit %d of character %d: %d %s", bit, i, code, body)
			}
		}
	}
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		token := good[:len(good)-1] + string(last)
		if code, body := check(token); (code == 200) != (token == good) {
			t.Errorf("with %c at the end, where %c is good: %d %s", last, good[len(good)-1], code, body)
		}
	}
	for _, token := range []string{good + "A", good[1:], good + "=", " ", good[:len(good)/2], good + good} {
		if code, body := check(token); code != 403 || !strings.Contains(body, `"CSRF_INVALID"`) {
			t.Errorf("%q: %d %s", token, code, body)
		}
	}
	if code, body := check(good); code != 200 {
		t.Errorf("the good one: %d %s", code, body)
	}
}

// The field of a form is looked at outside of the API only, and the address never.
func TestWhereATokenIsLookedFor(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	e := newEdge(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), sessionhttp.Config{})
	e.signIn()
	token := e.csrf()
	for _, test := range []struct {
		name, path, contentType, body string
		status                        int
	}{
		{"a form's field", "/", form, "csrf_token=" + token, 200},
		{"a form's field, with a character set", "/", form + "; charset=utf-8", "csrf_token=" + token, 200},
		{"the first of two fields", "/", form, "csrf_token=x&csrf_token=" + token, 403},
		{"the address of a form", "/?csrf_token=" + token, form, "a=b", 403},
		{"the address of an empty form", "/?csrf_token=" + token, form, "", 403},
		{"a form with files, which is not read here", "/", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n" + token + "\r\n--x--\r\n", 403},
		{"JSON", "/", "application/json", `{"csrf_token":"` + token + `"}`, 403},
		{"text", "/", "text/plain", "csrf_token=" + token, 403},
		{"a form's field to the API", "/api/session/heartbeat", form, "csrf_token=" + token, 403},
	} {
		if w := e.do("POST", test.path, test.body, "Content-Type", test.contentType); w.Code != test.status {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.status)
		}
	}
	// Also where an application has put the API behind the middleware.
	r := httptest.NewRequest("POST", "https://example.com/api/session/heartbeat", strings.NewReader("csrf_token="+token))
	r.Header.Set("Content-Type", form)
	r.Header.Set("Cookie", e.cookie)
	w := httptest.NewRecorder()
	e.h.Middleware(e.h.API()).ServeHTTP(w, r)
	wantCode(t, w, 403, "CSRF_INVALID")
	for _, name := range []string{"X-Csrftoken", "x-csrftoken"} { // as proxies may write it
		if w := e.do("DELETE", "/", "", name, token); w.Code != 200 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// A key is made with before it is the only one, and accepted after it was.
func TestTokensAreMadeWithTheFirstKey(t *testing.T) {
	t.Parallel()
	old, fresh := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("f", 32))
	serve := func(store *fragile, keys ...[]byte) *contract {
		return newContractOn(t, store, session.Config{Security: session.Security{Keys: keys}})
	}
	first := serve(&fragile{Store: memstore.New()}, fresh, old)
	c := sessiontest.NewClient(t, first.served)
	in := c.Post("/login", map[string]string{"username": "alex", "password": sessiontest.Password})
	token := c.CSRFToken()
	for _, test := range []struct {
		name   string
		keys   [][]byte
		status int
	}{{"the first alone", [][]byte{fresh}, 200}, {"the second alone", [][]byte{old}, 403}, {"both the other way round", [][]byte{old, fresh}, 200}, {"keys of this process", nil, 403}} {
		r := httptest.NewRequest("POST", "http://localhost/api/session/heartbeat", nil)
		r.Header.Set("X-CSRFToken", token)
		w := httptest.NewRecorder()
		serve(first.store, test.keys...).served.ServeHTTP(w, withCookie(r, in))
		if w.Code != test.status {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
	}
}

// The pre-login cookie is chosen by the server, one to a browser; a value that is
// none is replaced, and a second cookie of the name is nobody's.
func TestThePreloginCookie(t *testing.T) {
	t.Parallel()
	e := newEdge(t, nil, sessionhttp.Config{})
	signIn := func(token string) int {
		return e.do("POST", "/login", `{"username":"1","password":"x"}`, "Content-Type", "application/json", "X-CSRFToken", token).Code
	}
	token := e.visit(t)
	again := e.do("GET", "/api/csrf", "")
	if set := again.Header().Get("Set-Cookie"); set != "" {
		t.Errorf("another cookie for a browser that has one: %s", set)
	}
	if signIn(token) != 200 || signIn(tokenIn(t, again)) != 200 {
		t.Error("a token of two visits is refused")
	}
	own := e.cookie
	for _, cookie := range []string{own + "; " + own, own + "A", "__Host-vedfolnir-prelogin=", "vedfolnir-prelogin=" + own[strings.IndexByte(own, '=')+1:], ""} {
		if e.cookie = cookie; signIn(token) != 403 {
			t.Errorf("signed in with the cookie %q", cookie)
		}
		if set := e.do("GET", "/api/csrf", "").Header().Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-vedfolnir-prelogin=") || strings.HasPrefix(set, own+";") {
			t.Errorf("with the cookie %q: Set-Cookie %q", cookie, set)
		}
	}
	// Somebody else's visit whose cookie is all zeros is not that of a browser
	// without one.
	e.cookie = "__Host-vedfolnir-prelogin=AAAAAAAAAAAAAAAAAAAAAA"
	zeros := e.csrf()
	if e.cookie = ""; signIn(zeros) != 403 {
		t.Error("signed in without a cookie")
	}
}

// What begins in one browser, or in one session, does not go on in another.
func TestATokensSubjectIsTheSessionOrTheBrowser(t *testing.T) {
	t.Parallel()
	subjects := map[string]bool{}
	of := func(d *devices) (name string) {
		d.do(func(w http.ResponseWriter, r *http.Request) error {
			r.Method = "GET"
			d.h.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				name = d.h.TokenSubject(r)
				d.h.CSRFToken(w, r)
			})).ServeHTTP(w, r)
			return nil
		})
		return name
	}
	for _, d := range []*devices{newDevices(t), newDevices(t)} {
		if name := of(d); name != "" {
			t.Errorf("a first visit is %q", name)
		}
		subjects[of(d)] = true
		if again := of(d); !subjects[again] {
			t.Errorf("the next visit is %q", again)
		}
		d.signIn("7")
		subjects[of(d)] = true
		d.signIn("7")
		subjects[of(d)] = true
	}
	if len(subjects) != 6 || subjects[""] {
		t.Errorf("%v: want a name for each browser, and for each session", subjects)
	}
}
