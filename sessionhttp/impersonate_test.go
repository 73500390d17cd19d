package sessionhttp_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// acting is an application in which sam, an operator, may act as alex.
type acting struct {
	*contract
	mu    sync.Mutex
	may   error // what MayImpersonate answers for sam and alex
	lines []session.AuditEvent
}

func (a *acting) allow(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.may = err
}

func (a *acting) Audit(_ context.Context, e session.AuditEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, e)
}

func newActing(t *testing.T) (a *acting, sam *sessiontest.Client) {
	t.Helper()
	a = &acting{}
	config := session.Config{Audit: a}
	a.contract = newContractOn(t, &fragile{Store: memstore.New()}, config)
	var err error
	a.handler, err = sessionhttp.New(a.manager, sessionhttp.Config{
		Login: a.login, ReauthPage: http.HandlerFunc(reauthPage), RecentToEnd: time.Hour,
		MayImpersonate: func(_ context.Context, operator, person session.UserID) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			if operator != "124" || person != "123" {
				return sessionhttp.ErrForbidden
			}
			return a.may
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/act/{id}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.handler.Impersonate(w, r, session.UserID(r.PathValue("id"))); err != nil {
			a.handler.Error(w, r, err)
		}
	})
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.handler.Rotate(w, r); err != nil {
			a.handler.Error(w, r, err)
		}
	})
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("POST /own", a.handler.RequireOwner(ok))
	mux.Handle("POST /recent", a.handler.RequireRecent(time.Hour, ok))
	mux.Handle("GET /page", ok)
	a.served = a.handler.Wrap(mux)
	return a, sessiontest.NewTLSClient(t, a.served).SignIn("sam")
}

func user(c *sessiontest.Client) any { return c.State().Field("user.username") }

// The whole way: it begins, is seen, does what the person may, not what is theirs
// alone, and its end leaves the operator as they were.
func TestAnOperatorActsAsAPersonAndIsThemselfAgain(t *testing.T) {
	a, sam := newActing(t)
	alex := sam.Another().SignIn("alex")
	own := sam.State().Field("session.session_id")

	set := sam.Post("/act/123", nil).Want(200).Header["Set-Cookie"]
	if len(set) != 1 || !strings.HasPrefix(set[0], "__Host-vedfolnir-as=") || strings.Contains(set[0], "Max-Age") {
		t.Errorf("%q", set)
	}
	if s := sam.State(); user(sam) != "alex" || s.Field("session.impersonator") != 124.0 || s.Field("session.expires_at") != "2025-01-11T10:30:00Z" {
		t.Errorf("%s", s.Body)
	}
	if alex.State().Field("session.impersonator") != nil {
		t.Error("the person's own session is said to be an operator's")
	}
	if list := alex.Get("/api/sessions").Want(200).Body; strings.Count(list, `"impersonator":124`) != 1 {
		t.Errorf("the person sees %s", list)
	}
	sam.SwitchPlatform("789")
	if sam.Platform() != "My Mastodon" || alex.Platform() != "My Pixelfed" {
		t.Errorf("platforms %s and %s", sam.Platform(), alex.Platform())
	}
	if set := sam.Post("/rotate", nil).Want(200).Header["Set-Cookie"]; len(set) != 1 || !strings.HasPrefix(set[0], "__Host-vedfolnir-as=") {
		t.Errorf("%q", set)
	}
	for _, path := range []string{"/own", "/recent", "/api/session/reauth/options", "/api/session/reauth", "/api/sessions/revoke_others"} {
		body := map[string]any{"username": "alex", "password": sessiontest.Password}
		if got := sam.Post(path, body).Want(403).Field("error_code"); got != "FORBIDDEN" {
			t.Errorf("%s: %v", path, got)
		}
	}
	sam.Post("/api/sessions/revoke_others", nil).Want(403)
	sam.Delete("/api/sessions/" + alex.State().Field("session.session_id").(string)).Want(403)
	sam.Post("/act/123", nil).Want(200) // anew: that which was ends
	if list := alex.Get("/api/sessions").Body; strings.Count(list, `"impersonator":124`) != 1 {
		t.Errorf("%s", list)
	}
	out := sam.Post("/logout", nil).Want(200).Header["Set-Cookie"]
	if len(out) != 1 || !strings.HasPrefix(out[0], "__Host-vedfolnir-as=;") {
		t.Errorf("%q", out)
	}
	if user(sam) != "sam" || sam.State().Field("session.session_id") != own || user(alex) != "alex" {
		t.Errorf("after it: %s", sam.State().Body)
	}
	sam.Post("/own", nil).Want(204)
	sam.Post("/recent", nil).Want(204)

	a.mu.Lock()
	defer a.mu.Unlock()
	var did []string
	for _, e := range a.lines {
		if e.User == "123" && e.By == "124" {
			did = append(did, e.Action)
		} else if e.User == "123" && e.By != "123" {
			t.Errorf("%s of alex's by %s", e.Action, e.By)
		}
	}
	if got := strings.Join(did, " "); got != "created platform_switched rotated ended created ended" {
		t.Errorf("the audit says of sam: %s", got)
	}
}

func TestWhatEndsAnImpersonation(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(t *testing.T, a *acting, sam, alex *sessiontest.Client)
		then any // who sam is
	}{
		"its time": {func(_ *testing.T, a *acting, _, _ *sessiontest.Client) { a.clock.Advance(30 * time.Minute) }, "sam"},
		"the person": {func(t *testing.T, a *acting, _, alex *sessiontest.Client) {
			for _, s := range alex.Get("/api/sessions").JSON()["sessions"].([]any) {
				if s := s.(map[string]any); s["impersonator"] != nil {
					alex.Delete("/api/sessions/" + s["session_id"].(string)).Want(200)
				}
			}
		}, "sam"},
		"everything of the person's": {func(t *testing.T, a *acting, _, alex *sessiontest.Client) {
			alex.Post("/api/sessions/revoke_others", nil).Want(200)
		}, "sam"},
		"a role that is taken away": {func(_ *testing.T, a *acting, _, _ *sessiontest.Client) { a.allow(sessionhttp.ErrForbidden) }, "sam"},
		"the operator's sign-out elsewhere": {func(t *testing.T, a *acting, _, _ *sessiontest.Client) {
			if _, err := a.manager.RevokeUser(t.Context(), "124", session.RevokedByAdmin, "kim"); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, sam := newActing(t)
			alex := sam.Another().SignIn("alex")
			sam.Post("/act/123", nil).Want(200)
			stale := sam.CSRFToken()
			test.do(t, a, sam, alex)

			// What the operator meant to do as the person is not done as themself.
			late := sam.Request("POST", "/own", nil)
			late.Header.Set("X-CSRFToken", stale)
			if got := sam.Do(late).Status; got != 403 && test.then != nil {
				t.Errorf("a form of the person's page: %d", got)
			}
			state := sam.Get("/api/session_state")
			if test.then == nil {
				state.Want(401)
			} else if state.Field("user.username") != test.then || state.Field("session.impersonator") != nil {
				t.Errorf("%s", state.Body)
			}
			if set := sam.Open("/page").Header["Set-Cookie"]; test.then != nil && len(set) > 0 {
				t.Errorf("once more: %q", set) // the first request has cleared it
			}
			alex.State()
			if list := alex.Get("/api/sessions").Body; strings.Contains(list, "impersonator") && test.then != nil {
				t.Errorf("the person still sees %s", list)
			}
			a.allow(nil)
			if test.then != nil && user(sam) != "sam" {
				t.Error("it came back")
			}
		})
	}
}

// Neither cookie is anything that it should not be.
func TestTheCookieOfAnImpersonationIsNothingAlone(t *testing.T) {
	a, sam := newActing(t)
	set := sam.Post("/act/123", nil).Want(200).Header.Get("Set-Cookie")
	_, token, _ := strings.Cut(set, "=")
	token, _, _ = strings.Cut(token, ";")
	ask := func(cookies ...string) *sessiontest.Response {
		stranger := sam.Another()
		r := stranger.Request("GET", "/api/session_state", nil)
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
		return stranger.Do(r)
	}
	ask("__Host-vedfolnir-as=" + token).Want(401)
	ask("__Host-vedfolnir=" + token).Want(401)
	ask("__Host-vedfolnir="+token, "__Host-vedfolnir-as="+token).Want(401)

	// Beside another session than the one that it was begun from.
	c, other, err := a.manager.Create(t.Context(), session.CreateRequest{UserID: "124"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask("__Host-vedfolnir="+other.Reveal(), "__Host-vedfolnir-as="+token).Want(200); got.Field("session.session_id") != c.Session.ID.String() {
		t.Errorf("%s", got.Body)
	}
	if got := ask("__Host-vedfolnir="+other.Reveal(), "__Host-vedfolnir-as=x"); got.Field("user.username") != "sam" {
		t.Errorf("%s", got.Body)
	}
	ask("__Host-vedfolnir="+other.Reveal(), "__Host-vedfolnir-as="+token, "__Host-vedfolnir-as="+token).Want(400)
}

func TestWhoMayNotImpersonate(t *testing.T) {
	a, sam := newActing(t)
	alex := sam.Another().SignIn("alex")
	alex.Post("/act/124", nil).Want(403)
	sam.Post("/act/124", nil).Want(403) // themself
	sam.Post("/act/999", nil).Want(403)
	sam.Another().Post("/act/123", nil).Want(401)
	for _, method := range []string{"GET", "HEAD"} { // which a page of somebody else's can have a browser send
		if set := sam.Do(sam.Request(method, "/act/123", nil)).Want(500).Header["Set-Cookie"]; len(set) > 0 {
			t.Errorf("%s sets %q", method, set)
		}
	}
	a.allow(session.ErrUnavailable)
	sam.Post("/act/123", nil).Want(503)
	a.allow(nil)
	sam.Post("/act/123", nil).Want(200)
	a.allow(session.ErrUnavailable)
	if sam.Get("/api/session_state").Want(503); len(sam.Open("/page").Header["Set-Cookie"]) > 0 {
		t.Error("a cookie is lost because it could not be told who may")
	}
	a.allow(nil)
	if user(sam) != "alex" {
		t.Error("it has ended because it could not be told who may")
	}
}

// The limit of sessions is the person's own.
func TestAnImpersonationEvictsNobody(t *testing.T) {
	_, sam := newActing(t)
	var theirs []*sessiontest.Client
	for range 5 {
		theirs = append(theirs, sam.Another().SignIn("alex"))
	}
	sam.Post("/act/123", nil).Want(200)
	for _, c := range theirs {
		c.State()
	}
}

// A stream ends within a heartbeat of the operator's loss of the role.
func TestAStreamEndsWithTheRole(t *testing.T) {
	a := &acting{}
	a.contract = newContract(t, session.Config{Sync: session.Sync{HeartbeatInterval: 50 * time.Millisecond}})
	var err error
	if a.handler, err = sessionhttp.New(a.manager, sessionhttp.Config{Login: a.login, MayImpersonate: func(context.Context, session.UserID, session.UserID) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.may
	}}); err != nil {
		t.Fatal(err)
	}
	sam := sessiontest.NewClient(t, a.handler.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.handler.Impersonate(w, r, "123"); err != nil {
			a.handler.Error(w, r, err)
		}
	}))).SignIn("sam")
	sam.Post("/act", nil).Want(200)
	events := sam.Events("")
	events.Await("state")
	a.allow(sessionhttp.ErrForbidden)
	for {
		e, ok := events.Next()
		if !ok {
			break
		}
		if e.Kind != "ended" {
			t.Errorf("%+v", e)
		}
	}
	if user(sam) != "sam" {
		t.Error("sam is not themself again")
	}
}
