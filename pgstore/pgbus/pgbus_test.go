package pgbus_test

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/bustest"
	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore/pgbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, address string) *pgbus.Bus {
	t.Helper()
	b, err := pgbus.Open(t.Context(), address, pgbus.Config{Logger: slog.New(slog.DiscardHandler)})
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
	address := testservers.PostgreSQL(t)
	t.Run("of one node", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus { return open(t, address) })
	})
	t.Run("of three nodes", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus {
			return bustest.Nodes(open(t, address), open(t, address), open(t, address))
		})
	})
}

// A command opens a bus, tells, and ends at once: the nodes hear of it.
func TestWhoEndsAtOnceIsHeard(t *testing.T) {
	address := testservers.PostgreSQL(t)
	heard := make(chan struct{}, 1)
	_, leave := open(t, address).Join(func() {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	defer leave()
	command := open(t, address)
	tell, gone := command.Join(func() {})
	tell()
	gone()
	if err := command.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was woken")
	}
}

// The connections of two nodes lead through a network that fails.
func TestFaults(t *testing.T) {
	bustest.RunFaults(t, func(t *testing.T) bustest.Faults {
		address := testservers.PostgreSQL(t)
		proxy, through := proxied(t, address)
		repeat := func(times int) {
			c, err := pgx.Connect(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.WithoutCancel(t.Context()))
			if _, err := c.Exec(t.Context(), "SELECT pg_notify('vedfolnir_session', n::text) FROM generate_series(1, $1) n", times); err != nil {
				t.Fatal(err)
			}
		}
		return bustest.Faults{Here: open(t, through), There: open(t, through), Cut: proxy.Cut, Heal: proxy.Heal, Repeat: repeat}
	})
}

// proxied is the address of the same database behind a proxy.
func proxied(t *testing.T, address string) (*tcpproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	p := tcpproxy.Start(t, net.JoinHostPort(q.Get("host"), q.Get("port")))
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	return p, u.String()
}

// While the server is away it is asked by one connection at a time, at a pace that
// slows down, however much there is to tell.
func TestAServerThatIsAwayIsNotStormed(t *testing.T) {
	p, through := proxied(t, testservers.PostgreSQL(t))
	tell, leave := open(t, through).Join(func() {})
	defer leave()
	p.Cut()
	before := p.Accepted()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		tell()
	}
	if asked := p.Accepted() - before; asked == 0 || asked > 30 {
		t.Errorf("asked %d times in two seconds", asked)
	}
}

// LISTEN goes unheard behind a pooler that pools by transaction: a bus says so in the
// log, and Check reports it.
func TestAPoolerHasToPoolBySession(t *testing.T) {
	t.Parallel()
	direct := testservers.PostgreSQL(t)
	if err := pgbus.Check(t.Context(), testservers.PgBouncer(t, direct, "session")); err != nil {
		t.Error(err)
	}
	pooled := testservers.PgBouncer(t, direct, "transaction")
	if err := pgbus.Check(t.Context(), pooled); err == nil {
		t.Error("Check finds nothing")
	}
	var log safe
	b, err := pgbus.Open(t.Context(), pooled, pgbus.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for patience := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "pools by transaction"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("the log says %q", log.String())
		}
	}
}

// safe may be read while it is written.
type safe struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *safe) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestAnAddressThatIsNoneIsAnError(t *testing.T) {
	if b, err := pgbus.Open(t.Context(), "postgres://%", pgbus.Config{}); err == nil {
		t.Error("opened", b.Close())
	}
}
