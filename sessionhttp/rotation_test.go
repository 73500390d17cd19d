package sessionhttp_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// rotatingBrowser is one jar, which its tabs share. What the network does to their
// requests is drawn at random.
type rotatingBrowser struct {
	served http.Handler
	now    func() time.Time

	mu     sync.Mutex
	jar    string
	since  time.Time // when it was put there
	worn   []string  // every token that was ever in the jar, for a thief
	counts tally
}

func (b *rotatingBrowser) cookie() (value string, worn time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jar, b.now().Sub(b.since)
}

func (b *rotatingBrowser) count(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[what]++
}

// take in what an answer sets, whenever it arrives: as a browser does, the latest
// arrival wins, however old it is.
func (b *rotatingBrowser) take(w *httptest.ResponseRecorder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range w.Result().Cookies() {
		if c.Name == "vedfolnir" {
			b.jar, b.since = c.Value, b.now()
			b.worn = append(b.worn, c.Value)
		}
	}
}

func ask(served http.Handler, path, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Cookie", "vedfolnir="+cookie)
	w := httptest.NewRecorder()
	served.ServeHTTP(w, r)
	return w
}

// onTheWay is the longest that a request takes, or an answer; longer ones are lost.
const onTheWay = 9 * time.Second // less than the overlap

// tab asks now and then, and rotates now and then: together with other tabs, but not
// anew with a token that has just come. A request takes a while to arrive and its
// answer too; some answers never do. Honest people are never signed out.
func (b *rotatingBrowser) tab(t *testing.T, rng *rand.Rand, rounds int, name string) {
	between := func(most time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(most))) }
	for range rounds {
		time.Sleep(between(20 * time.Second))
		path := "/plain"
		cookie, worn := b.cookie()
		if rng.IntN(3) == 0 && worn > 2*onTheWay {
			path = "/rotate"
		}
		delay := between(200 * time.Millisecond)
		if rng.IntN(5) == 0 {
			delay = between(onTheWay)
		}
		time.Sleep(delay)
		w := ask(b.served, path, cookie)
		lost := rng.IntN(6) == 0
		late := between(300 * time.Millisecond)
		if rng.IntN(4) == 0 {
			late = between(onTheWay)
		}
		switch {
		case w.Code == 200 || path == "/rotate" && w.Code == 409:
			b.count(fmt.Sprint(path, " ", w.Code))
		default:
			t.Errorf("%s at %v: %s answers %d %s", name, b.now(), path, w.Code, w.Body)
			return
		}
		if w.Code == 409 && len(w.Header()["Set-Cookie"]) > 0 {
			t.Errorf("%s: a conflict sets a cookie", name)
		}
		if lost {
			b.count("lost")
			b.count(fmt.Sprint(path, " ", w.Code, " lost"))
			continue
		}
		time.Sleep(late)
		b.take(w)
	}
}

// Rotation as 7.2.4 has it, under everything that a network does: answers that are
// lost, late and out of order, tabs that rotate at once. No honest browser is ever
// signed out; and whoever presents a superseded token after the overlap ends the
// session, whose reason is told to its owner.
func TestRotationSignsNoHonestPersonOut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	all := tally{}
	for browser := range 60 {
		t.Run(fmt.Sprint(browser), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { honestDay(t, seed, uint64(browser), all) })
		})
	}
	for _, what := range []string{"/plain 200", "/rotate 200", "/rotate 409", "lost", "/rotate 200 lost"} {
		if all[what] == 0 {
			t.Errorf("%s never happened: %v", what, all)
		}
	}
}

type tally map[string]int

func (t tally) add(more tally) {
	for what, n := range more {
		t[what] += n
	}
}

func honestDay(t *testing.T, seed, number uint64, all tally) {
	m, err := session.New(memstore.New(), nil, session.Config{Logger: slog.New(slog.DiscardHandler), Timeout: session.Timeout{AbsoluteTimeout: 1000 * time.Hour, SessionLifetime: 1000 * time.Hour, IdleTimeout: 900 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	h, err := sessionhttp.New(m, sessionhttp.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/plain", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})))
	mux.Handle("/rotate", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := h.Rotate(w, r); err != nil {
			h.Error(w, r, err)
		}
	})))
	_, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Client: session.Client{IPAddress: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	b := &rotatingBrowser{served: h.Wrap(mux), now: m.Now, jar: token.Reveal(), since: m.Now(), worn: []string{token.Reveal()}, counts: tally{}}
	var tabs sync.WaitGroup
	rng := rand.New(rand.NewPCG(seed, number))
	for i := range 1 + rng.IntN(4) {
		own := rand.New(rand.NewPCG(seed, number<<8|uint64(i)))
		tabs.Go(func() { b.tab(t, own, 60, fmt.Sprintf("tab %d", i)) })
	}
	tabs.Wait()
	all.add(b.counts)
	if t.Failed() {
		t.Logf("%v", b.counts)
		return
	}

	// The person goes on, and after the overlap a thief comes with what they had.
	time.Sleep(2 * 10 * time.Second)
	for _, path := range []string{"/plain", "/rotate", "/plain"} {
		cookie, _ := b.cookie()
		w := ask(b.served, path, cookie)
		b.take(w)
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	current, _ := b.cookie()
	old := b.worn[len(b.worn)-2]
	time.Sleep(11 * time.Second)
	thief := ask(b.served, "/plain", old)
	wantReplayed(t, thief)
	wantReplayed(t, ask(b.served, "/plain", current))
}

func wantReplayed(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	wantShape(t, w.Body.String(), `{"success":false,"error":"*","error_code":"SESSION_ENDED","reason":"token_replayed","ended_at":"TIME","request_id":"*","timestamp":"TIME"}`)
}
