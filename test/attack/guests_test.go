package attack

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedfolnir/session/test/attack/shop"
)

// guests are attacks on sessions of nobody. The program has none; they are a shop's, in
// which people keep a basket, and which takes it over when they sign in.
var guests = []attack{
	{
		"a guest's session planted on a victim", "has the victim go on in a guest's session of the attacker's, whose token and form token they know, and then sign in",
		"the person's session is another, of which the attacker sees nothing and into which nothing of theirs comes any more; a form from another host signs nobody in", plantedGuest,
	},
	{
		"a flood of guests", "begins sessions of guests by visits, without a token, with a stranger's, and a thousand of them as it is meant",
		"none but the last, each of which is another; no person loses a session, and nothing is left of them when they are over", floodOfGuests,
	},
	{
		"a guest who wants to be somebody", "asks, with a guest's session, for what people are shown and may do, keeps a copy of it over a sign-in, and signs in in two tabs at once",
		"401 as for strangers; the copy opens nothing and adds nothing, and the person has what the shop carried over, once", guestAsSomebody,
	},
}

// stall is a shop that serves.
type stall struct {
	*shop.Shop
	w    *world
	addr string
}

func openShop(t *testing.T, w *world) *stall {
	t.Helper()
	s, err := shop.Open(t.Context(), filepath.Join(t.TempDir(), "shop.db"), slog.New(slog.NewJSONHandler(w.out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(w.folder, "cert.pem"), filepath.Join(w.folder, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &stall{s, w, server.Listener.Addr().String()}
}

func (s *stall) browser(t *testing.T) *browser { t.Helper(); return s.w.browserAt(t, s.addr) }

// guest is somebody with that in their basket.
func (s *stall) guest(t *testing.T, what string) *browser {
	t.Helper()
	b := s.browser(t)
	if got := b.post("/basket/"+what, ""); got.status != 200 {
		t.Fatalf("no guest: %d %s", got.status, got.body)
	}
	return b
}

// has fails the test unless that is in the basket.
func (b *browser) has(what, when string) {
	b.t.Helper()
	if got := b.get("/basket"); got.status != 200 || strings.TrimSpace(got.body) != what {
		b.t.Errorf("%s: the basket is %d %s, want %s", when, got.status, got.body, what)
	}
}

func plantedGuest(t *testing.T, w *world) {
	s := openShop(t, w)
	attacker := s.guest(t, "a trap")
	planted, token := attacker.pair(), attacker.token()
	victim := s.browser(t)
	login := func(at *browser, a account, site string) answer {
		r := at.request("POST", "/login", credentials(a))
		r.Header.Set("X-CSRFToken", token)
		r.Header.Set("Sec-Fetch-Site", site)
		return at.do(r)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		if got := login(victim.sending(planted), account{"attacker", shop.Password}, site); got.status != 403 || len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("a form of the attacker's page, %s: %d %s", site, got.status, got.body)
		}
	}
	got := login(victim.sending(planted), account{"victim", shop.Password}, "same-origin")
	given, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	if got.status != 200 || given == "" || given == planted || strings.HasPrefix(given, planted[:len(sessionCookie)+33]) {
		t.Fatalf("the victim is given %s: %d %s", given, got.status, got.body)
	}
	victim = victim.sending(given)
	victim.has(`["a trap"]`, "the victim, who went on with it")
	for _, path := range []string{"/basket", "/orders", "/api/session_state", "/api/sessions"} {
		if got := attacker.get(path); got.status != 401 || strings.Contains(got.body, `"victim"`) {
			t.Errorf("the attacker, GET %s: %d %s", path, got.status, got.body)
		}
	}
	r := attacker.request("POST", "/basket/more", "")
	r.Header.Set("X-CSRFToken", token)
	attacker.do(r)
	victim.has(`["a trap"]`, "after the attacker added to it")
	if got := victim.get("/orders"); got.body != "victim" {
		t.Errorf("the victim is %d %s", got.status, got.body)
	}
}

func floodOfGuests(t *testing.T, w *world) {
	s := openShop(t, w)
	person := s.browser(t).signIn(account{"person", shop.Password})
	before := person.state()
	live := func() int {
		t.Helper()
		n, err := s.Live(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	stranger := s.guest(t, "tea")
	was := live()
	for range 50 {
		b := s.browser(t)
		for what, r := range map[string]*http.Request{
			"a visit":                 b.request("GET", "/basket/tea", ""),
			"no token":                b.request("POST", "/basket/tea", ""),
			"the token of a stranger": b.request("POST", "/basket/tea", ""),
			"another host's form":     b.tokened("POST", "/basket/tea", ""),
		} {
			switch what {
			case "the token of a stranger":
				r.Header.Set("X-CSRFToken", stranger.token())
			case "another host's form":
				r.Header.Set("Sec-Fetch-Site", "same-site")
			}
			if got := b.do(r); got.status < 400 || b.cookie(sessionCookie) != "" {
				t.Fatalf("%s: %d %s, and the cookie %q", what, got.status, got.body, b.cookie(sessionCookie))
			}
		}
	}
	if n := live(); n != was {
		t.Errorf("%d sessions were begun by nobody's act", n-was)
	}
	const many = 1000
	flood, seen := s.browser(t), map[string]bool{}
	token, visit := flood.token(), sessionCookie+"-prelogin="+flood.cookie(sessionCookie+"-prelogin")
	flood = flood.sending(visit)
	for range many {
		r := flood.request("POST", "/basket/junk", "")
		r.Header.Set("X-CSRFToken", token)
		got := flood.do(r)
		given, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
		if got.status != 200 || seen[given] || strings.TrimSpace(got.body) != `["junk"]` {
			t.Fatalf("%d %s %s, seen before: %v", got.status, got.body, given, seen[given])
		}
		seen[given] = true
	}
	person.unharmed(before, "after the flood")
	stranger.has(`["tea"]`, "another guest")
	if n := live(); n != was+many {
		t.Errorf("%d sessions, want %d", n, was+many)
	}
	if users, err := s.Users(t.Context()); err != nil || users != 1 {
		t.Errorf("later on there are still %d users, %v; want the person alone", users, err)
	}
}

func guestAsSomebody(t *testing.T, w *world) {
	s := openShop(t, w)
	guest := s.guest(t, "tea")
	handle, _, _ := strings.Cut(guest.cookie(sessionCookie), ".")
	for _, path := range []string{
		"GET /orders", "GET /api/session_state", "GET /api/sessions", "GET /api/session/events", "POST /api/session/refresh", "POST /api/session/reauth",
		"POST /api/switch_platform/1", "POST /api/sessions/revoke_others", "DELETE /api/sessions/" + handle,
	} {
		method, path, _ := strings.Cut(path, " ")
		if got := guest.do(guest.tokened(method, path, "{}")); got.status != 401 {
			t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
		}
	}
	kept, token := guest.sending(guest.pair()), guest.token()
	tabs := make(chan answer, 2)
	for range 2 {
		r := kept.request("POST", "/login", credentials(account{"kim", shop.Password}))
		r.Header.Set("X-CSRFToken", token)
		go func() { tabs <- kept.do(r) }()
	}
	var given []string
	for range 2 {
		got := <-tabs
		pair, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
		if got.status == 200 {
			given = append(given, pair)
		} else if got.status != 401 && got.status != 403 {
			t.Errorf("a tab: %d %s", got.status, got.body)
		}
	}
	if len(given) == 0 {
		t.Fatal("no tab has signed in")
	}
	for _, pair := range given {
		tab := s.browser(t).sending(pair)
		tab.has(`["tea"]`, "the person")
		if strings.Contains(pair, handle) {
			t.Errorf("the guest's session is the person's: %s", pair)
		}
	}
	for range 3 {
		r := kept.request("POST", "/basket/more", "")
		r.Header.Set("X-CSRFToken", token)
		kept.do(r)
	}
	if got := kept.get("/basket"); got.status != 401 {
		t.Errorf("the guest's session opens the basket: %d %s", got.status, got.body)
	}
	person := s.browser(t).sending(given[0])
	person.has(`["tea"]`, "after the copy was used")
	if got := person.post("/logout", ""); got.status != 200 {
		t.Errorf("signing out: %d %s", got.status, got.body)
	}
	if got := kept.get("/basket"); got.status != 401 || fmt.Sprint(got.header["Set-Cookie"]) != "[]" {
		t.Errorf("afterwards the guest is back: %d %s", got.status, got.body)
	}
}
