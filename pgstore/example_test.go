package pgstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
)

// Two nodes share a database: what one of them creates the other serves, and what
// one ends both refuse. The store is closed after the manager.
func Example() {
	ctx := context.Background()
	node := func(do func(m *session.Manager)) {
		store, err := pgstore.Open(ctx, os.Getenv("DATABASE_URL"), pgstore.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer store.Close()
		m, err := session.New(store, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer m.Close()
		do(m)
	}
	node(func(here *session.Manager) {
		node(func(there *session.Manager) {
			c, token, err := here.Create(ctx, session.CreateRequest{UserID: "alex"})
			fmt.Println("signed in here:", err)
			c, err = there.Authenticate(ctx, token, session.Client{})
			fmt.Println("served there:", c.User().ID, err)
			fmt.Println("signed out there:", there.Revoke(ctx, c.Session.ID, session.SignedOut, "alex"))
		})
	})
}

// The example needs a server, which a test can have.
func TestExample(t *testing.T) {
	t.Setenv("DATABASE_URL", testservers.PostgreSQL(t))
	const want = "signed in here: <nil>\nserved there: alex <nil>\nsigned out there: <nil>\n"
	if got := testservers.Printed(t, Example); got != want {
		t.Errorf("the example prints\n%s\nwant\n%s", got, want)
	}
}
