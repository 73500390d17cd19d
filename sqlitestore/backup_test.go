package sqlitestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

// A backup that is made while sessions begin holds everything that was
// acknowledged before it began, and is whole.
func TestBackupWhileServing(t *testing.T) {
	path := file(t)
	s := open(t, path)
	var acknowledged []session.ID
	for range 20 {
		acknowledged = append(acknowledged, signIn(t, s, "alex").ID)
	}
	var stop atomic.Bool
	var load sync.WaitGroup
	defer load.Wait()
	defer stop.Store(true)
	for range 4 {
		load.Go(func() {
			for !stop.Load() {
				if _, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord("robin", start)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	copied := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if beside, _ := filepath.Glob(copied + "*"); len(beside) != 1 {
		t.Errorf("left behind: %v", beside)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	backup := open(t, copied)
	for _, id := range acknowledged {
		if _, err := backup.Get(t.Context(), id); err != nil {
			t.Errorf("session %s: %v", id, err)
		}
	}
	if err := backup.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestABackupNeverReplacesAFile(t *testing.T) {
	s := open(t, file(t))
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want os.ErrExist", err)
	}
	if content, _ := os.ReadFile(path); string(content) != "precious" {
		t.Errorf("the file holds %q", content)
	}
}

func TestABackupOfADamagedDatabaseIsRefused(t *testing.T) {
	path := file(t)
	s := open(t, path)
	for i := range 500 {
		signIn(t, s, session.UserID(strconv.Itoa(i)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(content) / 2; i < len(content)/2+20000; i++ { // five pages of rows
		content[i] ^= 0x5a
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
	if err != nil {
		return // refused even earlier
	}
	defer s.Close()
	copied := filepath.Join(t.TempDir(), "backup.db")
	if err := s.Backup(t.Context(), copied); err == nil {
		t.Error("a damaged database was copied as if it were whole")
	}
	if made, _ := os.ReadDir(filepath.Dir(copied)); len(made) != 0 {
		t.Errorf("left behind: %v", made)
	}
}
