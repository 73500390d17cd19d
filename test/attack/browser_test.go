package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// browser is a person's: it keeps cookies and says where its requests come from.
type browser struct {
	t    *testing.T
	w    *world
	http *http.Client
	base string
	who  account
}

// answer is read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// browser at the server itself.
func (w *world) browser(t *testing.T) *browser { return w.browserAt(t, w.addr) }

// browserAt reaches the server at another address: a proxy's.
func (w *world) browserAt(t *testing.T, addr string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: w.tls(), DialContext: w.dialer(addr)}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, w, &http.Client{
		Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, "https://" + app, account{}}
}

// request as a script of the page makes it.
func (b *browser) request(method, path, body string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return r
}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if _, secret, ok := strings.Cut(c.Value, "."); ok {
			b.w.secret.add("a session's secret", secret)
		}
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.do(b.request("GET", path, "")) }

// post with the right token.
func (b *browser) post(path, body string) answer {
	b.t.Helper()
	return b.do(b.tokened("POST", path, body))
}

func (b *browser) tokened(method, path, body string) *http.Request {
	b.t.Helper()
	r := b.request(method, path, body)
	r.Header.Set("X-CSRFToken", b.token())
	return r
}

// field of a JSON answer.
func (a answer) field(t *testing.T, name string) any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(a.body), &object); err != nil {
		t.Fatalf("%d: %v: %s", a.status, err, a.body)
	}
	return object[name]
}

func (a answer) code(t *testing.T) string {
	t.Helper()
	s, _ := a.field(t, "error_code").(string)
	return s
}

func (b *browser) token() string {
	b.t.Helper()
	token, _ := b.get("/api/csrf").field(b.t, "csrf_token").(string)
	return token
}

func credentials(a account) string {
	text, _ := json.Marshal(map[string]string{"username": a.name, "password": a.password})
	return string(text)
}

// signIn and return the browser.
func (b *browser) signIn(a account) *browser {
	b.t.Helper()
	if got := b.post("/login", credentials(a)); got.status != 200 {
		b.t.Fatalf("signing in: %d %s", got.status, got.body)
	}
	b.who = a
	return b
}

// victim is a new person, signed in.
func (w *world) victim(t *testing.T) *browser { t.Helper(); return w.browser(t).signIn(w.account(t)) }

// cookie returns what the browser has under the name; empty: none.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.base)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// without cookies of its own, sending these instead.
func (b *browser) sending(cookies string) *browser {
	thief := *b
	client := *b.http
	client.Jar = nil
	client.Transport = fixedCookies{b.http.Transport, cookies}
	thief.http = &client
	return &thief
}

type fixedCookies struct {
	http.RoundTripper
	cookies string
}

func (c fixedCookies) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Cookie", c.cookies)
	return c.RoundTripper.RoundTrip(r)
}

const sessionCookie = "__Host-vedfolnir"

// pair is the session's cookie as it is sent.
func (b *browser) pair() string { return sessionCookie + "=" + b.cookie(sessionCookie) }

// state of the session, as the person's page sees it.
func (b *browser) state() answer { b.t.Helper(); return b.get("/api/session_state") }

// unharmed holds a victim's session against what it was: whose it is, as which
// platform, and until when. That an attack was noticed is no harm; it makes another
// version.
func (b *browser) unharmed(before answer, what string) {
	b.t.Helper()
	if now := b.state(); now.status != 200 || b.said(now) != b.said(before) {
		b.t.Errorf("%s: the victim's session is another: %d %s\nwas %s", what, now.status, now.body, before.body)
	}
}

// said is what an answer of session_state says of the session itself.
func (b *browser) said(a answer) string {
	b.t.Helper()
	var state struct {
		User, Platform json.RawMessage
		Session        struct {
			ID      string `json:"session_id"`
			Created string `json:"created_at"`
			Expires string `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &state); err != nil || state.Session.ID == "" {
		b.t.Fatalf("no state: %v: %d %s", err, a.status, a.body)
	}
	return fmt.Sprintf("%s %s %+v", state.User, state.Platform, state.Session)
}
