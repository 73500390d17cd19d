package membus_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/membus"
	"github.com/vedfolnir/session/memstore"
)

// Two managers on one store share a bus: what one of them ends is told at once to
// whoever follows the session at the other, and not only when its lease is over.
func Example() {
	ctx := context.Background()
	store, bus := memstore.New(), new(membus.Bus)
	defer store.Close()
	node := func() *session.Manager {
		m, err := session.New(store, nil, session.Config{
			Bus: bus, Sync: session.Sync{Lease: time.Hour}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		return m
	}
	here, there := node(), node()
	defer here.Close()
	defer there.Close()

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
	// Output: ended signed_out <nil>
}
