package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessiontest"
)

// The table of cross-site request forgery: every case asks for a switch of the
// platform, which must not happen unless the answer is 200.
func TestForgedRequests(t *testing.T) {
	type client = *sessiontest.Client
	for _, test := range []struct {
		name   string
		tls    bool
		forge  func(c client, r *http.Request)
		status int
		code   string
	}{
		{"same origin, right token", false, func(c client, r *http.Request) {}, 200, ""},
		{"over TLS, same origin, right token", true, func(c client, r *http.Request) { r.Header.Set("Origin", c.URL) }, 200, ""},
		{"no token", false, func(c client, r *http.Request) { r.Header.Del("X-CSRFToken") }, 403, "CSRF_INVALID"},
		{"another user's token", false, func(c client, r *http.Request) {
			r.Header.Set("X-CSRFToken", c.Another().SignIn("sam").CSRFToken())
		}, 403, "CSRF_STALE"},
		{"an earlier session's token", false, func(c client, r *http.Request) {
			r.Header.Set("X-CSRFToken", c.CSRFToken())
			c.SignOut()
			c.SignIn("alex")
		}, 403, "CSRF_STALE"},
		{"the sign-in form's token", false, func(c client, r *http.Request) {
			r.Header.Set("X-CSRFToken", c.Another().CSRFToken())
		}, 403, "CSRF_STALE"},
		{"the token in the query", false, func(c client, r *http.Request) {
			r.URL.RawQuery = url.Values{"csrf_token": {r.Header.Get("X-CSRFToken")}}.Encode()
			r.Header.Del("X-CSRFToken")
		}, 403, "CSRF_INVALID"},
		{"the token in a cookie", false, func(c client, r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "csrf_token", Value: r.Header.Get("X-CSRFToken")})
			r.Header.Del("X-CSRFToken")
		}, 403, "CSRF_INVALID"},
		{"the token in a form's field", false, func(c client, r *http.Request) {
			body := url.Values{"csrf_token": {r.Header.Get("X-CSRFToken")}}.Encode()
			r.Header.Del("X-CSRFToken")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			setBody(r, body)
		}, 403, "CSRF_INVALID"},
		{"one character changed", false, func(c client, r *http.Request) {
			token := []byte(r.Header.Get("X-CSRFToken"))
			token[len(token)-5] ^= 1
			r.Header.Set("X-CSRFToken", string(token))
		}, 403, "CSRF_INVALID"},
		{"from another site", false, func(c client, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "CROSS_ORIGIN"},
		{"from a sibling domain", false, func(c client, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403, "CROSS_ORIGIN"},
		{"a foreign Origin", false, func(c client, r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		}, 403, "CROSS_ORIGIN"},
		{"the null Origin", false, func(c client, r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "null")
		}, 403, "CROSS_ORIGIN"},
		{"an http Origin to an https host", true, func(c client, r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", strings.Replace(c.URL, "https", "http", 1))
		}, 403, "CROSS_ORIGIN"},
		{"neither header, right token", false, func(c client, r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, 200, ""},
		{"neither header, no token", false, func(c client, r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("X-CSRFToken")
		}, 403, "CSRF_INVALID"},
		{"a GET that says it is a POST", false, func(c client, r *http.Request) {
			r.Method = "GET"
			r.Header.Set("X-HTTP-Method-Override", "POST")
		}, 405, "METHOD_NOT_ALLOWED"},
		{"text that is JSON", false, func(c client, r *http.Request) {
			r.Header.Set("Content-Type", "text/plain")
			setBody(r, "{}")
		}, 415, "UNSUPPORTED_MEDIA_TYPE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, session.Config{})
			browser := sessiontest.NewClient
			if test.tls {
				browser = sessiontest.NewTLSClient
			}
			c := browser(t, k.served).SignIn("alex")
			r := c.Request("POST", "/api/switch_platform/789", nil)
			r.Header.Set("X-CSRFToken", c.CSRFToken())
			test.forge(c, r)
			answer := c.Do(r).Want(test.status)
			if test.code != "" && answer.Field("error_code") != test.code {
				t.Errorf("%v, want %s", answer.Field("error_code"), test.code)
			}
			if switched := c.Platform() == "My Mastodon"; switched != (test.status == 200) {
				t.Errorf("status %d, and switched: %v", test.status, switched)
			}
		})
	}
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// Somebody else's form, or a cookie that a sibling domain has tossed, signs nobody
// in.
func TestForgedSignIn(t *testing.T) {
	k := newContract(t, session.Config{})
	credentials := map[string]any{"username": "sam", "password": sessiontest.Password}
	victim, attacker := sessiontest.NewTLSClient(t, k.served), sessiontest.NewTLSClient(t, k.served)
	victim.CSRFToken()
	for name, forge := range map[string]func(*http.Request){
		"without a token":           func(r *http.Request) {},
		"with the attacker's token": func(r *http.Request) { r.Header.Set("X-CSRFToken", attacker.CSRFToken()) },
		"with a tossed plain cookie": func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "vedfolnir-prelogin", Value: "AAAAAAAAAAAAAAAAAAAAAA"})
		},
		"from another site":           func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"with the token in the query": func(r *http.Request) { r.URL.RawQuery = "csrf_token=" + victim.CSRFToken() },
	} {
		r := victim.Request("POST", "/login", credentials)
		forge(r)
		if answer := victim.Do(r).Want(403); slices.ContainsFunc(answer.Header["Set-Cookie"], func(c string) bool { return strings.HasPrefix(c, "__Host-vedfolnir=") }) {
			t.Errorf("%s: a session", name)
		}
	}
	victim.Post("/login", credentials).Want(200)
}

// A token that the client chose never becomes a session (CVE-2024-38513), and
// neither does the pre-login cookie.
func TestFixationIsImpossible(t *testing.T) {
	k := newContract(t, session.Config{})
	chosen := strings.Repeat("0123456789abcdef", 2) + "." + strings.Repeat("A", 43)
	c := sessiontest.NewClient(t, k.served)
	token := c.CSRFToken()
	r := c.Request("POST", "/login", map[string]any{"username": "alex", "password": sessiontest.Password})
	r.Header.Set("X-CSRFToken", token)
	r.AddCookie(&http.Cookie{Name: "vedfolnir", Value: chosen})
	given := c.Do(r).Want(200).Header.Get("Set-Cookie")
	if strings.Contains(given, chosen[:32]) {
		t.Errorf("the client's own handle was taken: %s", given)
	}
	other := c.Another()
	r = other.Request("GET", "/api/session_state", nil)
	r.AddCookie(&http.Cookie{Name: "vedfolnir", Value: chosen})
	other.Do(r).Want(401)
}

func TestNoGETMakesASessionOrEndsOne(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	for _, path := range []string{"/login?username=alex&password=" + sessiontest.Password, "/private", "/api/csrf", "/session-sync.js"} {
		for _, cookie := range c.Get(path).Header["Set-Cookie"] {
			if strings.HasPrefix(cookie, "vedfolnir=") {
				t.Errorf("%s sets %s", path, cookie)
			}
		}
	}
	c.SignIn("alex")
	r := c.Request("GET", "/logout", nil) // lesson 9: as an image on another site would
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	c.Do(r).Want(405)
	c.State()
}

// Tokens are masked anew in each answer, and all of them are good, for every tab
// and after a rotation of the session's own token.
func TestCSRFTokensDifferAndAreAllGood(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	tokens := []string{c.CSRFToken(), c.CSRFToken(), c.CSRFToken()}
	handle := c.State().Field("session.session_id").(string)
	for i, token := range tokens {
		if slices.Contains(tokens[:i], token) {
			t.Errorf("the same twice: %s", token)
		}
		if strings.Contains(token, handle) {
			t.Errorf("lesson 8: the token holds the handle in clear: %s", token)
		}
		r := c.Request("POST", "/api/session/cleanup", nil)
		r.Header.Set("X-CSRFToken", token)
		c.Do(r).Want(200)
	}
}

// Lesson 8 and CVE-2025-47278: a key that is being replaced is still accepted, and
// one that is gone is not.
func TestCSRFKeysRotate(t *testing.T) {
	old, fresh := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("f", 32))
	before := newContract(t, session.Config{Security: session.Security{Keys: [][]byte{old}}})
	c := sessiontest.NewClient(t, before.served)
	signedIn := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
	cookie, _, _ := strings.Cut(signedIn.Header.Get("Set-Cookie"), ";")
	token := c.CSRFToken()
	for _, test := range []struct {
		keys   [][]byte
		status int
	}{{[][]byte{fresh, old}, 200}, {[][]byte{fresh}, 403}} {
		after := newContractOn(t, before.store, session.Config{Security: session.Security{Keys: test.keys}})
		r := httptest.NewRequest("POST", c.URL+"/api/session/cleanup", nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Cookie", cookie)
		r.Header.Set("X-CSRFToken", token)
		w := httptest.NewRecorder()
		if after.served.ServeHTTP(w, r); w.Code != test.status {
			t.Errorf("with %d keys: %d %s", len(test.keys), w.Code, w.Body)
		}
	}
}
