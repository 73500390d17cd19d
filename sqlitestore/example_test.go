package sqlitestore_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
)

// A file keeps the sessions over a restart of the program. The store is closed
// after the manager.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	serve := func(do func(m *session.Manager)) error {
		store, err := sqlitestore.Open(ctx, filepath.Join(folder, "sessions.db"), sqlitestore.Config{})
		if err != nil {
			return err
		}
		defer store.Close()
		m, err := session.New(store, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		defer m.Close()
		do(m)
		return nil
	}

	var cookie string
	err = serve(func(m *session.Manager) {
		_, token, err := m.Create(ctx, session.CreateRequest{UserID: "alex"})
		if err != nil {
			fmt.Println(err)
			return
		}
		cookie = token.Reveal()
	})
	fmt.Println("signed in:", err)

	err = serve(func(m *session.Manager) {
		token, err := session.ParseToken(cookie)
		if err != nil {
			fmt.Println(err)
			return
		}
		c, err := m.Authenticate(ctx, token, session.Client{})
		fmt.Println("after the restart:", c.User().ID, err)
	})
	fmt.Println("served:", err)
	// Output:
	// signed in: <nil>
	// after the restart: alex <nil>
	// served: <nil>
}
