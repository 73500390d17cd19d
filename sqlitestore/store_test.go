package sqlitestore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// emptyFile returns the path of a database without sessions: a copy of one that was made
// once, for to make the tables takes longer than most promises do.
func emptyFile(t testing.TB) string {
	t.Helper()
	made, err := emptyDatabase()
	if err != nil {
		t.Fatal(err)
	}
	path := file(t)
	if err := os.WriteFile(path, made, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "sqlitestore")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "sessions.db")
	s, err := sqlitestore.Open(context.Background(), path, sqlitestore.Config{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

var start = time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if task, ok := tasks[os.Getenv("SQLITESTORE_TASK")]; ok {
		task(os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, emptyFile(t)) })
}

// The database in memory has its tables made for each promise.
func TestStoreInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, ":memory:") })
}

// Two stores with a file between them take turns as two processes do.
func TestTwoStoresOnOneFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		path := emptyFile(t)
		return storetest.Nodes(open(t, path), open(t, path))
	})
}

// Lesson 3: reading wrote.
func TestLesson03_AReadCannotWrite(t *testing.T) {
	s := open(t, file(t))
	for _, id := range []session.UserID{"alex", "robin"} {
		signIn(t, s, id)
	}
	before := read(t, s, 0)
	if _, err := s.Get(t.Context(), session.ID{1}); !errors.Is(err, session.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.SignInEpoch(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
	if n, err := s.Count(t.Context(), session.Cutoffs{}); err != nil || n != 2 {
		t.Error(n, err)
	}
	if after := read(t, s, 0); after.Next != before.Next {
		t.Errorf("reading moved the feed from %d to %d", before.Next, after.Next)
	}
	if err := s.WriteOnAReader(t.Context()); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a reader's connection took a write: %v", err)
	}
}

// Lesson 25: of two parallel writes of different fields one was lost.
func TestLesson25_ParallelChangesOfOneSessionAreAllThere(t *testing.T) {
	s := open(t, file(t))
	r := signIn(t, s, "alex")
	const n = 100
	inParallel(3*n, 3*n, func(i int) {
		at := start.Add(time.Duration(i) * time.Second)
		var err error
		switch i % 3 {
		case 0:
			_, _, err = s.SwitchPlatform(t.Context(), r.ID, session.PlatformID(strconv.Itoa(i)), at, 0)
		case 1:
			err = s.Touch(t.Context(), []session.Activity{{ID: r.ID, At: at}})
		case 2:
			err = refreshAnyVersion(t, s, r.ID, at)
		}
		if err != nil {
			t.Error(err)
		}
	})
	got, err := s.Get(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(1 + 2*n); got.Version != want {
		t.Errorf("version %d, want %d", got.Version, want)
	}
	if want := start.Add((3*n - 2) * time.Second); !got.LastActivity.Equal(want) {
		t.Errorf("last activity %v, want %v", got.LastActivity, want)
	}
}

func refreshAnyVersion(t *testing.T, s session.Store, id session.ID, at time.Time) error {
	for {
		r, err := s.Get(t.Context(), id)
		if err != nil {
			return err
		}
		if _, err = s.Refresh(t.Context(), id, r.Version, at); !errors.Is(err, session.ErrConflict) {
			return err
		}
	}
}

// Lesson 28: expired rows filled the database.
func TestLesson28_TheFileDoesNotGrowWithWhatIsOver(t *testing.T) {
	path := file(t)
	var sizes []int64
	for round := range 4 {
		s := open(t, path)
		at := start.Add(time.Duration(round) * 24 * time.Hour)
		inParallel(64, 1000, func(i int) {
			r := storetest.NewRecord(session.UserID(strconv.Itoa(i%100)), at)
			if _, err := s.Create(t.Context(), session.Creation{Record: r, Limit: 5}); err != nil {
				t.Error(err)
			}
		})
		for n := 1; n > 0; {
			ended, err := s.Expire(t.Context(), session.Expiring{Cutoffs: session.Cutoffs{Absolute: at}, At: at, Limit: 1000})
			if n = len(ended); err != nil {
				t.Fatal(err)
			}
		}
		for n := 1; n > 0; {
			var err error
			if n, err = s.Purge(t.Context(), session.Purging{EndedBefore: at.Add(time.Second), Limit: 1000}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	// Only the feed grows, until it is full.
	if sizes[3] > 2*sizes[0] {
		t.Errorf("the file grows: %v", sizes)
	}
}

// Lesson 38: a revoked token lived again after a restart.
func TestLesson38_WhatHasEndedHasEndedAfterARestart(t *testing.T) {
	path := file(t)
	s := open(t, path)
	kept, ended := signIn(t, s, "alex"), signIn(t, s, "alex")
	if _, err := s.End(t.Context(), session.Ending{User: "alex", ID: ended.ID, Reason: session.RevokedByAdmin, By: "admin", At: start}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	r, err := s.Get(t.Context(), kept.ID)
	if err != nil || !r.EndedAt.IsZero() {
		t.Errorf("the session that lives: %+v, %v", r, err)
	}
	_, _, err = s.SwitchPlatform(t.Context(), ended.ID, "12", start, 0)
	if reason, _ := session.Ended(err); reason != session.RevokedByAdmin {
		t.Errorf("the session that ended: %v", err)
	}
}

// A copy of the file opens no session.
func TestTheFileHoldsNoSecret(t *testing.T) {
	path := file(t)
	s := open(t, path)
	m, err := session.New(s, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, first, err := m.Create(t.Context(), session.CreateRequest{UserID: "alex"})
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := m.Rotate(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	var found []byte
	for _, name := range []string{path, path + "-wal"} {
		content, err := os.ReadFile(name) // nothing else in this process has the file open for long enough to mind
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, content...)
	}
	if !bytes.Contains(found, c.Session.ID[:]) {
		t.Fatal("the handle is not in the file: this test looks in the wrong place")
	}
	for _, token := range []session.Token{first, second} {
		_, secret, _ := strings.Cut(token.Reveal(), ".")
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if err != nil || len(raw) != 32 {
			t.Fatal(len(raw), err)
		}
		for _, form := range []string{secret, string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw)} {
			if bytes.Contains(found, []byte(form)) {
				t.Error("the file holds a secret")
			}
		}
	}
}

func TestStringsOfAnyBytes(t *testing.T) {
	s := open(t, file(t))
	r := storetest.NewRecord("a\x00b", start)
	r.Client.UserAgent = "x\x00y\xff" + strings.Repeat("z", 10_000)
	if _, err := s.Create(t.Context(), session.Creation{Record: r}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), r.ID)
	if err != nil || got.UserID != r.UserID || got.Client.UserAgent != r.Client.UserAgent {
		t.Errorf("%q, %q, %v", got.UserID, got.Client.UserAgent, err)
	}
}

func signIn(t testing.TB, s session.Store, user session.UserID) session.Record {
	t.Helper()
	created, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(user, start)})
	if err != nil {
		t.Fatal(err)
	}
	return created.Record
}

func read(t testing.TB, s session.Store, after uint64) session.Feed {
	t.Helper()
	feed, err := s.Changes(t.Context(), after, true)
	if err != nil {
		t.Fatal(err)
	}
	return feed
}
