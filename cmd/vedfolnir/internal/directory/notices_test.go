package directory_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/sqlitestore"
)

// onEachDatabase runs a test on SQLite and on PostgreSQL; node opens one more
// directory on the same database.
func onEachDatabase(t *testing.T, test func(t *testing.T, node func(directory.Config) *directory.Directory)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "v.db")
		test(t, func(c directory.Config) *directory.Directory {
			store, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			return open(t, store.DB(), c)
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, postgreSQLWith(t))
	})
}

func alike(at time.Time, kind notice.Kind, address string) notice.Notice {
	n := notice.At(at, kind)
	n.Device, n.Address = "Firefox on Linux", address
	return n
}

func told(t *testing.T, d *directory.Directory, id session.UserID) []notice.Notice {
	t.Helper()
	lines, err := d.Notices(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestNotices(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, node func(directory.Config) *directory.Directory) {
		here, there := node(directory.Config{}), node(directory.Config{})
		ctx := t.Context()
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		kim, lee := add(t, here, "kim"), add(t, here, "lee")
		ok(here.Tell(ctx, kim, alike(noon, notice.FailedAttempts, "192.0.2.1")))
		ok(here.Tell(ctx, kim, alike(noon.Add(time.Minute), notice.NewDevice, "192.0.2.1")))
		ok(there.Tell(ctx, kim, alike(noon.Add(time.Hour), notice.FailedAttempts, "192.0.2.2")))
		detailed := alike(noon.Add(time.Minute), notice.PasskeyAdded, "192.0.2.1")
		detailed.Detail = "a\x00b\xff"
		ok(there.Tell(ctx, lee, detailed))
		lines := told(t, here, kim)
		if len(lines) != 2 || lines[0].Kind != notice.FailedAttempts || lines[0].Times != 2 || !lines[0].Several || lines[0].Address != "192.0.2.2" ||
			!lines[0].First.Equal(noon) || !lines[0].Last.Equal(noon.Add(time.Hour)) || !lines[0].New || lines[1].Kind != notice.NewDevice {
			t.Errorf("%+v", lines)
		}
		if l := told(t, here, lee); len(l) != 1 || l[0].Detail != "a\uFFFDb\uFFFD" {
			t.Errorf("%+v", l)
		}

		news := func(id session.UserID) int {
			t.Helper()
			n, err := there.NewNotices(ctx, id)
			ok(err)
			return n
		}
		ok(here.SeeNotices(ctx, kim, lines[1].ID))
		if n := news(kim); n != 1 {
			t.Errorf("%d new ones after the older one was seen", n)
		}
		ok(here.SeeNotices(ctx, kim, lines[0].ID+1000)) // and not what is to come
		ok(here.SeeNotices(ctx, kim, 1))                // nor back
		if n := news(kim); n != 0 || news(lee) != 1 {
			t.Errorf("%d new ones of kim, %d of lee", n, news(lee))
		}
		ok(there.Tell(ctx, kim, alike(noon.Add(2*time.Hour), notice.FailedAttempts, "192.0.2.1")))
		if lines = told(t, here, kim); len(lines) != 3 || lines[0].Times != 1 || news(kim) != 1 {
			t.Errorf("a line that was seen grows: %+v", lines)
		}

		if n, err := here.ForgetNotices(ctx, noon.Add(time.Hour), 10); err != nil || n != 2 {
			t.Errorf("forgot %d, %v", n, err)
		}
		if lines = told(t, here, kim); len(lines) != 2 {
			t.Errorf("%+v", lines)
		}
		for _, nobody := range []session.UserID{"999", "0", "x"} {
			if err := here.Tell(ctx, nobody, alike(noon, notice.NewDevice, "")); !errors.Is(err, session.ErrUnknownUser) {
				t.Errorf("%s: %v", nobody, err)
			}
		}
		ok(here.Erase(ctx, kim))
		if lines = told(t, here, kim); lines != nil {
			t.Errorf("erased: %+v", lines)
		}
	})
}

// What can be caused again and again is bounded, and pushes nothing else out.
// What was gathered is told after what happened later, and stands below it all the same.
func TestNoticesStandInTheOrderOfWhatHappened(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, node func(directory.Config) *directory.Directory) {
		d := node(directory.Config{})
		kim := add(t, d, "kim")
		for _, n := range []notice.Notice{
			alike(noon.Add(time.Second), notice.PasswordChanged, "192.0.2.1"), alike(noon, notice.PasskeyAdded, "192.0.2.1"),
		} {
			if err := d.Tell(t.Context(), kim, n); err != nil {
				t.Fatal(err)
			}
		}
		if lines := told(t, d, kim); len(lines) != 2 || lines[0].Kind != notice.PasswordChanged || lines[1].Kind != notice.PasskeyAdded {
			t.Errorf("told of %+v", lines)
		}
	})
}

func TestNoticesAreBounded(t *testing.T) {
	d := open(t, database(t), directory.Config{})
	kim := add(t, d, "kim")
	tell := func(n notice.Notice) {
		t.Helper()
		if err := d.Tell(t.Context(), kim, n); err != nil {
			t.Fatal(err)
		}
	}
	tell(alike(noon, notice.PasswordChanged, "192.0.2.1"))
	for i := range 70 {
		tell(alike(noon.Add(time.Duration(i)*time.Second), notice.NewDevice, fmt.Sprint("192.0.2.", i)))
		tell(alike(noon.Add(time.Duration(i)*time.Second), notice.FailedAttempts, fmt.Sprint("192.0.2.", i)))
	}
	count := map[notice.Kind]int{}
	for _, n := range told(t, d, kim) {
		if count[n.Kind]++; n.Kind == notice.FailedAttempts && n.Times != 70 {
			t.Errorf("%+v", n)
		}
	}
	if count[notice.PasswordChanged] != 1 || count[notice.NewDevice] != notice.KeptOfKind || count[notice.FailedAttempts] != 1 {
		t.Errorf("%v", count)
	}
}

// A changed password and its notice are one transaction: there is neither without
// the other.
func TestAPasswordAndItsNoticeAreOne(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, node func(directory.Config) *directory.Directory) {
		d := node(directory.Config{})
		kim := add(t, d, "kim")
		n := alike(noon, notice.PasswordChanged, "192.0.2.1")
		if err := d.ChangePassword(t.Context(), kim, "wrong", "another long password", n); !errors.Is(err, directory.ErrCredentials) {
			t.Fatal(err)
		}
		if lines := told(t, d, kim); lines != nil {
			t.Errorf("nothing was changed, and it was told: %+v", lines)
		}
		failing := node(directory.Config{Message: func(directory.Entry, notice.Notice, int) directory.Message {
			return directory.Message{ID: "the same"}
		}})
		if err := failing.SetPassword(t.Context(), kim, "another long password", n); err != nil {
			t.Fatal(err)
		}
		if err := failing.SetPassword(t.Context(), kim, "a third long password", n); err == nil { // the message is there already
			t.Fatal("a message twice")
		}
		if _, err := signIn(t, d, "kim", "another long password"); err != nil {
			t.Errorf("the password that was told of: %v", err)
		}
		if lines := told(t, d, kim); len(lines) != 1 || lines[0].Times != 1 {
			t.Errorf("%+v", lines)
		}
	})
}

func TestOutbox(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, node func(directory.Config) *directory.Directory) {
		config := directory.Config{Message: func(e directory.Entry, n notice.Notice, _ int) directory.Message {
			return directory.Message{ID: fmt.Sprint(e.Username, " ", n.Last.Sub(noon)), Body: []byte(e.Email + " " + string(n.Kind))}
		}}
		here, there := node(config), node(config)
		ctx := t.Context()
		kim, lee := add(t, here, "kim"), add(t, here, "lee")
		for i, id := range []session.UserID{kim, kim, lee} {
			if err := here.Tell(ctx, id, alike(noon.Add(time.Duration(i)*time.Second), notice.NewDevice, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		now := noon.Add(time.Minute)
		take := func(d *directory.Directory, most int, want ...string) []directory.Message {
			t.Helper()
			messages, err := d.TakeMessages(ctx, now, now.Add(time.Minute), most)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, m := range messages {
				ids = append(ids, m.ID)
			}
			if slices.Sort(ids); !slices.Equal(ids, want) {
				t.Fatalf("took %q, want %q", ids, want)
			}
			return messages
		}
		// The first of each person, and each once.
		taken := take(here, 10, "kim 0s", "lee 2s")
		take(there, 10)
		if w, err := there.WaitingMessages(ctx); err != nil || w.Messages != 3 || w.Failing != 0 || !w.Since.Equal(noon) {
			t.Errorf("%+v, %v", w, err)
		}
		for _, m := range taken {
			if m.Attempts != 1 || m.ID == "kim 0s" && (string(m.Body) != "kim@Example.org new_device" || !m.Made.Equal(noon)) {
				t.Errorf("%+v", m)
			}
			if m.ID == "lee 2s" {
				if err := here.DropMessage(ctx, m); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := here.PutBackMessage(ctx, m, now.Add(10*time.Second), "503"); err != nil {
				t.Fatal(err)
			}
		}
		take(there, 10) // theirs go on in order, or not yet
		if w, err := there.WaitingMessages(ctx); err != nil || w.Messages != 2 || w.Failing != 1 || w.Problem != "503" {
			t.Errorf("%+v, %v", w, err)
		}
		now = now.Add(10 * time.Second)
		first := take(there, 10, "kim 0s")[0]
		if first.Attempts != 2 {
			t.Errorf("%+v", first)
		}
		// Whoever took it is gone: it is anybody's a minute later, and what the first
		// one says then is too late.
		now = now.Add(time.Minute)
		again := take(here, 10, "kim 0s")[0]
		if err := there.PutBackMessage(ctx, first, now, "late"); err != nil {
			t.Fatal(err)
		}
		take(there, 10)
		if err := here.DropMessage(ctx, again); err != nil {
			t.Fatal(err)
		}
		take(there, 10, "kim 1s")
		if n, err := there.ForgetMessages(ctx, noon.Add(time.Second), 10); err != nil || n != 0 {
			t.Errorf("forgot %d, %v", n, err)
		}
		if err := here.Tell(ctx, lee, alike(noon.Add(-time.Hour), notice.NewDevice, "old")); err != nil {
			t.Fatal(err)
		}
		if n, err := there.ForgetMessages(ctx, noon, 10); err != nil || n != 1 {
			t.Errorf("forgot %d, %v", n, err)
		}
		if err := here.Erase(ctx, kim); err != nil {
			t.Fatal(err)
		}
		if w, err := there.WaitingMessages(ctx); err != nil || w.Messages != 0 || !w.Since.IsZero() {
			t.Errorf("erased: %+v, %v", w, err)
		}
	})
}

// Many nodes that take at once take each message once.
func TestAMessageIsTakenOnce(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, node func(directory.Config) *directory.Directory) {
		n := 0
		config := directory.Config{Message: func(directory.Entry, notice.Notice, int) directory.Message {
			n++
			return directory.Message{ID: fmt.Sprint(n), Body: []byte("{}")}
		}}
		nodes := []*directory.Directory{node(config), node(config), node(config)}
		for i := range 30 {
			id := add(t, nodes[0], fmt.Sprint("p", i))
			if err := nodes[0].Tell(t.Context(), id, alike(noon, notice.NewDevice, "")); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		taken := map[string]int{}
		var all sync.WaitGroup
		for _, d := range nodes {
			all.Go(func() {
				for range 12 {
					messages, err := d.TakeMessages(t.Context(), noon, noon.Add(time.Minute), 3)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					for _, m := range messages {
						taken[m.ID]++
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if len(taken) != 30 {
			t.Errorf("%d messages were taken", len(taken))
		}
		for id, times := range taken {
			if times != 1 {
				t.Errorf("%s was taken %d times", id, times)
			}
		}
	})
}
