package pgstore_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/storetest"
)

func open(t testing.TB, url string, cfg pgstore.Config) *pgstore.Store {
	t.Helper()
	cfg.Conns = 3 // of the hundred that a server has
	s, err := pgstore.Open(t.Context(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var start = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database is one for several tests, each of which has a schema of its own in it.
func database(t testing.TB) (schema func(t testing.TB) (url string)) {
	t.Helper()
	url := testservers.PostgreSQL(t)
	return func(t testing.TB) string {
		t.Helper()
		name := "test_" + strings.ToLower(rand.Text())
		execute(t, url, "CREATE SCHEMA "+name)
		return url + "&search_path=" + name
	}
}

// execute runs statements on a connection of its own.
func execute(t testing.TB, url, statements string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if _, err := c.Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	schema := database(t)
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, schema(t), pgstore.Config{Audit: true}) })
}

// Two stores on a database are two nodes.
func TestTwoStoresOnOneDatabase(t *testing.T) {
	schema := database(t)
	storetest.Run(t, func(t *testing.T) session.Store {
		url := schema(t)
		return storetest.Nodes(open(t, url, pgstore.Config{}), open(t, url, pgstore.Config{Audit: true}))
	})
}
