package sqlitestore_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

func open(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
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

// file returns a path in a new folder.
func file(t testing.TB) string { return filepath.Join(t.TempDir(), "sessions.db") }

var start = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, file(t)) })
}

func TestStoreInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, ":memory:") })
}
