// Package bustest is what every [session.Bus] must pass. A back end's test is a
// constructor and one call of [Run].
package bustest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// patience is how long a hint may take before a test gives it up for lost.
const patience = 10 * time.Second

// Run checks the bus that open makes. Members join the same bus.
func Run(t *testing.T, open func(t *testing.T) session.Bus) {
	t.Run("wakes every other member and not the one who tells", func(t *testing.T) { wakesOthers(t, open(t)) })
	t.Run("wakes nobody who has left", func(t *testing.T) { wakesNobodyWhoLeft(t, open(t)) })
	t.Run("is safe for concurrent use", func(t *testing.T) { isSafe(t, open(t)) })
	t.Run("carries a change to another manager at once", func(t *testing.T) { carriesChanges(t, open(t)) })
}

// member counts its wakes without ever blocking the bus.
type member struct {
	woken       chan struct{}
	tell, leave func()
}

func join(b session.Bus) *member {
	m := &member{woken: make(chan struct{}, 1)}
	m.tell, m.leave = b.Join(func() {
		select {
		case m.woken <- struct{}{}:
		default:
		}
	})
	return m
}

func (m *member) awaitWake(t *testing.T) {
	t.Helper()
	select {
	case <-m.woken:
	case <-time.After(patience):
		t.Fatal("not woken")
	}
}

func wakesOthers(t *testing.T, b session.Bus) {
	one, two, three := join(b), join(b), join(b)
	defer one.leave()
	defer two.leave()
	defer three.leave()
	one.tell()
	two.awaitWake(t)
	three.awaitWake(t)
	two.tell()
	one.awaitWake(t) // by two: had one woken itself, the next line would see it
	select {
	case <-one.woken:
		t.Error("the member who told was woken")
	default:
	}
}

func wakesNobodyWhoLeft(t *testing.T, b session.Bus) {
	one, two, three := join(b), join(b), join(b)
	defer one.leave()
	defer three.leave()
	two.leave()
	two.leave() // twice does no harm
	one.tell()
	three.awaitWake(t)
	select {
	case <-two.woken:
		t.Error("a member was woken after it had left")
	default:
	}
}

func isSafe(t *testing.T, b session.Bus) {
	watcher := join(b)
	defer watcher.leave()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				m := join(b)
				m.tell()
				m.leave()
			}
		})
	}
	wg.Wait()
	watcher.awaitWake(t)
}

// carriesChanges uses the bus as managers do. The lease is so long that only the
// bus can explain what is heard.
func carriesChanges(t *testing.T, b session.Bus) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	store := memstore.New()
	config := session.Config{Bus: b, Sync: session.Sync{Lease: time.Hour}, Security: session.Security{NoAuditLogging: true}}
	here, there := manager(t, store, config), manager(t, store, config)
	c, _, err := here.Create(ctx, session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := there.Subscribe(ctx, c.Session.ID, session.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if e, err := s.Next(ctx); err != nil || e.Kind != session.StateChanged {
		t.Fatalf("first event %q, %v", e.Kind, err)
	}
	if err := here.Revoke(ctx, c.Session.ID, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	for {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("the end was not heard: %v", err)
		}
		if e.Kind == session.SessionEnded {
			return
		}
	}
}

func manager(t *testing.T, store session.Store, config session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(store, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}
