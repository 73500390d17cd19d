package directory_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

func TestSignIn(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	kim := add(t, d, "Kim")
	lee := add(t, d, "lee")
	if err := d.Disable(t.Context(), lee); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, login, password string
		want                  session.UserID
		err                   error
	}{
		{"by name", "Kim", password, kim, nil},
		{"by name in another case", "kIM", password, kim, nil},
		{"by address", "Kim@Example.org", password, kim, nil},
		{"by address in another case, with space", " kim@example.ORG ", password, kim, nil},
		{"wrong password", "Kim", "wrong horse battery", "", directory.ErrCredentials},
		{"password in another case", "Kim", strings.ToUpper(password), "", directory.ErrCredentials},
		{"no password", "Kim", "", "", directory.ErrCredentials},
		{"nobody", "nobody", password, "", directory.ErrCredentials},
		{"no name", "", password, "", directory.ErrCredentials},
		{"disabled", "lee", password, "", directory.ErrCredentials},
	} {
		t.Run(c.what, func(t *testing.T) {
			id, err := signIn(t, d, c.login, c.password)
			if id != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", id, err, c.want, c.err)
			}
			if c.err != nil && err.Error() != c.err.Error() {
				t.Errorf("the error says more than the others do: %q", err)
			}
		})
	}
}

func TestDisabledPersonIsUnknown(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	kim := add(t, d, "kim")
	if err := d.Disable(t.Context(), kim); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Person(t.Context(), kim); !errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("Person: %v, want ErrUnknownUser", err)
	}
	if err := d.Disable(t.Context(), "99"); !errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("Disable of nobody: %v, want ErrUnknownUser", err)
	}
}

func TestDemoPeopleSignInInADemoOnly(t *testing.T) {
	db := database(t)
	demo := open(t, db, directory.Config{AllowDemoPeople: true})
	if err := demo.AddDemoPeople(t.Context()); err != nil {
		t.Fatal(err)
	}
	alex, err := signIn(t, demo, "alex@example.com", directory.DemoPassword)
	if err != nil {
		t.Fatal(err)
	}
	earnest := open(t, db, directory.Config{})
	if _, err := signIn(t, earnest, "alex", directory.DemoPassword); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("SignIn: %v, want ErrCredentials", err)
	}
	if _, err := earnest.Person(t.Context(), alex); !errors.Is(err, session.ErrUnknownUser) {
		t.Errorf("Person: %v, want ErrUnknownUser: a session from the demo must end", err)
	}
	if n, err := earnest.People(t.Context()); n != 0 || err != nil {
		t.Errorf("People: %d, %v; want none", n, err)
	}
}

func TestDemoTwiceChangesNothing(t *testing.T) {
	db := database(t)
	for range 2 {
		if err := open(t, db, directory.Config{AllowDemoPeople: true}).AddDemoPeople(t.Context()); err != nil {
			t.Fatal(err)
		}
		if people, platforms := count(t, db, "directory_people"), count(t, db, "directory_platforms"); people != 4 || platforms != 4 {
			t.Fatalf("%d people and %d platforms, want 4 and 4", people, platforms)
		}
		if _, err := db.Exec(`UPDATE directory_people SET email = 'changed@example.com', email_key = 'changed@example.com' WHERE username = 'alex'`); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, "directory_people WHERE email = 'changed@example.com'"); n != 1 {
		t.Error("the second start set a changed person back")
	}
}

// Somebody called alex is not taken over by the demo's.
func TestDemoLeavesNamesakesAlone(t *testing.T) {
	db := database(t)
	d := open(t, db, directory.Config{AllowDemoPeople: true})
	add(t, d, "alex")
	if err := d.AddDemoPeople(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := signIn(t, d, "alex", directory.DemoPassword); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("SignIn: %v, want ErrCredentials", err)
	}
}

func TestPasswordIsHashedAnewWhenTheCostChanges(t *testing.T) {
	db := database(t)
	add(t, open(t, db, directory.Config{}), "kim")
	before := hashOf(t, db)
	dearer := open(t, db, directory.Config{Password: directory.Cost{KiB: 16, Passes: 2, Lanes: 1}})
	if _, err := signIn(t, dearer, "kim", "wrong"); !errors.Is(err, directory.ErrCredentials) {
		t.Fatal(err)
	}
	if hashOf(t, db) != before {
		t.Error("a wrong password changed the hash")
	}
	for range 2 {
		if _, err := signIn(t, dearer, "kim", password); err != nil {
			t.Fatal(err)
		}
	}
	if got := hashOf(t, db); !strings.HasPrefix(got, "$argon2id$v=19$m=16,t=2,p=1$") {
		t.Errorf("the hash is %s, want today's cost", got)
	}
}

func signIn(t *testing.T, d *directory.Directory, login, password string) (session.UserID, error) {
	t.Helper()
	a, err := d.Find(t.Context(), login)
	if err != nil {
		return "", err
	}
	if err := d.Check(t.Context(), a, password); err != nil {
		return "", err
	}
	return a.ID, nil
}

func hashOf(t *testing.T, db *sql.DB) (hash string) {
	t.Helper()
	if err := db.QueryRow(`SELECT password FROM directory_people`).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	return hash
}

func count(t *testing.T, db *sql.DB, from string) (n int) {
	t.Helper()
	if err := db.QueryRow(`SELECT count(*) FROM ` + from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What somebody types who is up to something is nobody's name, and no failure of the
// database.
func TestWhatNoDatabaseKeepsIsNobodysName(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, _ *directory.Directory) {
		add(t, here, "kim")
		for _, login := range []string{"kim\x00", "\x00", "kim\xff", "\xed\xa0\x80"} {
			if a, err := here.Find(t.Context(), login); err != nil || a.ID != "0" {
				t.Errorf("%q is %s, %v", login, a.ID, err)
			}
		}
	})
}
