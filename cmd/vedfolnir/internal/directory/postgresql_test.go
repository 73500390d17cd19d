package directory_test

import (
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/internal/testservers"
)

// postgreSQL returns a way to open directories on one new database, each a node of
// its own.
func postgreSQL(t *testing.T) (node func() *directory.Directory) {
	t.Helper()
	with := postgreSQLWith(t)
	return func() *directory.Directory { return with(directory.Config{}) }
}

func postgreSQLWith(t *testing.T) (node func(directory.Config) *directory.Directory) {
	t.Helper()
	url := testservers.PostgreSQL(t)
	return func(c directory.Config) *directory.Directory {
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		c.Dialect = directory.PostgreSQL
		return open(t, db, c)
	}
}

// Everything that is asked of a directory, asked of two nodes on one database.
func TestPostgreSQL(t *testing.T) {
	node := postgreSQL(t)
	here, there := node(), node()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	id := add(t, here, "Kim")
	if _, err := there.Add(ctx, directory.Newcomer{Username: "kim", Email: "other@example.org", Password: password}); !errors.Is(err, directory.ErrTaken) {
		t.Errorf("the name twice: %v", err)
	}
	person, err := there.Person(ctx, id)
	ok(err)
	if len(person.Platforms) != 2 || person.Platforms[0].Name != "Second" || !person.Platforms[0].IsDefault || person.User.Email != "Kim@Example.org" {
		t.Errorf("%+v", person)
	}
	for _, who := range []string{"kim", "KIM@example.org", string(id)} {
		if e, err := there.Lookup(ctx, who); err != nil || e.ID != id || e.Platforms != 2 || e.Disabled || e.Demo {
			t.Errorf("Lookup(%q): %+v, %v", who, e, err)
		}
	}
	ok(here.SetRole(ctx, id, directory.Admin))
	everybody, err := there.Everybody(ctx)
	if ok(err); len(everybody) != 1 || everybody[0].Role != directory.Admin {
		t.Errorf("%+v", everybody)
	}
	if _, err := signIn(t, there, "Kim", password); err != nil {
		t.Errorf("sign in: %v", err)
	}
	ok(here.SetPassword(ctx, id, "another long password"))
	if _, err := signIn(t, there, "kim", password); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	ok(there.ChangePassword(ctx, id, "another long password", "a third long password"))
	if _, err := signIn(t, here, "kim", "a third long password"); err != nil {
		t.Errorf("the password of their own: %v", err)
	}
	ok(here.Disable(ctx, id))
	if _, err := there.Person(ctx, id); !errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("disabled: %v", err)
	}
	ok(here.Enable(ctx, id))

	third, err := here.AddPlatform(ctx, id, session.Platform{Name: "Third", Type: "mastodon", InstanceURL: "https://third.example", Username: "kim", IsDefault: true})
	ok(err)
	platforms := func() []session.Platform {
		t.Helper()
		p, err := there.Platforms(ctx, id)
		ok(err)
		return p
	}
	if p := platforms(); len(p) != 3 || p[0].ID != third || p[1].IsDefault {
		t.Errorf("%+v", p)
	}
	ok(here.SetDefaultPlatform(ctx, id, p0(platforms(), "First")))
	ok(there.RemovePlatform(ctx, id, p0(platforms(), "First")))
	if p := platforms(); len(p) != 2 || !p[0].IsDefault {
		t.Errorf("without a default: %+v", p)
	}
	used := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	here.PlatformUsed(id, third, used)
	ok(here.Close())
	for _, p := range platforms() {
		if (p.ID == third) != p.LastUsed.Equal(used) {
			t.Errorf("%+v", p)
		}
	}

	ok(there.AddDemoPeople(ctx))
	if n, err := there.People(ctx); err != nil || n != 1 {
		t.Errorf("%d people, %v", n, err)
	}
	ok(there.Erase(ctx, id))
	if _, err := there.Entry(ctx, id); !errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("erased: %v", err)
	}
	if next := add(t, there, "kim"); next == id {
		t.Error("an id was given again")
	}
}

func p0(platforms []session.Platform, name string) session.PlatformID {
	for _, p := range platforms {
		if p.Name == name {
			return p.ID
		}
	}
	return ""
}

// Buckets that are full again are removed by whoever comes next, and may be changed just
// then by somebody who forgives an attempt: neither waits for the other in a circle.
func TestBucketsThatAreBeingForgivenAreLeftAlone(t *testing.T) {
	db, err := sql.Open("pgx", testservers.PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := open(t, db, directory.Config{Dialect: directory.PostgreSQL})
	address, name := directory.Bucket{Name: "address", PerHour: 1000}, directory.Bucket{Name: "name", PerHour: 1000}
	attempt(t, d, noon, 0, address, name)
	tx, err := db.Begin() // as Forgive does, which is in the middle of it
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	forgive := func(b directory.Bucket) {
		t.Helper()
		if _, err := tx.Exec(`UPDATE directory_attempts SET full_at = full_at - 1 WHERE bucket = $1`, b.Name); err != nil {
			t.Error(err)
		}
	}
	forgive(address)
	attempted := make(chan struct{})
	go func() {
		defer close(attempted)
		attempt(t, d, noon.Add(time.Hour), 0, name) // when the other one is full
	}()
	for waits := false; !waits; {
		select {
		case <-attempted:
			waits = true
		case <-time.After(time.Millisecond):
			if err := db.QueryRow(`SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database())`).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
	}
	forgive(name)
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	<-attempted
}

// Nodes that start at once, and people who open the first link at once.
func TestPostgreSQLFromManyNodesAtOnce(t *testing.T) {
	node := postgreSQL(t)
	const n = 4
	nodes := make([]*directory.Directory, n)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { nodes[i] = node() })
	}
	wg.Wait()
	errs := make([]error, n)
	for i, d := range nodes {
		wg.Go(func() {
			_, errs[i] = d.AddFirst(t.Context(), directory.Newcomer{
				Username: string(rune('a' + i)), Email: string(rune('a'+i)) + "@example.org", Password: password, Role: directory.Admin,
			})
		})
	}
	wg.Wait()
	first := 0
	for _, err := range errs {
		if err == nil {
			first++
		} else if !errors.Is(err, directory.ErrNotFirst) {
			t.Error(err)
		}
	}
	if first != 1 {
		t.Errorf("%d people were the first", first)
	}

	bucket, now := directory.Bucket{Name: "b", PerHour: 10}, time.Now()
	var mu sync.Mutex
	passed := 0
	for i := range 30 {
		wg.Go(func() {
			wait, err := nodes[i%n].Attempt(t.Context(), now, bucket)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if wait == 0 {
				passed++
			}
		})
	}
	wg.Wait()
	if passed != bucket.PerHour {
		t.Errorf("%d attempts of %d passed", passed, bucket.PerHour)
	}
	if err := nodes[0].Forgive(t.Context(), bucket); err != nil {
		t.Error(err)
	}
	if wait, err := nodes[1].Attempt(t.Context(), now, bucket); wait != 0 || err != nil {
		t.Errorf("after one was forgiven: %v, %v", wait, err)
	}
}
