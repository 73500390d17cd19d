package pgstore_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
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

// A node goes on while a newer version of the program adds to the tables, as its
// migrations do: columns everywhere, at the end and with a default or without.
func TestANodeGoesOnWhileTheTablesGrow(t *testing.T) {
	t.Parallel()
	url := testservers.PostgreSQL(t)
	s := open(t, url, pgstore.Config{Audit: true})
	other := open(t, url, pgstore.Config{Audit: true})
	cursor, err := other.Changes(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	at := start
	live := func(user session.UserID) { // all that becomes of a session
		t.Helper()
		at = at.Add(time.Hour)
		r := signIn(t, s, user)
		step := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := s.SwitchPlatform(t.Context(), r.ID, "2", at, 0)
		step(err)
		r, err = s.Get(t.Context(), r.ID)
		step(err)
		r, err = s.Refresh(t.Context(), r.ID, r.Version, at)
		step(err)
		r, err = s.Rotate(t.Context(), r.ID, r.Version, session.Rotation{At: at, Secret: session.SecretHash{1}, Previous: r.Secret})
		step(err)
		r, err = s.ConfirmSecret(t.Context(), r.ID, session.SecretHash{1}, at)
		step(err)
		_, err = s.Suspect(t.Context(), r.ID, r.Version, session.Suspicion{})
		step(err)
		step(s.Touch(t.Context(), []session.Activity{{ID: r.ID, At: at}}))
		_, err = s.RaiseRev(t.Context(), user)
		step(err)
		_, err = s.List(t.Context(), user)
		step(err)
		_, err = s.Count(t.Context(), session.Cutoffs{})
		step(err)
		_, err = s.End(t.Context(), session.Ending{User: user, ID: r.ID, Reason: session.SignedOut, At: at})
		step(err)
		_, err = s.Expire(t.Context(), session.Expiring{At: at, Limit: 10})
		step(err)
		_, err = s.Purge(t.Context(), session.Purging{EndedBefore: at.Add(-time.Minute), Limit: 10})
		step(err)
		feed, err := other.Changes(t.Context(), cursor.Next, true)
		step(err)
		if cursor = feed; feed.Gap || len(feed.Changes) < 6 {
			t.Errorf("the other node hears of %d changes, gap %v", len(feed.Changes), feed.Gap)
		}
		lines, err := s.AuditAfter(t.Context(), 0, 1000)
		step(err)
		if len(lines) == 0 {
			t.Error("there are no audit lines")
		}
	}
	live("alex") // and statements are prepared
	execute(t, url, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'session%' LOOP
			EXECUTE format('ALTER TABLE %I ADD COLUMN later text, ADD COLUMN later_still bigint NOT NULL DEFAULT 7', name);
		END LOOP; END $$; CREATE TABLE session_later (id text)`)
	live("robin")
	live("kim")
}
