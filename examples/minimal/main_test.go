package main

import (
	"bytes"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/vedfolnir/session/sessiontest"
)

func TestClickThrough(t *testing.T) {
	tab := sessiontest.NewClient(t, newApp())
	if got := tab.Open("/").Want(303).Header.Get("Location"); got != "/login" {
		t.Errorf("signed out, the page leads to %q", got)
	}
	if body := tab.Open("/login").Want(200).Body; !strings.Contains(body, `<form method="post" action="/login">`) || !strings.Contains(body, "session-sync.js") {
		t.Errorf("the sign-in form:\n%s", body)
	}
	tab.PostForm("/login", url.Values{"username": {"alex"}, "password": {"wrong"}}).Want(401)
	tab.PostForm("/login", url.Values{"username": {"alex"}, "password": {sessiontest.Password}}).Want(303)
	if body := tab.Open("/").Want(200).Body; !strings.Contains(body, `data-session-switch="12"`) {
		t.Errorf("the page:\n%s", body)
	}
	other := tab.Events("")
	other.Await("state")
	tab.SwitchPlatform("12")
	if e := other.Await("platform_switched"); !strings.Contains(e.Data, "My Mastodon") {
		t.Errorf("the other tab hears %s", e.Data)
	}
	tab.SignOut()
	other.Await("ended")
	tab.Open("/").Want(303)
	tab.SignIn("sam").Open("/").Want(200)
}

func TestItIsFiftyLines(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte("\n")); n > 50 {
		t.Errorf("%d lines", n)
	}
}
