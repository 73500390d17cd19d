package pgstore_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
)

// Two nodes whose clocks are ten minutes apart hold a session of three minutes
// against one time, that of the database.
func TestNodesWhoseClocksDifferEndNothingEarly(t *testing.T) {
	url := testservers.PostgreSQL(t)
	node := func(skew time.Duration) *session.Manager {
		m, err := session.New(open(t, url, pgstore.Config{}), nil, session.Config{
			Now:     func() time.Time { return time.Now().Add(skew) },
			Timeout: session.Timeout{IdleTimeout: 3 * time.Minute, ActivityWriteInterval: time.Second, WarningThreshold: time.Minute},
			Logger:  slog.New(slog.DiscardHandler),
			Sync:    session.Sync{HeartbeatInterval: time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		for patience := time.Now().Add(20 * time.Second); time.Until(m.Now()).Abs() > 2*time.Second; time.Sleep(time.Millisecond) {
			if time.Now().After(patience) {
				t.Fatalf("a node that is off by %v never hears the time", skew)
			}
		}
		return m
	}
	ahead, behind := node(5*time.Minute), node(-5*time.Minute)
	for _, nodes := range [][2]*session.Manager{{ahead, behind}, {behind, ahead}} {
		c, token, err := nodes[0].Create(t.Context(), session.CreateRequest{UserID: "alex"})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range nodes {
			seen, err := m.Authenticate(t.Context(), token, session.Client{})
			if err != nil {
				t.Fatalf("a session that has just begun: %v", err)
			}
			if left := seen.Deadlines().First().Sub(m.Now()); left < 2*time.Minute || left > 4*time.Minute {
				t.Errorf("%v are left of three minutes", left)
			}
		}
		if age := time.Since(c.Session.CreatedAt).Abs(); age > 2*time.Second {
			t.Errorf("it began %v ago", age)
		}
		if err := nodes[0].Revoke(t.Context(), c.Session.ID, session.SignedOut, "alex"); err != nil {
			t.Fatal(err)
		}
		for ended := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			asked := time.Now()
			_, err := nodes[1].Authenticate(t.Context(), token, session.Client{})
			if _, over := session.Ended(err); over {
				break
			}
			if err != nil || asked.Sub(ended) > nodes[1].Config().Sync.Lease {
				t.Fatalf("%v after its end the other node says %v", asked.Sub(ended), err)
			}
		}
	}
}
