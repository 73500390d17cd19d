// Package bustest is what every [session.Bus] must pass. A back end's test is a
// constructor and one call of [Run], and one of [RunFaults] if there is a server
// between the nodes.
package bustest

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
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

// Nodes lets each member join the next of the buses, which lead to one another: each is
// on a node of its own.
func Nodes(buses ...session.Bus) session.Bus { return &nodes{buses: buses} }

type nodes struct {
	buses []session.Bus
	n     atomic.Uint64
}

func (i *nodes) Join(wake func()) (tell, leave func()) {
	return i.buses[i.n.Add(1)%uint64(len(i.buses))].Join(wake)
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
	here, there := manager(t, store, nil, config), manager(t, store, nil, config)
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

// Faults are what a test can do to the server between two nodes, each with a bus of
// its own.
type Faults struct {
	Here, There session.Bus
	// Cut ends all connections to the server, and refuses new ones until Heal. What is
	// told meanwhile is lost.
	Cut, Heal func()
	// Repeat sends a message to all who listen, again and again, as a server does that
	// delivers twice, or somebody who does harm.
	Repeat func(times int)
}

// RunFaults checks a bus that goes through a server, of which open makes two members
// that a test can disturb.
func RunFaults(t *testing.T, open func(t *testing.T) Faults) {
	t.Run("makes up for what was lost with the connection", func(t *testing.T) { makesUp(t, open(t)) })
	t.Run("never blocks who tells while the server is away", func(t *testing.T) { neverBlocks(t, open(t)) })
	t.Run("carries a change once, however often it is told", func(t *testing.T) { onlyWakes(t, open(t)) })
	t.Run("carries the last of many changes between which the connection breaks", func(t *testing.T) { outlivesCuts(t, open(t)) })
}

func makesUp(t *testing.T, f Faults) {
	here, there := join(f.Here), join(f.There)
	defer here.leave()
	defer there.leave()
	here.tell()
	there.awaitWake(t)
	f.Cut()
	here.tell()
	f.Heal()
	there.awaitWake(t) // for what it may have missed
	here.awaitWake(t)  // it too
	settle(here, there)
	here.tell()
	there.awaitWake(t)
}

// settle waits until both hear each other, and of nothing else.
func settle(members ...*member) {
	for quiet := time.Second; ; {
		timer := time.NewTimer(quiet)
		select {
		case <-members[0].woken:
		case <-members[1].woken:
		case <-timer.C:
			return
		}
		timer.Stop()
	}
}

func neverBlocks(t *testing.T, f Faults) {
	here := join(f.Here)
	defer here.leave()
	f.Cut()
	defer f.Heal()
	told := make(chan struct{})
	go func() {
		defer close(told)
		for range 1000 {
			here.tell()
		}
	}()
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("tell blocks")
	}
}

// follow begins a session at one of two managers and follows it at the other.
func follow(t *testing.T, ctx context.Context, f Faults) (here *session.Manager, id session.ID, events *session.Subscription) {
	t.Helper()
	store := memstore.New()
	config := session.Config{Sync: session.Sync{Lease: time.Hour}, Security: session.Security{NoAuditLogging: true}, Logger: slog.New(slog.DiscardHandler)}
	at := func(b session.Bus) *session.Manager {
		config.Bus = b
		return manager(t, store, platforms, config)
	}
	here, there := at(f.Here), at(f.There)
	c, _, err := here.Create(ctx, session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if events, err = there.Subscribe(ctx, c.Session.ID, session.Stamp{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Close)
	if e, err := events.Next(ctx); err != nil || e.Kind != session.StateChanged {
		t.Fatalf("first event %q, %v", e.Kind, err)
	}
	return here, c.Session.ID, events
}

var platforms = session.StaticDirectory{{
	User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "1", Name: "one", IsDefault: true}, {ID: "2", Name: "two"}},
}}

func onlyWakes(t *testing.T, f Faults) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	here, id, events := follow(t, ctx, f)
	f.Repeat(100)
	if _, err := here.SwitchPlatform(ctx, id, "2"); err != nil {
		t.Fatal(err)
	}
	f.Repeat(100)
	if e, err := events.Next(ctx); err != nil || e.Kind != session.PlatformSwitched {
		t.Errorf("the event is %q, %v", e.Kind, err)
	}
	f.Repeat(100)
	if err := here.Revoke(ctx, id, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	if e, err := events.Next(ctx); err != nil || e.Kind != session.SessionEnded {
		t.Errorf("the next event is %q, %v", e.Kind, err)
	}
}

func outlivesCuts(t *testing.T, f Faults) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	here, id, events := follow(t, ctx, f)
	for i := range 21 {
		if i%7 == 3 {
			f.Cut()
		}
		if _, err := here.SwitchPlatform(ctx, id, session.PlatformID([]string{"2", "1"}[i%2])); err != nil {
			t.Fatal(err)
		}
		if i%7 == 5 {
			f.Heal()
		}
	}
	f.Cut()
	if err := here.Revoke(ctx, id, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	f.Heal()
	for {
		e, err := events.Next(ctx)
		if err != nil {
			t.Fatalf("the end was not heard: %v", err)
		}
		if e.Kind == session.SessionEnded {
			return
		}
	}
}

func manager(t *testing.T, store session.Store, people session.Directory, config session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(store, people, config)
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
