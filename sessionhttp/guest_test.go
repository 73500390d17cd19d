package sessionhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// shop is an application with a basket for everybody.
type shop struct {
	*contract
	mu      sync.Mutex
	baskets map[session.UserID][]string
	carried []string // "guest's end: person"
	fails   error
}

func newShop(t *testing.T) (*shop, *sessiontest.Client) {
	t.Helper()
	s := &shop{baskets: map[session.UserID][]string{}}
	s.contract = newContractOn(t, &fragile{Store: memstore.New()}, session.Config{})
	var err error
	s.handler, err = sessionhttp.New(s.manager, sessionhttp.Config{Login: s.login, GuestSignedIn: func(ctx context.Context, guest, person *session.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, err := s.manager.Get(ctx, guest.Session.ID)
		reason, _ := session.Ended(err)
		s.carried = append(s.carried, fmt.Sprintf("%s: %s", reason, person.Session.UserID))
		if s.fails != nil {
			return s.fails
		}
		s.baskets[person.Session.UserID] = append(s.baskets[person.Session.UserID], s.baskets[guest.Session.UserID]...)
		delete(s.baskets, guest.Session.UserID)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/basket/{what}", func(w http.ResponseWriter, r *http.Request) {
		c := session.FromContext(r.Context())
		if !c.Live() {
			var err error
			if c, err = s.handler.StartGuest(w, r); err != nil {
				s.handler.Error(w, r, err)
				return
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.baskets[c.Session.UserID] = append(s.baskets[c.Session.UserID], r.PathValue("what"))
	})
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/subject", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, s.handler.TokenSubject(r)) })
	mux.Handle("/mine", s.handler.RequireSession(ok))
	mux.Handle("/anybodys", s.handler.RequireGuest(ok))
	s.served = s.handler.Wrap(mux)
	return s, sessiontest.NewTLSClient(t, s.served)
}

func (s *shop) basket(of session.UserID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.baskets[of], " ")
}

func (s *shop) live(t *testing.T) int {
	t.Helper()
	m, err := s.manager.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Sessions.ActiveSessions
}

// held is the token that an answer gives; "": none.
func held(r *sessiontest.Response) string {
	for _, line := range r.Header["Set-Cookie"] {
		if value, ok := strings.CutPrefix(line, "__Host-vedfolnir="); ok {
			value, _, _ = strings.Cut(value, ";")
			return value
		}
	}
	return ""
}

func TestAGuestBeginsByAnActAlone(t *testing.T) {
	s, c := newShop(t)
	for _, method := range []string{"GET", "HEAD"} {
		r := c.Request(method, "/basket/tea", nil)
		r.Header.Set("X-CSRFToken", c.CSRFToken())
		if got := c.Do(r).Want(500); held(got) != "" {
			t.Errorf("%s sets %q", method, got.Header["Set-Cookie"])
		}
	}
	if got := c.Do(c.Request("POST", "/basket/tea", nil)).Want(403); held(got) != "" { // no token
		t.Errorf("%q", got.Header["Set-Cookie"])
	}
	foreign := c.Request("POST", "/basket/tea", nil)
	foreign.Header.Set("X-CSRFToken", c.CSRFToken())
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	c.Do(foreign).Want(403)
	if n := s.live(t); n != 0 {
		t.Fatalf("%d sessions", n)
	}
	set := c.Post("/basket/tea", nil).Want(200)
	if held(set) == "" || strings.Contains(set.Header.Get("Set-Cookie"), "Max-Age") {
		t.Errorf("%q", set.Header["Set-Cookie"])
	}
	if again := c.Post("/basket/milk", nil).Want(200); held(again) != "" || s.live(t) != 1 {
		t.Errorf("a second time: %q, %d sessions", again.Header["Set-Cookie"], s.live(t))
	}
}

// A guest is signed in nowhere: the API, the guards and the client's own questions
// answer as they do a stranger.
func TestAGuestIsNotSignedIn(t *testing.T) {
	s, c := newShop(t)
	stranger := c.Another()
	c.Post("/basket/tea", nil).Want(200)
	for _, path := range []string{"/api/session_state", "/api/sessions", "/api/user_platforms", "/api/session/security", "/api/session/events", "/mine"} {
		if got, want := c.Get(path), stranger.Get(path); got.Status != 401 || got.Field("error_code") != want.Field("error_code") {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	if got := c.Post("/api/session/validate", nil).Want(401).Field("valid"); got != false {
		t.Errorf("valid: %v", got)
	}
	c.Post("/api/session/heartbeat", map[string]any{"active": true}).Want(401)
	if got := c.Open("/mine"); got.Status != 303 || got.Header.Get("Location") != "/login?next=%2Fmine" {
		t.Errorf("%d %q", got.Status, got.Header)
	}
	c.Get("/anybodys").Want(204)
	stranger.Get("/anybodys").Want(401)
	stranger.SignIn("alex").Get("/anybodys").Want(204)
	s.clock.Advance(61 * time.Minute)
	c.Get("/anybodys").Want(401)
}

// Whoever signs in gets a new session, and what they had goes with them, once.
func TestAGuestSignsInToASessionOfTheirOwn(t *testing.T) {
	s, c := newShop(t)
	guest := held(c.Post("/basket/tea", nil).Want(200))
	c.Post("/basket/milk", nil).Want(200)
	signedIn := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password}).Want(200)
	person := held(signedIn)
	if person == "" || person[:32] == guest[:32] || person[33:] == guest[33:] {
		t.Errorf("%s is signed in as %s", guest, person)
	}
	if s.basket("123") != "tea milk" || len(s.baskets) != 1 || !slices.Equal(s.carried, []string{"signed_out: 123"}) {
		t.Errorf("%v, carried over %q", s.baskets, s.carried)
	}
	// The guest's token, which somebody may have planted, opens nothing any more.
	thief := c.Another()
	r := thief.Request("GET", "/anybodys", nil)
	r.Header.Set("Cookie", "__Host-vedfolnir="+guest)
	thief.Do(r).Want(401)
	c.SignOut()
	c.SignIn("alex")
	if len(s.carried) != 1 {
		t.Errorf("carried over %q", s.carried)
	}
}

// Two tabs that sign in at once: both are signed in, and one carries over.
func TestTwoTabsOfAGuestSignInAtOnce(t *testing.T) {
	for range 10 {
		s, c := newShop(t)
		c.Post("/basket/tea", nil).Want(200)
		token := c.CSRFToken()
		var tabs sync.WaitGroup
		barrier := make(chan struct{})
		for i := range 8 {
			r := c.Request("POST", "/login", map[string]any{"username": []string{"alex", "sam"}[i%2], "password": sessiontest.Password})
			r.Header.Set("X-CSRFToken", token)
			tabs.Go(func() {
				<-barrier
				if got := c.Do(r); got.Status != 200 && got.Status != 403 { // whoever comes later than another's cookie
					t.Errorf("%d %s", got.Status, got.Body)
				}
			})
		}
		close(barrier)
		tabs.Wait()
		s.mu.Lock()
		if len(s.carried) != 1 || len(s.baskets["123"])+len(s.baskets["124"]) != 1 {
			t.Errorf("%v, carried over %q", s.baskets, s.carried)
		}
		s.mu.Unlock()
	}
}

// What cannot be carried over does not keep the person out, and is not lost.
func TestACarryOverThatFailsIsNoFailedSignIn(t *testing.T) {
	s, c := newShop(t)
	c.Post("/basket/tea", nil).Want(200)
	s.fails = errors.New("the basket's database is away")
	c.SignIn("alex")
	if user(c) != "alex" || s.basket("123") != "" || len(s.baskets) != 1 {
		t.Errorf("%v", s.baskets)
	}
}

// A form that was open before there was a guest is still good.
func TestAFormFromBeforeTheGuestIsGood(t *testing.T) {
	_, c := newShop(t)
	before := c.CSRFToken()
	c.Post("/basket/tea", nil).Want(200)
	form := url.Values{"csrf_token": {before}, "username": {"alex"}, "password": {sessiontest.Password}}
	c.PostForm("/login", form).Want(303)
	if user(c) != "alex" {
		t.Error("not signed in")
	}
	_, other := newShop(t)
	other.Post("/basket/tea", nil).Want(200)
	form.Set("csrf_token", c.Another().CSRFToken())
	other.PostForm("/login", form).Want(403)
}

// Of a guest it is the session that something goes on in, not the browser before it,
// of which there may be no trace.
func TestATokensSubjectIsTheGuestsSession(t *testing.T) {
	s, c := newShop(t)
	c.Post("/basket/tea", nil).Want(200)
	subject := c.Get("/subject").Want(200).Body
	if id, ok := strings.CutPrefix(subject, "session "); !ok || len(id) != 32 {
		t.Errorf("%q", subject)
	}
	c.SignIn("alex")
	if now := c.Get("/subject").Want(200).Body; now == subject || s.live(t) != 1 {
		t.Errorf("%q once signed in", now)
	}
}
