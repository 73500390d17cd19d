package sessiontest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

var people = session.StaticDirectory{
	{User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{
		{ID: "11", Name: "My Pixelfed", Type: "pixelfed", IsDefault: true}, {ID: "12", Name: "My Mastodon", Type: "mastodon"},
	}},
	{User: session.User{ID: "2", Username: "sam"}},
}

// app is an application with sessions: /queue shows as whom one acts, and posts as
// that platform.
func app(t testing.TB, now func() time.Time) (http.Handler, *session.Manager) {
	t.Helper()
	m, err := session.New(memstore.New(), people, session.Config{Now: now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	h, err := sessionhttp.New(m, sessionhttp.Config{Login: login})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := session.FromContext(r.Context())
		fmt.Fprintf(w, "%s acts as %s%s", c.User().Username, c.Platform().Name, r.PostFormValue("text"))
	})
	mux.Handle("GET /queue", h.RequireSession(show))
	mux.Handle("POST /queue", h.RequireStatedPlatform(show))
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { r.Header.Write(w); io.Copy(w, r.Body) })
	return h.Wrap(mux), m
}

func login(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	for _, p := range people {
		if p.User.Username == c.Username && c.Password == sessiontest.Password {
			return session.CreateRequest{UserID: p.User.ID}, nil
		}
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

func TestABrowsersDay(t *testing.T) {
	t.Parallel()
	for name, browser := range map[string]func(testing.TB, http.Handler) *sessiontest.Client{"plain": sessiontest.NewClient, "over TLS": sessiontest.NewTLSClient} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served, _ := app(t, nil)
			c := browser(t, served)
			if got := c.Open("/queue").Want(303).Header.Get("Location"); got != "/login?next=%2Fqueue" {
				t.Errorf("Location: %s", got)
			}
			c.SignIn("alex")
			if got := c.Platform(); got != "My Pixelfed" {
				t.Errorf("acts as %q", got)
			}
			c.SwitchPlatform("12")
			if got := c.Open("/queue").Want(200).Body; got != "alex acts as My Mastodon" {
				t.Error(got)
			}
			tab := c.Acting("11")
			if got := tab.PostForm("/queue", url.Values{"text": {": a & b"}}).Want(200).Body; got != "alex acts as My Pixelfed: a & b" {
				t.Error(got)
			}
			if got := c.Platform(); got != "My Mastodon" {
				t.Errorf("what one tab states moved the session to %q", got)
			}
			other := c.Another()
			other.Get("/queue").Want(401)
			if got := other.SignIn("sam").Platform(); got != "" {
				t.Errorf("sam acts as %q", got)
			}
			c.State()
			c.Delete("/api/sessions/" + other.State().Field("session.session_id").(string)).Want(404)
			c.SignOut()
			c.Get("/queue").Want(401, 403)
			other.State()
		})
	}
}

func TestHeadersOfAClientAreOnEveryRequestAndItsTabsOwn(t *testing.T) {
	t.Parallel()
	served, _ := app(t, nil)
	c := sessiontest.NewClient(t, served)
	c.Header["X-Tag"] = append(make([]string, 0, 8), "a")
	tab := c.Acting("11")
	tab.Header.Set("Accept-Language", "da")
	for _, r := range []*http.Request{c.Request("GET", "/", nil), c.Request("GET", "/", nil)} {
		r.Header.Add("X-Tag", "b") // is not to write into the client's own
	}
	if got := c.Get("/echo").Body; !strings.Contains(got, "X-Tag: a\r\n") || strings.Contains(got, "X-Platform-Id") || strings.Contains(got, "Accept-Language") {
		t.Error(got)
	}
	if got := tab.Get("/echo").Body; !strings.Contains(got, "X-Platform-Id: 11\r\n") || !strings.Contains(got, "Accept-Language: da") {
		t.Error(got)
	}
	c.Header.Set("Sec-Fetch-Site", "cross-site")
	c.Post("/echo", nil).Want(403)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	clock := sessiontest.NewClock()
	served, m := app(t, clock.Now)
	c := sessiontest.NewClient(t, served).SignIn("alex")
	events := c.Events("")
	first, ok := events.Next()
	if !ok || first.Kind != "state" || first.ID != c.State().Field("stamp") || !strings.HasPrefix(first.Data, `{"success":true`) {
		t.Errorf("%+v", first)
	}
	c.SwitchPlatform("12")
	if e := events.Await("platform_switched"); e.ID == first.ID {
		t.Errorf("%+v", e)
	}
	seen := c.Events(c.State().Field("stamp").(string))
	clock.Advance(25 * time.Hour)
	if n, err := m.EnforceTimeouts(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, e := range []*sessiontest.Events{events, seen} {
		if ended := e.Await("ended"); !strings.Contains(ended.Data, "idle_timeout") || ended.ID != "" {
			t.Errorf("%+v", ended)
		}
		if e, ok := e.Next(); ok {
			t.Errorf("after the end: %+v", e)
		}
		e.Close()
		e.Close()
	}
}

// The tabs of one browser may ask at once.
func TestTabsAskAtOnce(t *testing.T) {
	t.Parallel()
	served, _ := app(t, nil)
	c := sessiontest.NewClient(t, served).SignIn("alex")
	var wg sync.WaitGroup
	for _, id := range []string{"11", "12", "11", "12"} {
		wg.Go(func() {
			for range 5 {
				c.Acting(id).Get("/queue").Want(200)
				c.SwitchPlatform(id)
			}
		})
	}
	wg.Wait()
}

// failing is a test that may fail.
type failing struct {
	testing.TB
	mu      sync.Mutex
	message string
}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *failing) Fatalf(format string, args ...any) {
	f.mu.Lock()
	f.message = fmt.Sprintf(format, args...)
	f.mu.Unlock()
	runtime.Goexit()
}

// messageOf returns what the test fails with; "" if it does not.
func messageOf(t *testing.T, test func(testing.TB)) string {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	return f.message
}

// What goes wrong on the way fails the test, and says what the answer was.
func TestWhatGoesWrongFailsTheTest(t *testing.T) {
	t.Parallel()
	served, _ := app(t, nil)
	for name, test := range map[string]struct {
		wrong func(*sessiontest.Client)
		want  string
	}{
		"another status":       {func(c *sessiontest.Client) { c.Get("/api/nothing").Want(200, 304) }, "GET /api/nothing: status 404, want [200 304]\n{"},
		"a wrong password":     {func(c *sessiontest.Client) { c.Password = "x"; c.SignIn("alex") }, "POST /login: status 401, want [200]"},
		"nobody signed in":     {func(c *sessiontest.Client) { c.Platform() }, "SESSION_REQUIRED"},
		"no such platform":     {func(c *sessiontest.Client) { c.SignIn("alex").SwitchPlatform("99") }, "PLATFORM_NOT_FOUND"},
		"no JSON":              {func(c *sessiontest.Client) { c.Get("/echo").Field("a.b") }, "invalid character"},
		"a stream of nobody's": {func(c *sessiontest.Client) { c.Events("") }, "the stream answers 401"},
		"an event that never comes": {func(c *sessiontest.Client) {
			events := c.SignIn("alex").Events("")
			c.SignOut()
			events.Await("platform_switched")
		}, `the stream ended before "platform_switched"`},
		"no server":           {func(c *sessiontest.Client) { c.URL = "http://127.0.0.1:1"; c.Get("/") }, "refused"},
		"what is no path":     {func(c *sessiontest.Client) { c.Get("\x7f") }, "invalid control character"},
		"what cannot be sent": {func(c *sessiontest.Client) { c.Post("/", func() {}) }, "unsupported type"},
		"no trouble":          {func(c *sessiontest.Client) { c.SignIn("alex").SignOut() }, ""},
		"a member that is not there": {func(c *sessiontest.Client) {
			if got := c.Get("/api/csrf").Field("a.b"); got != nil {
				panic(got)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := messageOf(t, func(f testing.TB) { test.wrong(sessiontest.NewClient(f, served)) })
			if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestClockStandsStillUntilItIsMoved(t *testing.T) {
	t.Parallel()
	clock := sessiontest.NewClock()
	start := clock.Now()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { clock.Advance(time.Second) })
	}
	wg.Wait()
	clock.Advance(-time.Second)
	if got := clock.Now().Sub(start); got != 9*time.Second {
		t.Errorf("%v", got)
	}
}
