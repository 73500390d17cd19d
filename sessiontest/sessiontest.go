// Package sessiontest is what an application needs to test itself with its
// sessions: a browser without the browser, and a clock that the test moves.
//
//	alex := sessiontest.NewClient(t, handler).SignIn("alex")
//	alex.SwitchPlatform("12")
//	alex.Get("/queue").Want(200)
//
// A [Client] keeps cookies, fetches and sends the CSRF token, and marks its
// requests as same-origin, as a browser does. It expects sign-in, sign-out and the API
// where sessionhttp puts them: /login, /logout and /api. What goes wrong on the way
// fails the test at once, with the answer in the message.
package sessiontest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Password is what SignIn sends, unless Client.Password says otherwise.
const Password = "vedfolnir-demo"

// patience is how long a test waits for what has to come, on a busy machine.
const patience = 30 * time.Second

// Client is one browser. It is safe for concurrent use, as by several tabs, once
// its fields are set.
type Client struct {
	// URL of the server, without a path.
	URL string
	// Password that SignIn sends.
	Password string
	// Header is set on every request, over what a page would send.
	Header http.Header

	t    testing.TB
	http *http.Client
}

// NewClient serves handler on loopback for as long as the test runs and returns a
// browser that is signed out. Redirects are returned, not followed.
func NewClient(t testing.TB, handler http.Handler) *Client {
	t.Helper()
	return newClient(t, httptest.NewServer(handler))
}

// NewTLSClient is NewClient over TLS, where the cookie has its __Host- prefix.
func NewTLSClient(t testing.TB, handler http.Handler) *Client {
	t.Helper()
	return newClient(t, httptest.NewTLSServer(handler))
}

func newClient(t testing.TB, server *httptest.Server) *Client {
	t.Cleanup(func() {
		server.CloseClientConnections() // streams too
		server.Close()
	})
	c := &Client{URL: server.URL, Password: Password, Header: http.Header{}, t: t, http: server.Client()}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.forgetCookies()
	return c
}

func (c *Client) forgetCookies() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.http.Jar = jar
}

// Another returns a second browser at the same server, signed out.
func (c *Client) Another() *Client {
	other := *c
	browser := *c.http
	other.http, other.Header = &browser, c.Header.Clone()
	other.forgetCookies()
	return &other
}

// Acting returns the same browser with a tab that shows the platform and states
// it with every request.
func (c *Client) Acting(platform string) *Client {
	tab := *c
	tab.Header = c.Header.Clone()
	tab.Header.Set("X-Platform-Id", platform)
	return &tab
}

// Response is an answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   string

	t    testing.TB
	what string
}

// Want fails the test unless the status is one of those.
func (r *Response) Want(status ...int) *Response {
	r.t.Helper()
	for _, s := range status {
		if r.Status == s {
			return r
		}
	}
	r.t.Fatalf("%s: status %d, want %v\n%s", r.what, r.Status, status, r.Body)
	return r
}

// JSON decodes the body into an object.
func (r *Response) JSON() map[string]any {
	r.t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(r.Body), &object); err != nil {
		r.t.Fatalf("%s: %v in\n%s", r.what, err, r.Body)
	}
	return object
}

// Field returns a member of the JSON body, "session.version" for a nested one: a
// string, float64, bool, []any or map[string]any, and nil if there is none.
func (r *Response) Field(path string) any {
	r.t.Helper()
	var value any = r.JSON()
	for _, name := range strings.Split(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// Get asks as a page's script does.
func (c *Client) Get(path string) *Response {
	c.t.Helper()
	return c.Do(c.Request(http.MethodGet, path, nil))
}

// Open asks as a person does who navigates there.
func (c *Client) Open(path string) *Response {
	c.t.Helper()
	r := c.Request(http.MethodGet, path, nil)
	r.Header.Del("Content-Type")
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return c.Do(r)
}

// Post sends body as JSON, nil as an empty one, with the CSRF token.
func (c *Client) Post(path string, body any) *Response {
	c.t.Helper()
	return c.Do(c.tokened(c.Request(http.MethodPost, path, body)))
}

// Delete asks with the CSRF token.
func (c *Client) Delete(path string) *Response {
	c.t.Helper()
	return c.Do(c.tokened(c.Request(http.MethodDelete, path, nil)))
}

// PostForm sends a form, with the CSRF token in its field.
func (c *Client) PostForm(path string, form url.Values) *Response {
	c.t.Helper()
	filled := url.Values{"csrf_token": {c.CSRFToken()}}
	for name, values := range form {
		filled[name] = values
	}
	r := c.request(http.MethodPost, path, "application/x-www-form-urlencoded", filled.Encode())
	r.Header.Set("Accept", "text/html")
	return c.Do(r)
}

// Request makes one as a page of the same origin would; body is sent as JSON, nil
// as an empty one.
func (c *Client) Request(method, path string, body any) *http.Request {
	c.t.Helper()
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.request(method, path, "application/json", string(encoded))
}

func (c *Client) request(method, path, contentType, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", contentType)
	for name, values := range c.Header {
		r.Header[name] = slices.Clone(values)
	}
	return r
}

func (c *Client) tokened(r *http.Request) *http.Request {
	c.t.Helper()
	r.Header.Set("X-CSRFToken", c.CSRFToken())
	return r
}

// Do sends the request as it is.
func (c *Client) Do(r *http.Request) *Response {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	answer, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return &Response{answer.StatusCode, answer.Header, string(body), c.t, r.Method + " " + r.URL.Path}
}

// CSRFToken fetches one.
func (c *Client) CSRFToken() string {
	c.t.Helper()
	return c.Get("/api/csrf").Want(200).Field("csrf_token").(string)
}

// SignIn signs in by POST /login and fails the test if that is refused.
func (c *Client) SignIn(username string) *Client {
	c.t.Helper()
	c.Post("/login", map[string]any{"username": username, "password": c.Password}).Want(200)
	return c
}

// SignOut signs out by POST /logout.
func (c *Client) SignOut() {
	c.t.Helper()
	c.Post("/logout", nil).Want(200)
}

// SwitchPlatform makes the platform the active one.
func (c *Client) SwitchPlatform(id string) {
	c.t.Helper()
	c.Post("/api/switch_platform/"+url.PathEscape(id), nil).Want(200)
}

// State asks for the session's state; it fails the test if there is no session.
func (c *Client) State() *Response {
	c.t.Helper()
	return c.Get("/api/session_state").Want(200)
}

// Platform returns the name of the session's active platform; "" without one.
func (c *Client) Platform() string {
	c.t.Helper()
	name, _ := c.State().Field("platform.name").(string)
	return name
}

// Event is one event of the session's stream.
type Event struct {
	Kind string // "state", "platform_switched", ...
	ID   string // the stamp; "" for events without one
	Data string // JSON
}

// Events is an open stream.
type Events struct {
	t      testing.TB
	events chan Event
	cancel context.CancelFunc
}

// Events opens the session's stream, of which it leaves out the heartbeats; it
// closes with the test. lastEventID is the stamp that the reader has seen; "" for
// none.
func (c *Client) Events(lastEventID string) *Events {
	c.t.Helper()
	r := c.Request(http.MethodGet, "/api/session/events", nil)
	ctx, cancel := context.WithCancel(r.Context())
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	answer, err := c.http.Do(r.WithContext(ctx))
	if err != nil {
		cancel()
		c.t.Fatal(err)
	}
	if answer.StatusCode != 200 {
		cancel()
		answer.Body.Close()
		c.t.Fatalf("the stream answers %s", answer.Status)
	}
	e := &Events{t: c.t, events: make(chan Event, 64), cancel: cancel}
	go e.read(ctx, answer.Body)
	c.t.Cleanup(e.Close)
	return e
}

func (e *Events) read(ctx context.Context, body io.ReadCloser) {
	defer close(e.events)
	defer body.Close()
	var event Event
	for lines := bufio.NewScanner(body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event.Kind = value
		case "id":
			event.ID = value
		case "data":
			event.Data = value
		case "":
			if event.Kind == "" || event.Kind == "heartbeat" {
				event = Event{} // the end of a comment, or of nothing new
				continue
			}
			select {
			case e.events <- event:
			case <-ctx.Done():
				return
			}
			event = Event{}
		}
	}
}

// Next returns the next event; ok is false when the stream has ended.
func (e *Events) Next() (event Event, ok bool) {
	e.t.Helper()
	select {
	case event, ok = <-e.events:
		return event, ok
	case <-time.After(patience):
		e.t.Fatalf("no event within %v", patience)
		return Event{}, false
	}
}

// Await passes over events until one of that kind comes.
func (e *Events) Await(kind string) Event {
	e.t.Helper()
	for {
		event, ok := e.Next()
		if !ok {
			e.t.Fatalf("the stream ended before %q", kind)
		}
		if event.Kind == kind {
			return event
		}
	}
}

// Close ends the stream.
func (e *Events) Close() { e.cancel() }

// Clock stands still until the test moves it: give its Now to session.Config.
// Streams wake when the manager next looks at the session: after [Clock.Advance],
// call Manager.EnforceTimeouts to have expiries told at once.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows 10:00 UTC on 11 January 2025, the moment of the
// specification's examples.
func NewClock() *Clock { return &Clock{now: time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, back too.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
