package pgbus_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/pgstore/pgbus"
)

// A node is a store, a bus and a manager. What one of them ends is told at once to
// whoever follows the session at another, and not only when its lease is over. They
// are closed in the other order, the manager first.
func Example() {
	ctx, address := context.Background(), os.Getenv("DATABASE_URL")
	node := func(do func(m *session.Manager)) {
		store, err := pgstore.Open(ctx, address, pgstore.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer store.Close()
		bus, err := pgbus.Open(ctx, address, pgbus.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer bus.Close()
		m, err := session.New(store, nil, session.Config{
			Bus: bus, Sync: session.Sync{Lease: time.Hour}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer m.Close()
		do(m)
	}
	node(func(here *session.Manager) {
		node(func(there *session.Manager) {
			c, _, err := here.Create(ctx, session.CreateRequest{UserID: "alex"})
			if err != nil {
				fmt.Println(err)
				return
			}
			tab, err := there.Subscribe(ctx, c.Session.ID, session.Stamp{})
			if err != nil {
				fmt.Println(err)
				return
			}
			defer tab.Close()
			tab.Next(ctx) // the state to begin with

			here.Revoke(ctx, c.Session.ID, session.SignedOut, "alex")
			event, err := tab.Next(ctx)
			fmt.Println(event.Kind, event.Reason, err)
		})
	})
}

// The example needs a server, which a test can have.
func TestExample(t *testing.T) {
	t.Setenv("DATABASE_URL", testservers.PostgreSQL(t))
	if got, want := testservers.Printed(t, Example), "ended signed_out <nil>\n"; got != want {
		t.Errorf("the example prints %q, want %q", got, want)
	}
}
