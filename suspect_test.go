package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/suspicion"
)

// from is a client of that program, at an address.
func from(userAgent, address string) session.Client {
	return session.Client{UserAgent: userAgent, IPAddress: address, Language: "en-GB,en;q=0.8"}
}

const (
	chrome   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36"
	edge     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%[1]d.0.0.0 Safari/537.36 Edg/%[1]d.0.0.0"
	gecko    = "Mozilla/5.0 (X11; Linux x86_64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0"
	android  = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36"
	samsung  = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/%d.0 Chrome/136.0.0.0 Mobile Safari/537.36"
	safari   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%s Safari/605.1.15"
	iphone   = "Mozilla/5.0 (iPhone; CPU iPhone OS %s like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%s Mobile/15E148 Safari/604.1"
	ipad     = "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1"
	crios    = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/%d.0.7444.77 Mobile/15E148 Safari/604.1"
	droidFox = "Mozilla/5.0 (Android 15; Mobile; rv:%[1]d.0) Gecko/%[1]d.0 Firefox/%[1]d.0"

	home, homeV6 = "192.0.2.7", "2001:db8:1::7"
	lte, lteV6   = "198.51.100.20", "2001:db8:2::9"
	proxy        = "203.0.113.5"
)

// What happens to honest people in a day, one after the other in one session: it
// signs nobody out, asks nobody to prove anything, and is not suspicious.
func TestWhatHonestPeopleDoIsNotSuspicious(t *testing.T) {
	with := func(language string, c session.Client) session.Client { c.Language = language; return c }
	for name, day := range map[string][]session.Client{
		"Chrome updates":           {from(fmt.Sprintf(chrome, 141), home), from(fmt.Sprintf(chrome, 142), home), from(fmt.Sprintf(chrome, 144), home)},
		"Edge updates":             {from(fmt.Sprintf(edge, 141), home), from(fmt.Sprintf(edge, 142), home)},
		"Firefox updates":          {from(fmt.Sprintf(gecko, 128), home), from(fmt.Sprintf(gecko, 140), home), from(fmt.Sprintf(gecko, 145), home)},
		"Safari updates":           {from(fmt.Sprintf(safari, "18.6"), home), from(fmt.Sprintf(safari, "26.0"), home), from(fmt.Sprintf(safari, "26.1"), home)},
		"Chrome on Android":        {from(fmt.Sprintf(android, 141), home), from(fmt.Sprintf(android, 142), home)},
		"Samsung Internet updates": {from(fmt.Sprintf(samsung, 28), home), from(fmt.Sprintf(samsung, 29), home)},
		"Firefox on Android":       {from(fmt.Sprintf(droidFox, 143), home), from(fmt.Sprintf(droidFox, 145), home)},
		"Chrome on an iPhone":      {from(fmt.Sprintf(crios, 141), home), from(fmt.Sprintf(crios, 142), home)},
		"iOS updates":              {from(fmt.Sprintf(iphone, "18_6", "18.6"), home), from(fmt.Sprintf(iphone, "18_7", "26.0"), home)},
		"a phone leaves the house": {from(fmt.Sprintf(iphone, "18_7", "26.0"), home), from(fmt.Sprintf(iphone, "18_7", "26.0"), lteV6), from(fmt.Sprintf(iphone, "18_7", "26.0"), lte)},
		"a phone at the edge of the Wi-Fi": slices.Repeat([]session.Client{
			from(fmt.Sprintf(android, 142), home), from(fmt.Sprintf(android, 142), lteV6),
		}, 10),
		"IPv4 and IPv6 in turn":        slices.Repeat([]session.Client{from(fmt.Sprintf(gecko, 145), home), from(fmt.Sprintf(gecko, 145), homeV6)}, 10),
		"another proxy":                {from(fmt.Sprintf(edge, 142), home), from(fmt.Sprintf(edge, 142), proxy), from(fmt.Sprintf(edge, 142), "203.0.112.9")},
		"a pool of proxies":            {from(fmt.Sprintf(edge, 142), "203.0.1.1"), from(fmt.Sprintf(edge, 142), "203.0.2.1"), from(fmt.Sprintf(edge, 142), "203.0.3.1"), from(fmt.Sprintf(edge, 142), "203.0.4.1"), from(fmt.Sprintf(edge, 142), "203.0.5.1")},
		"an iPad asks for the desktop": {from(ipad, home), from(fmt.Sprintf(safari, "17.6"), home), from(ipad, lteV6), from(fmt.Sprintf(safari, "17.6"), home)},
		"a phone asks for the desktop": {from(fmt.Sprintf(android, 142), home), from(strings.ReplaceAll(fmt.Sprintf(chrome, 142), "Windows NT 10.0; Win64; x64", "X11; Linux x86_64"), lteV6)},
		"another language, an update and a move": {
			from(fmt.Sprintf(gecko, 144), home), with("de-CH,de;q=0.9", from(fmt.Sprintf(gecko, 145), lte)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			m := open(t, memstore.New(), people, session.Config{Now: now.Now})
			c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Client: day[0]})
			if err != nil {
				t.Fatal(err)
			}
			for _, client := range day {
				now.Add(70 * time.Second)
				if _, err := m.Authenticate(t.Context(), token, client); err != nil {
					t.Fatalf("%+v: %v", client, err)
				}
				if err := m.Require(t.Context(), token, assurance.Required{MaxAge: 24 * time.Hour}); err != nil {
					t.Fatalf("%+v: %v", client, err)
				}
				info, err := m.SecurityInfo(t.Context(), c.Session.ID, client)
				if err != nil || info.IsSuspicious || info.Answer != suspicion.None {
					t.Errorf("%+v: %+v, %v", client, info.Verdict, err)
				}
			}
		})
	}
}

// heardEvents keeps what an auditor is told of one kind.
type heardEvents struct {
	action string
	events []session.AuditEvent
}

func (h *heardEvents) Audit(_ context.Context, e session.AuditEvent) {
	if e.Action == h.action {
		h.events = append(h.events, e)
	}
}

// A stolen cookie in another browser elsewhere: the session loses its recent
// authentication and lives; the security information, the list of sessions and the
// audit say the same of it, and a restart or another node does too.
func TestAStolenCookieIsNoticedAndExplainedAlikeEverywhere(t *testing.T) {
	now, heard, store := newClock(), &heardEvents{action: "noticed"}, memstore.New()
	key := session.Security{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}}
	m := open(t, store, people, session.Config{Now: now.Now, Audit: heard, Security: key})
	c, token := signIn(t, m, "1")
	now.Add(time.Minute)
	thief := session.Client{UserAgent: fmt.Sprintf(chrome, 142), IPAddress: proxy, Language: "ru"}
	if _, err := m.Authenticate(t.Context(), token, thief); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*session.Manager{"here": m, "on another node": open(t, store, people, session.Config{Now: now.Now, Security: key})} {
		if _, err := m.Authenticate(t.Context(), token, firefox); err != nil { // the person's own
			t.Errorf("%s: %v", name, err)
		}
		if err := m.Require(t.Context(), token, assurance.Required{MaxAge: 24 * time.Hour}); !lacks(err, assurance.TooOld) {
			t.Errorf("%s: what was proved counts: %v", name, err)
		}
		const why = "user_agent_changed 40, platform_changed 25, language_changed 10, network_changed 10, score 85: step_up"
		info, err := m.SecurityInfo(t.Context(), c.Session.ID, firefox)
		if err != nil || info.Explanation != why || !info.IsSuspicious {
			t.Errorf("%s: %+v, %v", name, info.Verdict, err)
		}
		list, err := m.List(t.Context(), "1")
		if err != nil || len(list) != 1 || list[0].Security.Explanation != why {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
		if len(heard.events) != 1 || heard.events[0].Reason != why || heard.events[0].Client != thief || heard.events[0].By != session.System || heard.events[0].Session != c.Session.ID {
			t.Errorf("%s: %+v", name, heard.events)
		}
	}
	r, err := store.Get(t.Context(), c.Session.ID)
	if err != nil || strings.Contains(r.Signals, proxy) || strings.Contains(r.Signals, "Chrome") {
		t.Errorf("kept as %q, %v", r.Signals, err)
	}
}

// Nothing is noticed of who does not hold the token: a handle is public.
func TestAWrongSecretMakesNothingSuspicious(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	wrong, err := session.ParseToken(c.Session.ID.String() + "." + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := m.Authenticate(t.Context(), wrong, session.Client{UserAgent: "curl/8", IPAddress: proxy}); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if info, err := m.SecurityInfo(t.Context(), c.Session.ID, firefox); err != nil || info.Score != 0 {
		t.Errorf("%+v, %v", info.Verdict, err)
	}
}

// What is done at which score is the operator's to say; by default nothing ends.
func TestTheAnswersOfThePolicy(t *testing.T) {
	thief := session.Client{UserAgent: "curl/8", IPAddress: proxy, Language: ""}
	for name, test := range map[string]struct {
		policy  suspicion.Policy
		answer  suspicion.Answer
		ends    bool
		stepsUp bool
	}{
		"by default":          {suspicion.Policy{}, suspicion.StepUp, false, true},
		"note only":           {suspicion.Policy{StepUpScore: suspicion.Ignore}, suspicion.Note, false, false},
		"nothing":             {suspicion.Policy{NoteScore: suspicion.Ignore, StepUpScore: suspicion.Ignore}, suspicion.None, false, false},
		"the end":             {suspicion.Policy{EndScore: 85}, suspicion.End, true, true},
		"one more for an end": {suspicion.Policy{EndScore: 86}, suspicion.StepUp, false, true},
		"no weight":           {suspicion.Policy{EndScore: 50, Weights: suspicion.Weights{suspicion.UserAgentChanged: suspicion.Ignore}}, suspicion.None, false, false},
		"a heavier weight":    {suspicion.Policy{EndScore: 100, Weights: suspicion.Weights{suspicion.NetworkChanged: 60}}, suspicion.End, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			heard, ended, store := &heardEvents{action: "noticed"}, &heardEvents{action: "ended"}, memstore.New()
			m := open(t, store, people, session.Config{Audit: both{heard, ended}, Security: session.Security{Suspicion: test.policy}})
			c, token := signIn(t, m, "1")
			_, err := m.Authenticate(t.Context(), token, thief)
			reason, over := session.Ended(err)
			if over != test.ends || test.ends && reason != session.RevokedByAdmin {
				t.Errorf("%v", err)
			}
			r, err := store.Get(t.Context(), c.Session.ID)
			if err != nil || r.Proof.At.IsZero() != test.stepsUp || r.EndedAt.IsZero() == test.ends || test.ends && r.EndedBy != session.System {
				t.Errorf("stored %+v, %v", r, err)
			}
			if len(heard.events) != 1 || !strings.HasSuffix(string(heard.events[0].Reason), ": "+test.answer.String()) {
				t.Errorf("audited %+v", heard.events)
			}
			if len(ended.events) != 0 != test.ends {
				t.Errorf("ended: %+v", ended.events)
			}
		})
	}
}

type both [2]session.Auditor

func (b both) Audit(ctx context.Context, e session.AuditEvent) {
	b[0].Audit(ctx, e)
	b[1].Audit(ctx, e)
}

// Two networks in turn, within minutes, are a signal; a move is none, nor are moves
// over hours.
func TestTwoPlacesAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		apart  time.Duration
		visits int
		want   bool
	}{
		"there and back":              {time.Minute, 3, false},
		"there, back and there again": {time.Minute, 4, true},
		"the same over hours":         {time.Hour, 20, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := newClock()
			m := open(t, memstore.New(), people, session.Config{Now: now.Now})
			c, token := signIn(t, m, "1")
			for i := range test.visits {
				now.Add(test.apart)
				client := firefox
				if i%2 == 0 {
					client.IPAddress = lte
				}
				if _, err := m.Authenticate(t.Context(), token, client); err != nil {
					t.Fatal(err)
				}
			}
			info, err := m.SecurityInfo(t.Context(), c.Session.ID, firefox)
			if got := slices.Contains(info.Signals, "two_places"); err != nil || got != test.want {
				t.Errorf("%+v, %v", info.Verdict, err)
			}
		})
	}
}

func TestRefusalsInABurstAreASignal(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	c, _ := signIn(t, m, "1")
	failures := func() bool {
		info, err := m.SecurityInfo(t.Context(), c.Session.ID, firefox)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(info.Signals, "many_failures")
	}
	for range 100 { // one in a minute
		now.Add(time.Minute)
		m.Refused(t.Context(), c.Session.ID)
	}
	if failures() {
		t.Error("a refusal now and then")
	}
	now.Add(time.Hour)
	for range 9 {
		m.Refused(t.Context(), c.Session.ID)
	}
	if failures() {
		t.Error("nine")
	}
	if m.Refused(t.Context(), c.Session.ID); !failures() {
		t.Error("ten are no signal")
	}
}

// What is remarkable costs a look at the store once in a minute, and a write when
// there is news; what is not, none at all, and no allocation.
func TestNoticingCostsNextToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memstore.New()}
		m := open(t, store, people, session.Config{Features: session.Features{NoBackgroundCleanup: true}})
		_, token := signIn(t, m, "1")
		synctest.Wait()
		visit := func(client session.Client) (version uint64, reads int64) {
			t.Helper()
			before := store.reads.Load()
			for range 100 {
				c, err := m.Authenticate(t.Context(), token, client)
				if err != nil {
					t.Fatal(err)
				}
				version = c.Session.Version
			}
			return version, store.reads.Load() - before
		}
		elsewhere := firefox
		elsewhere.IPAddress = lte
		for _, step := range []struct {
			what    string
			after   time.Duration
			client  session.Client
			version uint64
			reads   int64
		}{
			{"the first read", 0, firefox, 1, 1},
			{"unremarkable", 0, firefox, 1, 0},
			{"elsewhere", 0, elsewhere, 2, 1},
			{"still elsewhere", 0, elsewhere, 2, 0},
			{"back in the same minute", 0, firefox, 2, 0},
			{"elsewhere in the next minute", time.Minute, elsewhere, 2, 0},
			{"back again", 0, firefox, 2, 1},
			{"elsewhere again", 0, elsewhere, 2, 1},
			{"back for good", time.Minute, firefox, 3, 1}, // two networks in turn
			{"at home", 10 * time.Minute, firefox, 3, 0},
		} {
			time.Sleep(step.after)
			if version, reads := visit(step.client); version != step.version || reads != step.reads {
				t.Errorf("%s: version %d after %d reads, want %d after %d", step.what, version, reads, step.version, step.reads)
			}
		}
		if n := testing.AllocsPerRun(100, func() { m.Authenticate(t.Context(), token, firefox) }); n != 0 {
			t.Errorf("%v allocations for a request that is not remarkable", n)
		}
	})
}

// Detection is no reason to refuse anybody: what cannot be kept is logged, and
// noticed again.
func TestAStoreThatCannotKeepWhatWasNoticedRefusesNobody(t *testing.T) {
	now, logged := newClock(), &bytes.Buffer{}
	store := &forgetful{Store: memstore.New(), err: errors.New("disk full")}
	m := open(t, store, people, session.Config{Now: now.Now, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	_, token := signIn(t, m, "1")
	curl := session.Client{UserAgent: "curl/8", IPAddress: proxy}
	if _, err := m.Authenticate(t.Context(), token, curl); err != nil {
		t.Error(err)
	}
	if !strings.Contains(logged.String(), "cannot keep what was noticed") || !strings.Contains(logged.String(), "disk full") {
		t.Errorf("logged %s", logged)
	}
	store.err = nil
	now.Add(time.Minute)
	if c, err := m.Authenticate(t.Context(), token, curl); err != nil || c.Session.Version != 2 {
		t.Errorf("version %d, %v", c.Session.Version, err)
	}
}

type forgetful struct {
	session.Store
	err error
}

func (s *forgetful) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	if s.err != nil {
		return session.Record{}, s.err
	}
	return s.Store.Suspect(ctx, id, version, noticed)
}
