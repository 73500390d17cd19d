package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

const issuer = "https://id.example.org"

var kimThere = directory.Identity{Issuer: issuer, Subject: "kim there"}

// onTwoNodes runs a test on each engine, with two nodes that share a database.
func onTwoNodes(t *testing.T, test func(t *testing.T, here, there *directory.Directory)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		db := database(t)
		test(t, open(t, db, directory.Config{}), open(t, db, directory.Config{}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		node := postgreSQL(t)
		test(t, node(), node())
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		kim, sam := add(t, here, "kim"), add(t, here, "sam")
		if id, err := here.Linked(ctx, kimThere); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("before: %q, %v", id, err)
		}
		for range 2 { // the second time changes nothing
			if err := here.Link(ctx, kim, kimThere, noon); err != nil {
				t.Fatal(err)
			}
		}
		if id, err := there.Linked(ctx, kimThere); err != nil || id != kim {
			t.Errorf("%q, %v", id, err)
		}
		for name, other := range map[string]directory.Identity{
			"the subject elsewhere":      {Issuer: "https://other.example", Subject: kimThere.Subject},
			"another subject":            {Issuer: issuer, Subject: "Kim there"},
			"nobody":                     {},
			"the words, split elsewhere": {Issuer: issuer + "kim", Subject: " there"},
		} {
			if id, err := there.Linked(ctx, other); !errors.Is(err, session.ErrUnknownUser) {
				t.Errorf("%s is %q, %v", name, id, err)
			}
		}
		if err := there.Link(ctx, sam, kimThere, noon); !errors.Is(err, directory.ErrLinked) {
			t.Errorf("somebody else's: %v", err)
		}
		if err := there.Link(ctx, kim, directory.Identity{Issuer: issuer, Subject: "another"}, noon); !errors.Is(err, directory.ErrLinked) {
			t.Errorf("a second one there: %v", err)
		}
		if err := there.Link(ctx, "999", directory.Identity{Issuer: issuer, Subject: "nobody's"}, noon); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("nobody's: %v", err)
		}
		if err := there.UseLink(ctx, kim, kimThere, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := there.UseLink(ctx, sam, kimThere, noon.Add(2*time.Hour)); !errors.Is(err, directory.ErrNoLink) {
			t.Errorf("used by somebody else: %v", err)
		}
		want := []directory.Link{{Identity: kimThere, LinkedAt: noon, LastUsed: noon.Add(time.Hour)}}
		if links, err := here.Links(ctx, kim); err != nil || !slices.Equal(links, want) {
			t.Errorf("%+v, %v", links, err)
		}
		if err := here.Unlink(ctx, sam, kimThere); !errors.Is(err, directory.ErrNoLink) {
			t.Errorf("unlinked by somebody else: %v", err)
		}
		if err := here.Unlink(ctx, kim, kimThere); err != nil {
			t.Errorf("unlink, with a password left: %v", err)
		}
		if err := there.UseLink(ctx, kim, kimThere, noon); !errors.Is(err, directory.ErrNoLink) {
			t.Errorf("used when it is gone: %v", err)
		}
		if links, err := there.Links(ctx, kim); err != nil || len(links) > 0 {
			t.Errorf("%+v, %v", links, err)
		}
	})
}

// Whoever was made by a provider's word has no password, and keeps the link.
func TestSomebodyWithoutAPassword(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		newcomer := directory.Newcomer{Username: "kim", Email: "kim@example.org", Link: directory.Link{Identity: kimThere, LinkedAt: noon}}
		withPassword := newcomer
		withPassword.Password = password
		if _, err := here.Add(ctx, withPassword); err == nil {
			t.Error("made with a password too")
		}
		kim, err := here.Add(ctx, newcomer)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := there.Linked(ctx, kimThere); err != nil || id != kim {
			t.Errorf("%q, %v", id, err)
		}
		for _, guess := range []string{"", password} {
			if _, err := signIn(t, here, "kim", guess); !errors.Is(err, directory.ErrCredentials) {
				t.Errorf("signs in with the password %q: %v", guess, err)
			}
		}
		if has, err := there.ProvesHere(ctx, kim); err != nil || has {
			t.Errorf("proves here by %v, %v", has, err)
		}
		if err := there.Unlink(ctx, kim, kimThere); !errors.Is(err, directory.ErrLastWayIn) {
			t.Errorf("the last way in: %v", err)
		}
		if links, err := here.Links(ctx, kim); err != nil || len(links) != 1 {
			t.Errorf("%+v, %v", links, err)
		}
		newcomer.Username, newcomer.Email = "other", "other@example.org"
		if _, err := here.Add(ctx, newcomer); err == nil {
			t.Error("two people are the same one there")
		}
		if _, err := here.Lookup(ctx, "other"); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("half a person was made: %v", err)
		}
		if err := here.SetPassword(ctx, kim, password); err != nil {
			t.Fatal(err)
		}
		if has, err := there.ProvesHere(ctx, kim); err != nil || !has {
			t.Errorf("with a password: %v, %v", has, err)
		}
		if err := there.Unlink(ctx, kim, kimThere); err != nil {
			t.Errorf("with a password: %v", err)
		}
	})
}

// began makes a session of ours in a session there.
func began(t *testing.T, d *directory.Directory, user session.UserID, n byte, subject, sid string) session.ID {
	t.Helper()
	id := session.ID{n}
	over, err := d.Began(t.Context(), directory.ProviderSession{
		Identity: directory.Identity{Issuer: issuer, Subject: subject}, SessionID: sid, Session: id, User: user, Until: noon.Add(24 * time.Hour),
	}, noon.Add(time.Second), noon)
	if err != nil || over {
		t.Fatalf("%v, %v", over, err)
	}
	return id
}

func TestASignOutThereFindsWhatBeganThere(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		kim, sam := add(t, here, "kim"), add(t, here, "sam")
		first := began(t, here, kim, 1, "kim", "s1")
		second := began(t, here, kim, 2, "kim", "s2")
		untold := began(t, here, kim, 3, "kim", "")
		began(t, here, sam, 4, "sam", "s4")
		sams := began(t, here, sam, 5, "sam", "")
		if over, err := here.Began(ctx, directory.ProviderSession{
			Identity: directory.Identity{Issuer: "https://other.example", Subject: "kim"}, SessionID: "s1", Session: session.ID{6}, User: kim, Until: noon.Add(time.Hour),
		}, noon, noon); err != nil || over {
			t.Fatalf("%v, %v", over, err)
		}
		for i, c := range []struct {
			subject, sid string
			want         []session.ID
		}{
			{"kim", "s1", []session.ID{first, untold}},
			{"", "s1", []session.ID{first}},
			{"kim", "", []session.ID{first, second, untold}},
			{"sam", "s1", []session.ID{sams}}, // the session is another's: all that sam's may be
			{"", "s9", nil},
			{"nobody", "", nil},
			{"", "", nil},
		} {
			got, err := there.SignedOutThere(ctx, directory.ProviderLogout{
				Issuer: issuer, ID: fmt.Sprint(i), Subject: c.subject, SessionID: c.sid, Until: noon.Add(time.Minute),
			}, noon)
			slices.SortFunc(got, func(a, b session.ID) int { return slices.Compare(a[:], b[:]) })
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, %v", c, got, err)
			}
		}
		for _, subject := range []string{"sam", "kim"} { // the first is none of whose session it is
			over, err := here.WentOn(ctx, directory.ProviderSession{Identity: directory.Identity{Issuer: issuer, Subject: subject}, SessionID: "new for " + subject, Session: second}, noon.Add(time.Second))
			if err != nil || over {
				t.Fatal(over, err)
			}
		}
		for sid, want := range map[string][]session.ID{"s2": nil, "new for sam": nil, "new for kim": {second}} {
			got, err := there.SignedOutThere(ctx, directory.ProviderLogout{Issuer: issuer, ID: sid, SessionID: sid, Until: noon.Add(time.Minute)}, noon)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("gone on, %s: %v, %v", sid, got, err)
			}
		}
		for subject, want := range map[string]bool{"sam": false, "kim": true} { // who has signed out of it by now
			over, err := here.WentOn(ctx, directory.ProviderSession{Identity: directory.Identity{Issuer: issuer, Subject: subject}, SessionID: "new for kim", Session: second}, noon)
			if err != nil || over != want {
				t.Errorf("gone on late, %s: %v, %v", subject, over, err)
			}
		}
		if list, err := there.ProviderSessions(ctx, kim); err != nil || len(list) != 4 || list[0].Session != (session.ID{6}) || list[1].SessionID != "s1" || list[1].User != kim {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// The same word is obeyed until that is done, and then never again, on any node.
func TestASignOutThereIsObeyedOnce(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		kim := add(t, here, "kim")
		id := began(t, here, kim, 1, "kim", "s")
		word := directory.ProviderLogout{Issuer: issuer, ID: "1", Subject: "kim", Until: noon.Add(time.Minute)}
		for _, node := range []*directory.Directory{here, there} { // the first one crashed before it was done
			if got, err := node.SignedOutThere(ctx, word, noon); err != nil || len(got) != 1 || got[0] != id {
				t.Fatalf("%v, %v", got, err)
			}
		}
		for range 2 { // both say so
			if err := there.LoggedOut(ctx, word, []session.ID{id}, noon); err != nil {
				t.Fatal(err)
			}
		}
		began(t, here, kim, 2, "kim", "s2")
		for _, node := range []*directory.Directory{here, there} {
			if got, err := node.SignedOutThere(ctx, word, noon); !errors.Is(err, directory.ErrSpent) || got != nil {
				t.Errorf("again: %v, %v", got, err)
			}
		}
		another := word
		another.Issuer = "https://other.example"
		if got, err := there.SignedOutThere(ctx, another, noon); err != nil || got != nil {
			t.Errorf("the same number of another provider's: %v, %v", got, err)
		}
		if list, err := here.ProviderSessions(ctx, kim); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// Somebody signs in here while they sign out there: whichever comes first, the
// session does not stay.
func TestASignInThatCrossesASignOutThere(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		kim := add(t, here, "kim")
		var stayed atomic.Int32
		for i := range 20 {
			subject := fmt.Sprint("kim-", i)
			var both sync.WaitGroup
			var over bool
			var found []session.ID
			var errs [2]error
			both.Go(func() {
				over, errs[0] = here.Began(ctx, directory.ProviderSession{
					Identity: directory.Identity{Issuer: issuer, Subject: subject}, Session: session.ID{byte(i)}, User: kim, Until: noon.Add(time.Hour),
				}, noon, noon)
			})
			both.Go(func() {
				found, errs[1] = there.SignedOutThere(ctx, directory.ProviderLogout{Issuer: issuer, ID: subject, Subject: subject, Until: noon.Add(time.Minute)}, noon)
			})
			both.Wait()
			if err := errors.Join(errs[:]...); err != nil {
				t.Fatal(err)
			}
			if !over && len(found) == 0 {
				stayed.Add(1)
			}
		}
		if n := stayed.Load(); n > 0 {
			t.Errorf("%d of 20 sessions stayed", n)
		}
		for i, c := range []struct {
			word  directory.ProviderLogout
			since time.Time
			over  bool
		}{
			{directory.ProviderLogout{Subject: "a"}, noon, true},
			{directory.ProviderLogout{Subject: "a"}, noon.Add(time.Second), false}, // they signed in after it
			{directory.ProviderLogout{Subject: "a", SessionID: "s"}, noon, true},
			{directory.ProviderLogout{Subject: "a", SessionID: "other"}, noon, false},
			{directory.ProviderLogout{SessionID: "s"}, noon, true},
			{directory.ProviderLogout{SessionID: "other"}, noon, false},
			{directory.ProviderLogout{Subject: "b"}, noon, false},
		} {
			c.word.Issuer, c.word.ID, c.word.Until = fmt.Sprint("https://id.example.org/", i), "1", noon.Add(time.Minute)
			if _, err := here.SignedOutThere(ctx, c.word, noon); err != nil {
				t.Fatal(err)
			}
			over, err := there.Began(ctx, directory.ProviderSession{
				Identity: directory.Identity{Issuer: c.word.Issuer, Subject: "a"}, SessionID: "s", Session: session.ID{100, byte(i)}, User: kim, Until: noon.Add(time.Hour),
			}, c.since, noon)
			if err != nil || over != c.over {
				t.Errorf("%d: over %v, %v", i, over, err)
			}
		}
	})
}

// What is too old to matter goes, and what is a person's goes with them.
func TestWhatIsKeptOfAProviderGoes(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		kim, sam := add(t, here, "kim"), add(t, here, "sam")
		began(t, here, kim, 1, "kim", "s1")
		if _, err := here.Began(ctx, directory.ProviderSession{
			Identity: kimThere, Session: session.ID{2}, User: kim, Until: noon.Add(72 * time.Hour),
		}, noon, noon.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if list, err := there.ProviderSessions(ctx, kim); err != nil || len(list) != 1 || list[0].Session != (session.ID{2}) {
			t.Errorf("%+v, %v", list, err)
		}
		if err := here.Link(ctx, kim, kimThere, noon); err != nil {
			t.Fatal(err)
		}
		began(t, here, sam, 3, "sam", "s3")
		if err := here.Erase(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if id, err := there.Linked(ctx, kimThere); !errors.Is(err, session.ErrUnknownUser) {
			t.Errorf("erased, and still linked: %q, %v", id, err)
		}
		if list, err := there.ProviderSessions(ctx, kim); err != nil || len(list) > 0 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := there.ProviderSessions(ctx, sam); err != nil || len(list) != 1 {
			t.Errorf("another's went too: %+v, %v", list, err)
		}
	})
}

func TestWhatIsGoodOnce(t *testing.T) {
	t.Parallel()
	onTwoNodes(t, func(t *testing.T, here, there *directory.Directory) {
		ctx := t.Context()
		if err := here.Spend(ctx, noon, noon.Add(time.Minute), "a", "bc"); err != nil {
			t.Fatal(err)
		}
		if err := there.Spend(ctx, noon, noon.Add(time.Minute), "a", "bc"); !errors.Is(err, directory.ErrSpent) {
			t.Errorf("again: %v", err)
		}
		if err := there.Spend(ctx, noon, noon.Add(time.Minute), "ab", "c"); err != nil {
			t.Errorf("another: %v", err)
		}
	})
}
