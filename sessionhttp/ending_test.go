package sessionhttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

const (
	firefoxOnLinux = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	safariOnIPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)

// on is a browser of that name, without a session.
func on(c *sessiontest.Client, userAgent string) *sessiontest.Client {
	other := c.Another()
	other.Header.Set("User-Agent", userAgent)
	return other
}

// The holder of the old token is told why, when and from which device, by the API
// and by the stream; who does not hold it learns nothing, though they know the
// handle, which is public.
func TestAnEndedSessionIsExplainedToTheHolderOfItsTokenAlone(t *testing.T) {
	const held = 90 * time.Minute // 10:00 to 11:30
	for _, test := range []struct {
		name                string
		limit               int
		end                 func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID)
		code, reason, words string
		device              any
	}{
		{
			"another device took the place", 1, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) { phone.SignIn("alex") },
			"SESSION_ENDED", "evicted_by_limit", "You signed in on Safari on iPhone today at 11:30 UTC, and this session made way. Please sign in again.", "Safari on iPhone",
		},
		{"ended from another device", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
			phone.SignIn("alex").Delete("/api/sessions/" + desk.String()).Want(200)
		}, "SESSION_ENDED", "revoked_by_user", "You ended this session from Safari on iPhone today at 11:30 UTC. Please sign in again.", "Safari on iPhone"},
		{"all others ended", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
			phone.SignIn("alex").Post("/api/sessions/revoke_others", nil).Want(200)
		}, "SESSION_ENDED", "revoked_by_user", "You ended this session from Safari on iPhone today at 11:30 UTC. Please sign in again.", "Safari on iPhone"},
		{"ended by an operator", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
			if err := k.manager.Revoke(t.Context(), desk, session.RevokedByAdmin, "kim"); err != nil {
				t.Fatal(err)
			}
		}, "SESSION_ENDED", "revoked_by_admin", "This session was ended today at 11:30 UTC. Please sign in again.", nil},
		{"ended by somebody in a session of their own", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
			phone.SignIn("sam")
			mine, err := k.manager.List(t.Context(), "124")
			if err != nil || len(mine) != 1 {
				t.Fatal(mine, err)
			}
			c, err := k.manager.Get(t.Context(), mine[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.manager.Revoke(session.NewContext(t.Context(), &c), desk, session.RevokedByAdmin, "124"); err != nil {
				t.Fatal(err)
			}
		}, "SESSION_ENDED", "revoked_by_admin", "This session was ended today at 11:30 UTC. Please sign in again.", nil},
		{
			"idle, and noticed a day later", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
				k.clock.Advance(24 * time.Hour)
			},
			"SESSION_EXPIRED", "idle_timeout", "Your session expired today at 10:01 UTC, after a long time without activity. Please sign in again.", nil,
		},
		{"idle, swept, and noticed two days later", 0, func(t *testing.T, k *contract, phone *sessiontest.Client, desk session.ID) {
			k.clock.Advance(24 * time.Hour)
			if n, err := k.manager.EnforceTimeouts(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			k.clock.Advance(24 * time.Hour)
		}, "SESSION_EXPIRED", "idle_timeout", "Your session expired on 12 January at 10:01 UTC, after a long time without activity. Please sign in again.", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k := newContract(t, session.Config{Security: session.Security{MaxConcurrentPerUser: test.limit}})
			desk := on(sessiontest.NewClient(t, k.served), firefoxOnLinux).SignIn("alex")
			state := desk.State()
			id, err := session.ParseID(state.Field("session.session_id").(string))
			if err != nil {
				t.Fatal(err)
			}
			events := desk.Events("")
			events.Await("state")
			k.clock.Advance(held)
			test.end(t, k, on(desk, safariOnIPhone), id)

			told := func(where, body string) {
				t.Helper()
				var got map[string]any
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatal(err)
				}
				if got["error"] != test.words || got["error_code"] != test.code || got["reason"] != test.reason || got["ended_from"] != test.device {
					t.Errorf("%s: %s, want %q from %v", where, body, test.words, test.device)
				}
			}
			told("the API", desk.Get("/api/session_state").Want(401).Body)
			if test.code == "SESSION_ENDED" { // a clock wakes a stream by its own time, which stands still here
				told("the stream", events.Await("ended").Data)
			}
			told("validate", desk.Do(desk.Request("POST", "/api/session/validate", nil)).Want(401).Body)

			// The right handle with a wrong secret.
			stranger := desk.Another()
			stranger.Header.Set("Cookie", "vedfolnir="+id.String()+"."+strings.Repeat("A", 43))
			wantError(t, stranger.Get("/api/session_state"), 401, "SESSION_INVALID", "unknown")
		})
	}
}

// An application's own sign-in page is told the same.
func TestWhySignedOut(t *testing.T) {
	k := newContract(t, session.Config{})
	var why *sessionhttp.Problem
	served := k.handler.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { why = k.handler.WhySignedOut(r) }))
	look := func(cookie string) *sessionhttp.Problem {
		r := httptest.NewRequest("GET", "/welcome", nil)
		r.Header.Set("Cookie", cookie)
		served.ServeHTTP(httptest.NewRecorder(), r)
		return why
	}
	c, token, err := k.manager.Create(t.Context(), session.CreateRequest{UserID: "123"})
	if err != nil {
		t.Fatal(err)
	}
	cookie := "vedfolnir=" + token.Reveal()
	if got := look(""); got != nil {
		t.Errorf("of nobody: %+v", got)
	}
	if got := look(cookie); got != nil {
		t.Errorf("of a live session: %+v", got)
	}
	if err := k.manager.Revoke(t.Context(), c.Session.ID, session.RevokedByUser, "123"); err != nil {
		t.Fatal(err)
	}
	if got := look(cookie); got == nil || got.Reason != "revoked_by_user" || !got.EndedAt.Equal(k.clock.Now()) || got.Message != "You ended this session from another device today at 10:00 UTC. Please sign in again." {
		t.Errorf("of an ended one: %+v", got)
	}
	if got := look("vedfolnir=" + c.Session.ID.String() + "." + strings.Repeat("A", 43)); got == nil || got.Reason != "unknown" || !got.EndedAt.IsZero() {
		t.Errorf("with another secret: %+v", got)
	}
}

// Lesson 34: a sign-in that was refused at the limit counted as brute force.
func TestLesson34_ARefusalAtTheLimitIsNoFailedAttempt(t *testing.T) {
	failed := map[error]bool{
		sessionhttp.ErrBadCredentials: true, session.ErrUnknownUser: true,
		session.ErrLimit: false, session.ErrConflict: false, session.ErrUnavailable: false, session.ErrPlatform: false,
		session.ErrMalformed: false, sessionhttp.ErrPlainHTTP: false, sessionhttp.ErrForbidden: false,
		&sessionhttp.RateLimitedError{RetryAfter: time.Second}: false,
		&session.EndedError{Reason: session.EvictedByLimit}:    false,
	}
	for err, want := range failed {
		if got := sessionhttp.ProblemOf(err).FailedAttempt(); got != want {
			t.Errorf("%v: a failed attempt %v, want %v", err, got, want)
		}
	}
}
