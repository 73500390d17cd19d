package pgstore_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
)

// Nodes that start at once on a new database do not get in each other's way.
func TestManyNodesMigrateAtOnce(t *testing.T) {
	url := testservers.PostgreSQL(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			s, err := pgstore.Open(t.Context(), url, pgstore.Config{Conns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	signIn(t, open(t, url, pgstore.Config{}), "alex")
}

func TestADatabaseThatIsNotOursIsRefusedAndLeftAsItIs(t *testing.T) {
	schema := database(t)
	newer := schema(t)
	open(t, newer, pgstore.Config{})
	execute(t, newer, `INSERT INTO session_migrations (version_id, is_applied) VALUES (9000, true)`)
	another := schema(t)
	execute(t, another, `CREATE TABLE sessions (id text); INSERT INTO sessions VALUES ('kept')`)
	for url, want := range map[string]string{newer: "newer version", another: "already exists", "postgres://%": "cannot parse"} {
		s, err := pgstore.Open(t.Context(), url, pgstore.Config{})
		if err == nil {
			t.Error("opened", s.Close())
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	execute(t, another, `DO $$ BEGIN ASSERT (SELECT id FROM sessions) = 'kept'; ASSERT to_regclass('session_users') IS NULL; END $$`)
}

func TestErrorsTellNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://alex:s3cret@127.0.0.1:1/none?connect_timeout=1", "postgres://alex:s3cret@%", "user=alex password=s3cret port=x",
	} {
		s, err := pgstore.Open(t.Context(), url, pgstore.Config{})
		if err == nil {
			t.Error("opened", s.Close())
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Error(err)
		}
	}
}

// A pooler that lends a connection to another client after each transaction would lose
// what makes a commit wait for the disk.
func TestAPoolerHasToPoolBySession(t *testing.T) {
	t.Parallel()
	direct := testservers.PostgreSQL(t)
	s, err := pgstore.Open(t.Context(), testservers.PgBouncer(t, direct, "transaction"), pgstore.Config{})
	if err == nil {
		t.Error("opened", s.Close())
	} else if !strings.Contains(err.Error(), "pools by transaction") {
		t.Error(err)
	}
	signIn(t, open(t, testservers.PgBouncer(t, direct, "session"), pgstore.Config{}), "alex")
}
