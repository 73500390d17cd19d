package directory_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// cheap makes tests quick; what hashing costs is not their matter.
var cheap = directory.Cost{KiB: 8, Passes: 1, Lanes: 1}

const password = "correct horse battery"

func TestPersonWithPlatforms(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	id := add(t, d, "Kim")
	person, err := d.Person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := (session.User{ID: id, Username: "Kim", Email: "Kim@Example.org"}); person.User != want {
		t.Errorf("user %+v, want %+v", person.User, want)
	}
	if len(person.Platforms) != 2 || person.Platforms[0].Name != "Second" || !person.Platforms[0].IsDefault {
		t.Errorf("platforms %+v, want two, the default one first", person.Platforms)
	}
}

func TestNobodyIsUnknown(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	add(t, d, "kim")
	for _, id := range []session.UserID{"2", "0", "-1", "01", "+1", "1 ", "kim", "", "9223372036854775808"} {
		if _, err := d.Person(t.Context(), id); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("Person(%q): %v, want ErrUnknownUser", id, err)
		}
	}
}

func TestUnreadableDatabaseIsNoAnswer(t *testing.T) {
	db := database(t)
	d := open(t, db, directory.Config{})
	id := add(t, d, "kim")
	db.Close()
	if _, err := d.Person(t.Context(), id); err == nil || errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("Person: %v, want an error that is not ErrUnknownUser", err)
	}
	if _, err := signIn(t, d, "kim", password); err == nil || errors.Is(err, directory.ErrCredentials) {
		t.Errorf("SignIn: %v, want an error that is not ErrCredentials", err)
	}
}

func TestAddTellsEveryMistake(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	_, err := d.Add(t.Context(), directory.Newcomer{Username: "a@b", Email: "nowhere", Password: "short", Role: "king"})
	for _, want := range []string{`"a@b"`, `"nowhere"`, "fewer than 15", `"king"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
}

func TestNamesAndAddressesAreOnePersons(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	add(t, d, "kim")
	for _, n := range []directory.Newcomer{
		{Username: "KIM", Email: "other@example.org", Password: password},
		{Username: "other", Email: "kim@EXAMPLE.org", Password: password},
	} {
		if _, err := d.Add(t.Context(), n); !errors.Is(err, directory.ErrTaken) {
			t.Errorf("Add(%s): %v, want ErrTaken", n.Username, err)
		}
	}
}

func TestUseOfPlatformIsStoredByClose(t *testing.T) {
	db := database(t)
	d := open(t, db, directory.Config{})
	id := add(t, d, "kim")
	at := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	d.PlatformUsed(id, "1", at)
	d.PlatformUsed(id, "1", at.Add(-time.Hour)) // late news
	d.PlatformUsed(id, "no id", at)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	person, err := open(t, db, directory.Config{}).Person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got := person.Platforms[1].LastUsed; !got.Equal(at) {
		t.Errorf("last used %v, want %v", got, at)
	}
	if got := person.Platforms[0].LastUsed; !got.IsZero() {
		t.Errorf("the other platform was last used %v, want never", got)
	}
}

func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	db := database(t)
	open(t, db, directory.Config{})
	if _, err := db.Exec(`INSERT INTO directory_migrations (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	_, err := directory.Open(t.Context(), db, directory.Config{Password: cheap})
	if err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("Open: %v, want that a newer version wrote it", err)
	}
}

func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "d.db")+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t *testing.T, db *sql.DB, c directory.Config) *directory.Directory {
	t.Helper()
	if c.Password == (directory.Cost{}) {
		c.Password = cheap
	}
	d, err := directory.Open(t.Context(), db, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func add(t *testing.T, d *directory.Directory, name string) session.UserID {
	t.Helper()
	id, err := d.Add(t.Context(), directory.Newcomer{Username: name, Email: name + "@Example.org", Password: password, Platforms: []session.Platform{
		{Name: "First", Type: "mastodon", InstanceURL: "https://mastodon.social", Username: name},
		{Name: "Second", Type: "pixelfed", InstanceURL: "https://pixelfed.social", Username: name, IsDefault: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPeopleAreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, d *directory.Directory, _ func(string), _ func() []string) {
		for _, name := range []string{"Kim", "kimberly", "joaquim", "a_b", "axb", "0kim"} {
			add(t, d, name)
		}
		for _, c := range []struct {
			text string
			most int
			want string
		}{
			{"", 9, "0kim a_b axb joaquim Kim kimberly"},
			{"", 2, "0kim a_b"},
			{" KIM", 9, "Kim 0kim kimberly"},
			{"kim@EXAMPLE.org", 9, "Kim 0kim"}, // and whose address ends in it
			{"EXAMPLE", 9, "0kim a_b axb joaquim Kim kimberly"},
			{"kim", 1, "Kim"},
			{"a_b", 9, "a_b"},
			{"%", 9, ""},
			{`\`, 9, ""},
			{"' OR 1=1", 9, ""},
			{"k\x00im\xff", 9, ""},
			{"2", 9, "kimberly"},
		} {
			found, err := d.Search(t.Context(), c.text, c.most)
			var names []string
			for _, e := range found {
				names = append(names, e.Username)
			}
			if got := strings.Join(names, " "); err != nil || got != c.want {
				t.Errorf("%q: %q, %v; want %q", c.text, got, err, c.want)
			}
		}
	})
}

// What is done to a person is not done if its audit line cannot be written.
func TestNothingIsDoneWithoutItsLine(t *testing.T) {
	full := errors.New("disk full")
	var refuse bool
	var told []string
	d := open(t, database(t), directory.Config{Note: func(_ context.Context, _ *sql.Tx, e session.AuditEvent) error {
		if refuse {
			return full
		}
		told = append(told, e.Action+" "+string(e.User)+" "+string(e.Platform)+" "+string(e.Reason)+" by "+e.By)
		return nil
	}})
	id, err := d.Add(t.Context(), directory.Newcomer{Username: "kim", Email: "kim@example.org", Password: "correct horse battery staple"})
	if err != nil {
		t.Fatal(err)
	}
	pixelfed := session.Platform{Name: "My Pixelfed", Type: "pixelfed", InstanceURL: "https://pixelfed.social", Username: "kim"}
	platform, err := d.AddPlatform(t.Context(), id, pixelfed)
	if err != nil {
		t.Fatal(err)
	}
	does := []func() error{
		func() error { return d.SetDefaultPlatform(t.Context(), id, platform) },
		func() error { return d.SetRole(t.Context(), id, directory.Admin) },
		func() error { return d.SetPassword(t.Context(), id, "another horse battery staple") },
		func() error { return d.Disable(t.Context(), id) },
		func() error { return d.Enable(t.Context(), id) },
		func() error { return d.RemovePlatform(t.Context(), id, platform) },
		func() error { return d.Remove(t.Context(), id) },
	}
	for i, do := range does {
		refuse = true
		before, _ := d.Entry(t.Context(), id)
		if err := do(); !errors.Is(err, full) {
			t.Errorf("%d: %v", i, err)
		}
		if after, err := d.Entry(t.Context(), id); after != before || err != nil {
			t.Errorf("%d: %+v, %v; want %+v", i, after, err, before)
		}
		refuse = false
		if err := do(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	want := []string{
		"person_added 1   by system", "platform_added 1 1  by system", "platform_made_default 1 1  by system", "role_set 1  admin by system",
		"password_set 1   by system", "person_disabled 1   by system", "person_enabled 1   by system", "platform_removed 1 1  by system", "person_removed 1   by system",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%q, want\n%q", told, want)
	}
}
