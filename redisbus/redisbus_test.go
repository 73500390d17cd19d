package redisbus_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/bustest"
	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/redisbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, address, channel string) *redisbus.Bus {
	t.Helper()
	b, err := redisbus.Open(t.Context(), "redis://"+address, redisbus.Config{Channel: channel, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return b
}

func TestBus(t *testing.T) {
	address := testservers.Redis(t)
	t.Run("of one node", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus { return open(t, address, rand.Text()) })
	})
	t.Run("of three nodes", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus {
			channel := rand.Text()
			return bustest.Nodes(open(t, address, channel), open(t, address, channel), open(t, address, channel))
		})
	})
}

// operator speaks to the server itself.
func operator(t *testing.T, address string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func publish(t *testing.T, c rueidis.Client, channel string, times int) {
	t.Helper()
	for range times {
		if err := c.Do(context.WithoutCancel(t.Context()), c.B().Publish().Channel(channel).Message("again").Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// The connections of two nodes lead through a network that fails.
func TestFaults(t *testing.T) {
	bustest.RunFaults(t, func(t *testing.T) bustest.Faults {
		address, channel := testservers.Redis(t), rand.Text()
		p, server := tcpproxy.Start(t, address), operator(t, address)
		return bustest.Faults{
			Here: open(t, p.Addr, channel), There: open(t, p.Addr, channel), Cut: p.Cut, Heal: p.Heal,
			Repeat: func(times int) { publish(t, server, channel, times) },
		}
	})
}

// woken joins a bus.
func woken(b session.Bus) (wakes <-chan struct{}, tell, leave func()) {
	bell := make(chan struct{}, 1)
	tell, leave = b.Join(func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	})
	return bell, tell, leave
}

func await(t *testing.T, wakes <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-wakes:
	case <-time.After(20 * time.Second):
		t.Fatal(what)
	}
}

// The server ends connections, as one does that is overloaded, or that an operator
// looks after.
func TestKilledConnectionsAreMadeUpFor(t *testing.T) {
	address, channel := testservers.Redis(t), rand.Text()
	server := operator(t, address)
	there, _, leave := woken(open(t, address, channel))
	defer leave()
	_, tell, leave := woken(open(t, address, channel))
	defer leave()
	tell()
	await(t, there, "a message does not arrive")
	for _, kind := range []string{"pubsub", "normal"} {
		n, err := server.Do(t.Context(), server.B().Arbitrary("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes").Build()).AsInt64()
		if err != nil || n < 2 {
			t.Fatalf("%d connections (%s) were killed, %v", n, kind, err)
		}
		if kind == "pubsub" {
			await(t, there, "nobody was woken for what they may have missed")
		}
	}
	tell()
	await(t, there, "a message does not arrive when the connection is back")
}

// A network that has lost its route says nothing: that is noticed all the same.
func TestASilentNetworkIsNoticed(t *testing.T) {
	t.Parallel()
	address, channel := testservers.Redis(t), rand.Text()
	p := tcpproxy.Start(t, address)
	there, _, leave := woken(open(t, p.Addr, channel))
	defer leave()
	publish(t, operator(t, address), channel, 1)
	await(t, there, "a message does not arrive")
	until(t, func() bool { return p.Accepted() == 2 }) // one that listens and one that tells
	p.Swallow()
	until(t, func() bool { return p.Accepted() > 2 })
	p.Heal()
	await(t, there, "nobody was woken for what they may have missed")
}

// A bus is needed for nothing but speed: it opens while its server is away, and is
// there when that is.
func TestAServerMayComeLater(t *testing.T) {
	address, channel := testservers.Redis(t), rand.Text()
	p := tcpproxy.Start(t, address)
	p.Cut()
	there, _, leave := woken(open(t, p.Addr, channel))
	defer leave()
	if err := redisbus.Check(t.Context(), "redis://"+p.Addr, redisbus.Config{}); err == nil {
		t.Error("a server that is away is well")
	}
	p.Heal()
	await(t, there, "nobody was woken for what they may have missed")
	if err := redisbus.Check(t.Context(), "redis://"+p.Addr, redisbus.Config{}); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatIsNoneIsAnErrorAndTellsNoPassword(t *testing.T) {
	for _, address := range []string{"http://127.0.0.1", "redis://alex:s3cret@127.0.0.1:x", "127.0.0.1"} {
		b, err := redisbus.Open(t.Context(), address, redisbus.Config{})
		if err == nil {
			t.Error("opened", b.Close())
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	}
	if err := redisbus.Check(t.Context(), "redis://alex:s3cret@127.0.0.1:1", redisbus.Config{}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for patience := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("it does not become so")
		}
	}
}

// What goes over the wire is a name that was made up, and nothing of a session.
func TestMessagesHoldNothing(t *testing.T) {
	address, channel := testservers.Redis(t), rand.Text()
	server := operator(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := make(chan string, 100)
	listening := make(chan struct{})
	ctx = rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) { close(listening) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Receive(ctx, server.B().Subscribe().Channel(channel).Build(), func(m rueidis.PubSubMessage) { said <- m.Message })
	}()
	<-listening
	_, tell, leave := woken(open(t, address, channel))
	defer leave()
	proof := <-said // that it hears itself
	tell()
	if name := <-said; proof != "proof "+name || len(name) != 26 {
		t.Errorf("told %q and %q", proof, name)
	}
	cancel()
	<-ended
}
