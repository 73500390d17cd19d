package main

import (
	"errors"
	"net"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/vedfolnir/session/sessiontest"
)

// serve has Fiber listen as it does for people, with fasthttp, and returns a
// browser that reaches it through a proxy.
func serve(t *testing.T, app *fiber.App) *sessiontest.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		if err := errors.Join(listener.Close(), <-served); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: listener.Addr().String()})
		r.Out.Host = r.In.Host
	}}
	return sessiontest.NewClient(t, proxy)
}

func TestClickThrough(t *testing.T) {
	tab := serve(t, newApp())
	if got := tab.Open("/").Want(303).Header.Get("Location"); got != "/login" {
		t.Errorf("signed out, the page leads to %q", got)
	}
	if body := tab.Open("/login").Want(200).Body; !strings.Contains(body, `<form method="post" action="/login">`) || !strings.Contains(body, "session-sync.js") {
		t.Errorf("the sign-in form:\n%s", body)
	}
	tab.PostForm("/login", url.Values{"username": {"alex"}, "password": {"wrong"}}).Want(401)
	tab.PostForm("/login", url.Values{"username": {"alex"}, "password": {sessiontest.Password}}).Want(303)
	if body := tab.Open("/").Want(200).Body; !strings.Contains(body, ">alex</span> acts as <strong data-session-platform>My Pixelfed<") {
		t.Errorf("the page:\n%s", body)
	}

	tab.PostForm("/note", url.Values{"note": {"x"}}).Want(409)
	tab.PostForm("/note", url.Values{"note": {"x"}, "platform_id": {"99"}}).Want(403)
	tab.PostForm("/note", url.Values{"note": {"buy film"}, "platform_id": {"11"}}).Want(303)
	other := tab.Events("")
	other.Await("state")
	tab.SwitchPlatform("12")
	if e := other.Await("platform_switched"); !strings.Contains(e.Data, "My Mastodon") {
		t.Errorf("the other tab hears %s", e.Data)
	}
	if body := tab.Open("/").Want(200).Body; !strings.Contains(body, ">My Mastodon</strong>") || strings.Contains(body, "buy film") {
		t.Errorf("the page after the switch:\n%s", body)
	}
	if got := tab.Acting("11").Get("/api/note").Want(200).Field("note"); got != "buy film" {
		t.Errorf("the note on My Pixelfed is %v", got)
	}

	tab.SignOut()
	other.Await("ended")
	if got := tab.Get("/api/note").Want(401).Field("error_code"); got != "SESSION_REQUIRED" {
		t.Errorf("signed out: %v", got)
	}
	tab.SignIn("sam")
	if got := tab.Get("/api/note").Want(403).Field("error_code"); got != "PLATFORM_REQUIRED" {
		t.Errorf("without a platform: %v", got)
	}
}

func TestErrorsAndPanicsAreAnswered(t *testing.T) {
	app := newApp()
	app.Get("/teapot", func(fiber.Ctx) error { return fiber.NewError(418, "no coffee here") })
	app.Get("/panic", func(fiber.Ctx) error { panic("boom") })
	tab := serve(t, app).SignIn("alex")
	tab.Get("/panic").Want(500)
	if body := tab.Get("/teapot").Want(418).Body; body != "no coffee here" {
		t.Errorf("%s", body)
	}
	tab.Get("/nowhere").Want(404)
	tab.Get("/api/nowhere").Want(404)
	tab.Open("/").Want(200)
}

// Fiber uses the memory of a request again for the next one: what is kept of a
// request is its own.
func TestWhatIsKeptIsNotTheNextRequests(t *testing.T) {
	tab := serve(t, newApp())
	tab.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	tab.SignIn("alex")
	tab.SwitchPlatform("12")
	tab.PostForm("/note", url.Values{"note": {"buy film"}, "platform_id": {"12"}}).Want(303)
	other := tab.Another()
	other.Header.Set("User-Agent", strings.Repeat("X", 50)) // nothing is longer than before: there is room
	other.SignIn("alex")
	for range 50 {
		other.Get("/" + strings.Repeat("x", len("api/switch_platform/12")))
		other.PostForm("/note", url.Values{"note": {"sell all"}, "platform_id": {"11"}}).Want(303)
	}
	if got := tab.Get("/api/session_state").Want(200).Body; !strings.Contains(got, `"platform":{"id":12,`) {
		t.Errorf("the session is now %s", got)
	}
	if got := tab.Get("/api/sessions").Want(200).Body; !strings.Contains(got, "Firefox/128.0") {
		t.Errorf("its device is now %s", got)
	}
	if got := tab.Get("/api/note").Want(200).Field("note"); got != "buy film" {
		t.Errorf("the note is now %v", got)
	}
}
