package memstore_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// The store outlives the manager, and is closed after it. What it held is gone
// with it.
func Example() {
	store := memstore.New()
	defer store.Close()
	m, err := session.New(store, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	_, token, err := m.Create(context.Background(), session.CreateRequest{UserID: "alex"})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := m.Authenticate(context.Background(), token, session.Client{})
	fmt.Println(c.User().ID, err)
	// Output: alex <nil>
}
