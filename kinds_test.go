package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
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
