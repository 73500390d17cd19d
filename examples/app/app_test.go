package main

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedfolnir/session/sessiontest"
)

func openTest(t *testing.T) (*app, *sessiontest.Client) {
	t.Helper()
	a, err := open(t.Context(), filepath.Join(t.TempDir(), "captions.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a, sessiontest.NewClient(t, a.handler())
}

func TestSignInIsRefusedToStrangers(t *testing.T) {
	_, c := openTest(t)
	c.Open("/").Want(303)
	for _, name := range []string{"alex", "nobody"} {
		c.PostForm("/login", url.Values{"username": {name}, "password": {"wrong"}}).Want(401)
	}
}

func TestCaptionGoesWhereTheTabSays(t *testing.T) {
	a, c := openTest(t)
	c.SignIn("alex")
	if body := c.Open("/").Want(200).Body; !strings.Contains(body, "harbour.jpg") || strings.Contains(body, "meeting.jpg") {
		t.Fatalf("the queue of My Pixelfed:\n%s", body)
	}
	c.SwitchPlatform("12") // another tab; this one still shows My Pixelfed
	c.PostForm("/captions/1", url.Values{"caption": {"The harbour at dawn"}, "platform_id": {"11"}}).Want(303)
	c.PostForm("/captions/1", url.Values{"caption": {"x"}, "platform_id": {"12"}}).Want(404)
	c.PostForm("/captions/1", url.Values{"caption": {"x"}}).Want(409)
	c.PostForm("/captions/1", url.Values{"caption": {"x"}, "platform_id": {"99"}}).Want(403)

	queue := c.Acting("11").Get("/api/queue").Want(200)
	if queue.Field("platform") != "My Pixelfed" || !strings.Contains(queue.Body, "The harbour at dawn") {
		t.Errorf("%s", queue.Body)
	}
	if n, err := a.publish(t.Context()); n != 1 || err != nil {
		t.Errorf("posted %d, %v", n, err)
	}
	if body := c.Acting("11").Get("/api/queue").Want(200).Body; strings.Contains(body, "harbour") {
		t.Errorf("posted, and still waiting: %s", body)
	}
}

func TestSomebodyWithoutAPlatformIsToldSo(t *testing.T) {
	_, c := openTest(t)
	c.SignIn("robin")
	c.Get("/api/queue").Want(403)
}
