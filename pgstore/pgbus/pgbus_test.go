package pgbus_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/bustest"
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

// inTurn lets each member join the next of the buses: each is on a node of its own.
type inTurn struct {
	buses []*pgbus.Bus
	n     atomic.Uint64
}

func (i *inTurn) Join(wake func()) (tell, leave func()) {
	return i.buses[i.n.Add(1)%uint64(len(i.buses))].Join(wake)
}

func TestBus(t *testing.T) {
	address := testservers.PostgreSQL(t)
	t.Run("of one node", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus { return open(t, address) })
	})
	t.Run("of three nodes", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) session.Bus {
			return &inTurn{buses: []*pgbus.Bus{open(t, address), open(t, address), open(t, address)}}
		})
	})
}

// What is told while the connection is away is made up for when it is back.
func TestALostConnectionIsMadeUpFor(t *testing.T) {
	address := testservers.PostgreSQL(t)
	here, there := open(t, address), open(t, address)
	woken := make(chan struct{}, 1)
	_, leave := there.Join(func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	defer leave()
	tell, leave := here.Join(func() {})
	defer leave()
	await := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(20 * time.Second):
			t.Fatal(what)
		}
	}
	tell()
	await("a message does not arrive")

	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	var ended int
	err = c.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&ended)
	if err != nil || ended < 3 {
		t.Fatalf("%d connections ended, %v", ended, err)
	}
	await("nobody was woken for what they may have missed")
	tell()
	await("a message does not arrive when the connection is back")
}

func TestADatabaseThatIsNotThereIsAnError(t *testing.T) {
	if b, err := pgbus.Open(t.Context(), "postgres://127.0.0.1:1/none?connect_timeout=1", pgbus.Config{}); err == nil {
		t.Error("opened", b.Close())
	}
}
