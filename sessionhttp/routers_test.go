package sessionhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// A router that cannot be asked for its routes has them below the API's path too,
// once it may; ours, and paths that have to be cleaned first, it never sees.
func TestAnyRouterMayShareTheBasePath(t *testing.T) {
	router := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/posts" {
			w.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(w, "the application's")
	})
	wantCode(t, newEdge(t, router, sessionhttp.Config{}).do("GET", "/api/posts", ""), 404, "NOT_FOUND")

	e := newEdge(t, router, sessionhttp.Config{ShareBasePath: true})
	if w := e.do("GET", "/api/posts", ""); w.Code != 200 || w.Body.String() != "the application's" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := e.do("GET", "/api/nothing", ""); w.Code != http.StatusTeapot {
		t.Errorf("what nobody knows: %d", w.Code)
	}
	if e.csrf() == "" {
		t.Error("no token")
	}
	wantCode(t, e.do("POST", "/api/csrf", ""), 405, "METHOD_NOT_ALLOWED")
	wantCode(t, e.do("GET", "/x/../api/posts", ""), 404, "NOT_FOUND")
}

// A router whose middleware is not that of net/http asks, and is told what the
// guards would answer.
func TestChecksSayWhatTheGuardsAnswer(t *testing.T) {
	t.Parallel()
	k := newContract(t, session.Config{})
	codes := func(w http.ResponseWriter, r *http.Request) {
		for _, check := range []func(context.Context) error{sessionhttp.CheckSession, sessionhttp.CheckPlatform, sessionhttp.CheckStatedPlatform} {
			if err := check(r.Context()); err != nil {
				p := sessionhttp.ProblemOf(err)
				fmt.Fprintf(w, "%d %s %s\n", p.Status, p.Code, p.Reason)
			} else {
				io.WriteString(w, "passes\n")
			}
		}
	}
	alex := sessiontest.NewClient(t, k.handler.Wrap(http.HandlerFunc(codes))).SignIn("alex")
	ended := alex.Another().SignIn("alex")
	for _, test := range []struct {
		name                     string
		client                   *sessiontest.Client
		session, platform, state string
	}{
		{"signed out", alex.Another(), "401 SESSION_REQUIRED no_session", "401 SESSION_REQUIRED no_session", "401 SESSION_REQUIRED no_session"},
		{"without a platform", alex.Another().SignIn("sam"), "passes", "403 PLATFORM_REQUIRED platform_required", "409 PLATFORM_UNSTATED platform_unstated"},
		{"with a platform", alex, "passes", "passes", "409 PLATFORM_UNSTATED platform_unstated"},
		{"states its platform", alex.Acting("456"), "passes", "passes", "passes"},
	} {
		want := test.session + "\n" + test.platform + "\n" + test.state + "\n"
		if got := test.client.Get("/").Want(200).Body; got != want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, want)
		}
	}
	alex.Post("/api/sessions/revoke_others", nil).Want(200)
	if got := ended.Get("/").Body; !strings.HasPrefix(got, "401 SESSION_ENDED revoked_by_user\n") {
		t.Errorf("ended: %s", got)
	}
	nobody := func(w http.ResponseWriter, r *http.Request) {
		codes(w, r.WithContext(session.NewContext(r.Context(), nil)))
	}
	taken := sessiontest.NewClient(t, k.handler.Wrap(http.HandlerFunc(nobody))).SignIn("alex")
	if got := taken.Get("/").Body; strings.Contains(got, "passes") {
		t.Errorf("the session was taken from the request: %s", got)
	}
	if err := sessionhttp.CheckSession(t.Context()); sessionhttp.ProblemOf(err).Status != 401 {
		t.Errorf("outside the middleware: %v", err)
	}
}
