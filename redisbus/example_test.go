package redisbus_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/redisbus"
)

// Each node has a bus of its own. (That the store is one of a single process, too, is
// the example's.)
func Example() {
	ctx, address, store := context.Background(), "redis://"+os.Getenv("REDIS"), memstore.New()
	node := func(do func(m *session.Manager)) {
		bus, err := redisbus.Open(ctx, address, redisbus.Config{Channel: "example"})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer bus.Close()
		m, err := session.New(store, nil, session.Config{Bus: bus, Logger: slog.New(slog.DiscardHandler)})
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
	t.Setenv("REDIS", testservers.Redis(t))
	if got, want := testservers.Printed(t, Example), "ended signed_out <nil>\n"; got != want {
		t.Errorf("the example prints %q, want %q", got, want)
	}
}
