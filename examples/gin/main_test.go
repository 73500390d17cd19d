package main

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/vedfolnir/session/sessiontest"
)

func TestClickThrough(t *testing.T) {
	h, router := newApp()
	tab := sessiontest.NewClient(t, h.Wrap(router))
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
	h, router := newApp()
	router.GET("/error", func(c *gin.Context) { h.Error(c.Writer, c.Request, errors.New("a secret")) })
	router.GET("/panic", func(*gin.Context) { panic("boom") })
	tab := sessiontest.NewClient(t, h.Wrap(router)).SignIn("alex")
	if body := tab.Get("/error").Want(500).Body; strings.Contains(body, "secret") {
		t.Errorf("%s", body)
	}
	if got := tab.Get("/panic").Want(500).Field("error_code"); got != "INTERNAL" {
		t.Errorf("%v", got)
	}
	tab.Get("/nowhere").Want(404)
	tab.Get("/api/nowhere").Want(404)
	tab.Open("/").Want(200)
}
