package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/memstore"
)

// lacks reports whether err refuses for that reason.
func lacks(err error, reason string) bool {
	var e *assurance.Error
	return errors.As(err, &e) && e.Reason == reason
}

var (
	recent = assurance.Required{MaxAge: 10 * time.Minute}
	strong = assurance.Required{Level: assurance.TwoFactors}
)

func TestAProofIsRecentToTheInstant(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	c, token := signIn(t, m, "1")
	require := func(want string) {
		t.Helper()
		if err := m.Require(t.Context(), token, recent); want == "" && err != nil || want != "" && !lacks(err, want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	now.Add(recent.MaxAge - time.Microsecond)
	require("")
	now.Add(time.Microsecond)
	require(assurance.TooOld)
	if _, err := m.Touch(t.Context(), c); err != nil { // activity proves nothing
		t.Fatal(err)
	}
	if _, err := m.Refresh(t.Context(), c); err != nil { // nor does staying signed in
		t.Fatal(err)
	}
	var err error
	if _, token, err = m.Rotate(t.Context(), token); err != nil { // nor a new token
		t.Fatal(err)
	}
	require(assurance.TooOld)
	now.Add(time.Hour)
	proved := now.Now()
	stepped, fresh, err := m.StepUp(t.Context(), token, "1", 0, firefox)
	if !errors.Is(err, nil) {
		t.Fatal(err)
	}
	if stepped.Session.ID != c.Session.ID || stepped.Session.PlatformID != c.Session.PlatformID || stepped.Session.CreatedAt != c.Session.CreatedAt || stepped.Deadlines().Absolute != c.Deadlines().Absolute {
		t.Errorf("%+v, was %+v", stepped.Session, c.Session)
	}
	token = fresh
	require("")
	now.Add(proved.Add(recent.MaxAge).Sub(now.Now()) - time.Microsecond)
	require("")
	now.Add(time.Microsecond)
	require(assurance.TooOld)
}

func TestALevelIsProvedByStepUpAndNotTakenAwayByALowerOne(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	_, token := signIn(t, m, "1")
	if err := m.Require(t.Context(), token, assurance.Required{Level: assurance.OneFactor}); err != nil {
		t.Errorf("a sign-in is one factor at least: %v", err)
	}
	if err := m.Require(t.Context(), token, strong); !lacks(err, assurance.LevelTooLow) {
		t.Errorf("after a password: %v", err)
	}
	for _, level := range []session.Level{assurance.TwoFactors, assurance.OneFactor} {
		now.Add(time.Hour)
		var err error
		if _, token, err = m.StepUp(t.Context(), token, "1", level, firefox); err != nil {
			t.Fatal(err)
		}
		for _, need := range []assurance.Required{strong, recent, {MaxAge: time.Minute, Level: assurance.TwoFactors}} {
			if err := m.Require(t.Context(), token, need); err != nil {
				t.Errorf("after level %d: %v", level, err)
			}
		}
	}
	if err := m.Require(t.Context(), token, assurance.Required{Level: assurance.PhishingResistant}); !lacks(err, assurance.LevelTooLow) {
		t.Errorf("beyond it: %v", err)
	}
	if _, strongest, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Level: assurance.PhishingResistant}); err != nil || m.Require(t.Context(), strongest, strong) != nil {
		t.Errorf("a sign-in at a level: %v", err)
	}
}

// Requests under way during a step-up are served at the trust they were sent with,
// until the overlap after the first use of the new token; then the old one is a
// replay. Not even a further rotation lends it what was proved without it.
func TestThePreviousTokenIsAsGoodAsItWas(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	stale := func() session.Token {
		_, token := signIn(t, m, "1")
		now.Add(time.Hour)
		return token
	}
	good := func(token session.Token) {
		t.Helper()
		if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
			t.Error(err)
		}
	}
	old := stale()
	_, fresh, err := m.StepUp(t.Context(), old, "1", assurance.TwoFactors, firefox)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, token session.Token, age, level string) {
		t.Helper()
		if err := m.Require(t.Context(), token, recent); age == "" && err != nil || age != "" && !lacks(err, age) {
			t.Errorf("%s: %v, want %q", name, err, age)
		}
		if err := m.Require(t.Context(), token, strong); level == "" && err != nil || level != "" && !lacks(err, level) {
			t.Errorf("%s: %v, want %q", name, err, level)
		}
		if err := m.Require(t.Context(), token, assurance.Required{MaxAge: 100 * time.Hour}); err != nil {
			t.Errorf("%s: what it had proved counts no longer: %v", name, err)
		}
	}
	check("the new one, not used yet", fresh, "", "")
	check("the old one", old, assurance.TooOld, assurance.LevelTooLow)
	good(fresh)
	good(old)
	check("the old one, the new one being used", old, assurance.TooOld, assurance.LevelTooLow)
	check("the new one", fresh, "", "")
	now.Add(10 * time.Second)
	if err := m.Require(t.Context(), old, recent); !lacks(err, assurance.TooOld) {
		t.Errorf("after the overlap: %v", err)
	}
	_, err = m.Authenticate(t.Context(), old, firefox)
	wantEnded(t, err, session.TokenReplayed)
	if err := m.Require(t.Context(), fresh, recent); err == nil {
		t.Error("an ended session suffices")
	}

	// The answer of a step-up was lost. What comes of the old token is as it was.
	old = stale()
	if _, _, err = m.StepUp(t.Context(), old, "1", assurance.TwoFactors, firefox); err != nil {
		t.Fatal(err)
	}
	now.Add(20 * time.Second)
	_, next, err := m.Rotate(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	check("a rotation of the old one", next, assurance.TooOld, assurance.LevelTooLow)
	check("the old one beside it", old, assurance.TooOld, assurance.LevelTooLow)
	now.Add(20 * time.Second)
	_, next, err = m.StepUp(t.Context(), old, "1", assurance.OneFactor, firefox)
	if err != nil {
		t.Fatal(err)
	}
	check("a step-up of the old one", next, "", assurance.LevelTooLow)
}

// What the person proves settles what was noticed: the session counts again, the
// client that they proved it through is the one others are compared with, and the
// same signs elsewhere count anew.
func TestAStepUpSettlesWhatWasNoticed(t *testing.T) {
	now, store := newClock(), memstore.New()
	m := open(t, store, people, session.Config{Now: now.Now})
	c, token := signIn(t, m, "1")
	moved := session.Client{UserAgent: fmt.Sprintf(chrome, 142), IPAddress: proxy, Language: "ru"}
	use := func(client session.Client, want string) {
		t.Helper()
		now.Add(time.Minute)
		if _, err := m.Authenticate(t.Context(), token, client); err != nil {
			t.Fatal(err)
		}
		if err := m.Require(t.Context(), token, recent); want == "" && err != nil || want != "" && !lacks(err, want) {
			t.Errorf("%+v: %v, want %q", client, err, want)
		}
	}
	use(firefox, "")
	use(moved, assurance.TooOld)
	if err := m.Require(t.Context(), token, strong); !lacks(err, assurance.LevelTooLow) {
		t.Errorf("%v", err)
	}
	var err error
	if _, token, err = m.StepUp(t.Context(), token, "1", assurance.TwoFactors, moved); err != nil {
		t.Fatal(err)
	}
	use(moved, "")
	info, err := m.SecurityInfo(t.Context(), c.Session.ID, moved)
	if err != nil || info.Score != 0 || info.IPAddress != moved.IPAddress {
		t.Errorf("%+v, %v", info, err)
	}
	if r, err := store.Get(t.Context(), c.Session.ID); err != nil || r.Signals != "" || r.Client != moved {
		t.Errorf("%+v, %v", r, err)
	}
	use(firefox, assurance.TooOld)
}

// A sign of a thief takes away what was proved with both tokens.
func TestASuspicionTakesTheProofOfBothTokens(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	_, old := signIn(t, m, "1")
	_, fresh, err := m.Rotate(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []session.Token{old, fresh} {
		if err := m.Require(t.Context(), token, recent); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.Authenticate(t.Context(), old, session.Client{UserAgent: fmt.Sprintf(chrome, 142), IPAddress: proxy, Language: "ru"}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []session.Token{old, fresh} {
		if err := m.Require(t.Context(), token, recent); !lacks(err, assurance.TooOld) {
			t.Errorf("%v", err)
		}
	}
}

// The advisory better-auth 9132: a cache was consulted. What a node remembers says
// nothing of what was proved: each question reaches the store, and joins nobody who
// asked before.
func TestWhatWasProvedIsReadFromTheStoreEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := memstore.New()
		counting := &countingStore{Store: all}
		slow := &slowReads{Store: counting, read: make(chan struct{})}
		key := session.Security{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}}
		here := open(t, slow, people, session.Config{Security: key, Sync: session.Sync{Lease: time.Hour}})
		there := open(t, all, people, session.Config{Security: key})
		_, token := signIn(t, here, "1")
		synctest.Wait()
		for range 2 { // it is remembered
			if _, err := here.Authenticate(t.Context(), token, firefox); err != nil {
				t.Fatal(err)
			}
		}
		before := counting.reads.Load()
		for range 10 {
			if err := here.Require(t.Context(), token, recent); err != nil {
				t.Fatal(err)
			}
		}
		if n := counting.reads.Load() - before; n != 10 {
			t.Errorf("%d reads for 10 questions", n)
		}

		// A read is under way, and the lease goes on, when another node takes the proof
		// away.
		hold := slow.holdNext()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := here.Authenticate(context.Background(), token, session.Client{UserAgent: "curl/8"}); err != nil { // it has to be looked at
				t.Error(err)
			}
		})
		<-slow.read
		if _, err := there.Authenticate(t.Context(), token, session.Client{UserAgent: fmt.Sprintf(chrome, 142), IPAddress: proxy, Language: "ru"}); err != nil {
			t.Fatal(err)
		}
		if err := here.Require(t.Context(), token, recent); !lacks(err, assurance.TooOld) {
			t.Errorf("after another node took the proof away: %v", err)
		}
		close(hold)
		wg.Wait()
	})
}

func TestOnlyTheRightPersonAndTokenStepASessionUp(t *testing.T) {
	now, store := newClock(), memstore.New()
	heard := &heardEvents{action: "reauthenticated"}
	m := open(t, store, people, session.Config{Now: now.Now, Audit: heard})
	c, token := signIn(t, m, "1")
	_, foreign := signIn(t, m, "1")
	forged := session.Token{}
	before, err := store.Get(t.Context(), c.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token session.Token
		user  session.UserID
		want  error
	}{
		"another person's proof": {token, "2", session.ErrConflict},
		"nobody's proof":         {token, "", session.ErrConflict},
		"no token":               {forged, "1", session.ErrNotFound},
	} {
		if _, made, err := m.StepUp(t.Context(), test.token, test.user, 0, firefox); !errors.Is(err, test.want) || made != (session.Token{}) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if err := m.Require(t.Context(), forged, assurance.Required{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("no token suffices: %v", err)
	}
	if after, err := store.Get(t.Context(), c.Session.ID); err != nil || after != before || len(heard.events) != 0 {
		t.Errorf("stored\n%+v, was\n%+v; %v; audited %+v", after, before, err, heard.events)
	}
	if _, _, err := m.StepUp(t.Context(), foreign, "1", 0, firefox); err != nil { // of its own session alone
		t.Fatal(err)
	}
	if after, err := store.Get(t.Context(), c.Session.ID); err != nil || after.Version != before.Version || len(heard.events) != 1 || heard.events[0].By != "1" {
		t.Errorf("stored\n%+v, was\n%+v; %v; audited %+v", after, before, err, heard.events)
	}
	if err := m.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	_, _, err = m.StepUp(t.Context(), token, "1", 0, firefox)
	wantEnded(t, err, session.SignedOut)
	wantEnded(t, m.Require(t.Context(), token, recent), session.SignedOut)
}

// Lesson 39: signing in again to confirm left phantom sessions. Of many step-ups at
// once one wins, beside an end none does, and there is never another session.
func TestLesson39_AStepUpMakesNoSession(t *testing.T) {
	store := memstore.New()
	m := open(t, store, people, session.Config{})
	for range 20 {
		c, token := signIn(t, m, "3")
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 8 {
			wg.Go(func() {
				_, made, err := m.StepUp(context.Background(), token, "3", 0, firefox)
				_, ended := session.Ended(err)
				if err != nil && !ended && !errors.Is(err, session.ErrConflict) || (err == nil) != (made != session.Token{}) {
					t.Errorf("%v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				}
			})
			if i == 4 {
				wg.Go(func() {
					if err := m.Revoke(context.Background(), c.Session.ID, session.SignedOut, "3"); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		if live, err := m.List(t.Context(), "3"); err != nil || won > 1 || len(live) != 0 {
			t.Fatalf("%d step-ups won, %d sessions live; %v", won, len(live), err)
		}
		wantEnded(t, m.Require(t.Context(), token, assurance.Required{}), session.SignedOut)
	}
}

// changedFirst changes the session, each time something noticed is to be kept of it,
// just before.
type changedFirst struct {
	session.Store
	times int
}

func (s *changedFirst) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	if s.times--; s.times >= 0 {
		if _, _, err := s.SwitchPlatform(ctx, id, session.PlatformID(fmt.Sprint("moved ", s.times)), time.Now(), 0); err != nil {
			return session.Record{}, err
		}
	}
	return s.Store.Suspect(ctx, id, version, noticed)
}

// A change of the session at the same moment must not let through what a thief's
// request asks for: what was noticed holds for what the session has become.
func TestWhatIsNoticedIsNotLostToAChangeAtTheSameMoment(t *testing.T) {
	for _, lease := range []time.Duration{0, session.NoLease} {
		m := open(t, &changedFirst{memstore.New(), 3}, nil, session.Config{Sync: session.Sync{Lease: lease}})
		_, token := signIn(t, m, "1")
		if _, err := m.Authenticate(t.Context(), token, session.Client{UserAgent: fmt.Sprintf(chrome, 142), IPAddress: proxy, Language: "ru"}); err != nil {
			t.Fatal(err)
		}
		if err := m.Require(t.Context(), token, recent); !lacks(err, assurance.TooOld) {
			t.Errorf("lease %v: what was proved still counts: %v", lease, err)
		}
	}
}
