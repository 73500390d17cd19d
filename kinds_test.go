package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/memstore"
)

// ownLimits is a configuration with clocks to tighten.
var ownLimits = session.Config{Timeout: session.Timeout{
	IdleTimeout: 10 * time.Minute, ActivityWriteInterval: time.Minute, SessionLifetime: time.Hour, AbsoluteTimeout: 2 * time.Hour,
}, Features: session.Features{NoBackgroundCleanup: true}}

// A session's own limits tighten the configured clocks and never loosen them: to the
// instant, from a snapshot and from the store, on every node, and by the sweep.
func TestASessionsOwnLimitsEndItToTheInstant(t *testing.T) {
	for _, test := range []struct {
		idle, lasts time.Duration // the limits; zero: none
		acts        bool          // once a minute
		reason      session.Reason
		after       time.Duration // of the sign-in
	}{
		{0, 0, false, session.IdleTimeout, 11 * time.Minute},
		{3 * time.Minute, 0, false, session.IdleTimeout, 4 * time.Minute},
		{3 * time.Minute, 0, true, session.LifetimeOver, time.Hour},
		{20 * time.Minute, 0, false, session.IdleTimeout, 11 * time.Minute},
		{0, 7*time.Minute + time.Microsecond, false, session.AbsoluteTimeout, 7*time.Minute + time.Microsecond},
		{0, 7*time.Minute + time.Microsecond, true, session.AbsoluteTimeout, 7*time.Minute + time.Microsecond},
		{0, 30 * time.Hour, false, session.IdleTimeout, 11 * time.Minute},
		{0, 30 * time.Hour, true, session.LifetimeOver, time.Hour},
		{time.Minute, 40 * time.Minute, false, session.IdleTimeout, 2 * time.Minute},
		{time.Minute, 40 * time.Minute, true, session.AbsoluteTimeout, 40 * time.Minute},
	} {
		for _, lease := range []time.Duration{0, session.NoLease} {
			t.Run(fmt.Sprintf("%v %v acts %t lease %v", test.idle, test.lasts, test.acts, lease), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, config := memstore.New(), ownLimits
					config.Sync.Lease = lease
					here, there := open(t, store, people, config), open(t, store, people, config)
					limits := session.Limits{Idle: test.idle}
					if test.lasts > 0 {
						limits.Until = time.Now().Add(test.lasts).UTC()
					}
					c, token, err := here.Create(t.Context(), session.CreateRequest{UserID: "1", Client: firefox, Limits: limits})
					if err != nil {
						t.Fatal(err)
					}
					end := c.Session.CreatedAt.Add(test.after)
					for test.acts && time.Until(end) > time.Minute {
						time.Sleep(time.Minute)
						touch(t, here, c)
					}
					time.Sleep(time.Until(end) - time.Microsecond)
					for name, m := range map[string]*session.Manager{"here": here, "there": there} {
						if n, err := m.EnforceTimeouts(t.Context()); n != 0 || err != nil {
							t.Errorf("%s, at the last instant: the sweep ended %d, %v", name, n, err)
						}
						c, err := m.Authenticate(t.Context(), token, firefox)
						if err != nil || c.Session.Limits != limits || !c.Deadlines().First().Equal(end) {
							t.Errorf("%s, at the last instant: %+v until %v, %v", name, c.Session.Limits, c.Deadlines().First(), err)
						}
					}
					time.Sleep(time.Microsecond)
					_, err = here.Authenticate(t.Context(), token, firefox)
					wantEnded(t, err, test.reason)
					if n, err := there.EnforceTimeouts(t.Context()); n != 1 || err != nil {
						t.Errorf("the sweep ended %d, %v", n, err)
					}
				})
			})
		}
	}
}

// An end of its own that is over already leaves nothing that could be used.
func TestASessionOfThePastIsNotBegun(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Now: newClock().Now})
	for _, until := range []time.Time{m.Now(), m.Now().Add(-time.Hour)} {
		c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Limits: session.Limits{Until: until}})
		wantEnded(t, err, session.AbsoluteTimeout)
		if c.SignedIn() {
			t.Errorf("%+v", c.Session)
		}
		_, err = m.Authenticate(t.Context(), token, session.Client{})
		wantEnded(t, err, session.AbsoluteTimeout)
	}
}

// Whether the cookie outlives the browser is the session's own, through rotations.
func TestWhoIsNotRememberedStaysSo(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	for _, unremembered := range []bool{false, true} {
		c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Unremembered: unremembered})
		if err != nil || c.Session.Persistent == unremembered {
			t.Fatalf("%+v, %v", c.Session, err)
		}
		if c, _, err = m.Rotate(t.Context(), token); err != nil || c.Session.Persistent == unremembered {
			t.Errorf("rotated: %+v, %v", c.Session, err)
		}
	}
}

// act has the first user act as the second, in a session of their own.
func act(t *testing.T, m *session.Manager, operator, as session.UserID) (own, acting session.Context, token session.Token) {
	t.Helper()
	own, _ = signIn(t, m, operator)
	acting, token, err := m.Create(t.Context(), session.CreateRequest{UserID: as, Client: firefox, Impersonator: operator, ImpersonatedFrom: own.Session.ID})
	if err != nil {
		t.Fatal(err)
	}
	return own, acting, token
}

// An impersonation ends with the session that it was begun from, whatever ends that,
// on every node and in every stream; the operator's session does not end with it.
func TestAnImpersonationEndsWithTheOperatorsSession(t *testing.T) {
	type world struct {
		m, there *session.Manager
		people   *changing
		own      session.Context
	}
	config := session.Config{Timeout: session.Timeout{IdleTimeout: 20 * time.Minute, ActivityWriteInterval: time.Minute}}
	for name, test := range map[string]struct {
		do     func(*testing.T, world) error
		reason session.Reason
	}{
		"signed out": {func(t *testing.T, w world) error {
			return w.there.Revoke(t.Context(), w.own.Session.ID, session.SignedOut, "2")
		}, session.SignedOut},
		"revoked by an administrator": {func(t *testing.T, w world) error {
			_, err := w.there.RevokeUser(t.Context(), "2", session.RevokedByAdmin, "kim")
			return err
		}, session.RevokedByAdmin},
		"disabled": {func(t *testing.T, w world) error {
			w.people.set(append(people[:1:1], people[2:]...))
			return w.there.DirectoryChanged(t.Context(), "2")
		}, session.UserDisabled},
		"idle": {func(*testing.T, world) error {
			time.Sleep(21 * time.Minute)
			return nil
		}, session.IdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, directory := memstore.New(), &changing{people: people}
				w := world{m: open(t, store, directory, config), there: open(t, store, directory, config), people: directory}
				mine, _ := signIn(t, w.m, "1")
				var acting session.Context
				var token session.Token
				w.own, acting, token = act(t, w.m, "2", "1")
				follow, err := w.m.Subscribe(t.Context(), acting.Session.ID, acting.Stamp())
				if err != nil {
					t.Fatal(err)
				}
				defer follow.Close()
				told := make(chan session.Event)
				go func() {
					for {
						e, err := follow.Next(context.Background())
						if err != nil {
							t.Errorf("the stream: %v", err)
						}
						if err != nil || e.Kind == session.SessionEnded {
							told <- e
							return
						}
					}
				}()
				synctest.Wait()
				if err := test.do(t, w); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if e := <-told; e.Reason != test.reason || time.Since(began) > 3*time.Second {
					t.Errorf("the stream ended after %v: %+v", time.Since(began), e)
				}
				for _, m := range []*session.Manager{w.m, w.there} {
					_, err = m.Authenticate(t.Context(), token, firefox)
					wantEnded(t, err, test.reason)
				}
				if name != "idle" { // by which all of them are over
					if r, err := store.Get(t.Context(), acting.Session.ID); err != nil || r.EndedAt.IsZero() || r.EndedBy != session.System {
						t.Errorf("stored: %+v, %v", r.Session, err)
					}
					if _, err := w.m.Get(t.Context(), mine.Session.ID); err != nil {
						t.Errorf("the person's own: %v", err)
					}
				}
			})
		})
	}
}

// Lesson 35: nobody sees that an operator acts as them who does not any more, though
// nobody has looked at that session since.
func TestLesson35_AnImpersonationThatIsOverIsNotListed(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	own, _, _ := act(t, m, "2", "1")
	if list, err := m.List(t.Context(), "1"); err != nil || len(list) != 1 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	if err := m.Revoke(t.Context(), own.Session.ID, session.SignedOut, "2"); err != nil {
		t.Fatal(err)
	}
	if list, err := m.List(t.Context(), "1"); err != nil || len(list) != 0 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

func TestAnImpersonationEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, memstore.New(), people, session.Config{})
		own, acting, token := act(t, m, "2", "1")
		if end := acting.Deadlines().Absolute; !end.Equal(time.Now().Add(30*time.Minute)) || acting.Session.Persistent {
			t.Errorf("until %v, persistent %v", end, acting.Session.Persistent)
		}
		if err := m.Require(t.Context(), token, assurance.Required{MaxAge: time.Hour}); err == nil {
			t.Error("what the operator has proved counts for the person")
		}
		time.Sleep(30 * time.Minute)
		_, err := m.Authenticate(t.Context(), token, firefox)
		wantEnded(t, err, session.AbsoluteTimeout)
		if _, err := m.Get(t.Context(), own.Session.ID); err != nil {
			t.Errorf("the operator's own: %v", err)
		}
		next, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Impersonator: "3", ImpersonatedFrom: own.Session.ID})
		if _, ended := session.Ended(err); !ended || next.Live() {
			t.Errorf("from the session of somebody else: %v", err)
		}
	})
}

func TestWhoActsIsInTheAudit(t *testing.T) {
	var kept recorder
	m := open(t, memstore.New(), people, session.Config{Audit: &kept})
	_, c, token := act(t, m, "2", "1")
	c, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Refresh(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Rotate(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := m.Revoke(t.Context(), c.Session.ID, session.SignedOut, c.Session.Actor()); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range kept.events {
		if e.Session == c.Session.ID {
			actions = append(actions, e.Action)
			if e.User != "1" || e.By != "2" {
				t.Errorf("%s of %s by %s", e.Action, e.User, e.By)
			}
		}
	}
	if got := strings.Join(actions, " "); got != "created platform_switched refreshed rotated ended" {
		t.Error(got)
	}
}

// A guest is nobody: signed in nowhere, unknown to the directory, with a user and a
// session that nobody else ever has.
func TestAGuestIsNobody(t *testing.T) {
	store := memstore.New()
	m := open(t, store, people, session.Config{Now: newClock().Now})
	seen := map[session.UserID]bool{}
	for range 3 {
		c, token, err := m.Create(t.Context(), session.CreateRequest{Guest: true, Client: firefox})
		if err != nil || c.SignedIn() || !c.Live() || c.User() != (session.User{}) || seen[c.Session.UserID] || c.Session.Persistent {
			t.Fatalf("%+v, %v", c.Session, err)
		}
		seen[c.Session.UserID] = true
		if got := string(c.ClientView()); got != "null" {
			t.Errorf("clients see %s", got)
		}
		again, err := m.Authenticate(t.Context(), token, firefox)
		if err != nil || again.SignedIn() || again.Session.ID != c.Session.ID {
			t.Errorf("%+v, %v", again.Session, err)
		}
		if d := c.Deadlines(); d.Absolute.Sub(c.Session.CreatedAt) != 24*time.Hour || d.Idle.Sub(c.Session.CreatedAt) != 61*time.Minute {
			t.Errorf("%+v", d)
		}
		if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: c.Session.UserID}); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("signed in as a guest: %v", err)
		}
		if err := m.Require(t.Context(), token, assurance.Required{MaxAge: time.Hour}); err == nil {
			t.Error("a guest has proved something")
		}
	}
}
