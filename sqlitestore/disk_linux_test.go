package sqlitestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/storetest"
)

// The disk is a file system of 8 MB, which only root can make.
func TestADiskThatIsFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("cannot mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(disk, "sessions.db"))
	stored, err := fillUp(t, s)
	if len(stored) < 100 {
		t.Fatalf("%d sessions before the disk was full: %v", len(stored), err)
	}
	if _, ended := session.Ended(err); ended || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrLimit) {
		t.Errorf("a full disk is no answer: %v", err)
	}
	allThere := func() {
		t.Helper()
		for _, r := range stored {
			if got, err := s.Get(t.Context(), r.ID); err != nil || got.Secret != r.Secret {
				t.Fatalf("%s: %v", r.ID, err)
			}
		}
	}
	allThere()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SwitchPlatform(t.Context(), stored[0].ID, "12", start, 0); err != nil {
		t.Errorf("with room again: %v", err)
	}
	allThere()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// fillUp signs people in until it fails, and returns what was acknowledged.
func fillUp(t *testing.T, s session.Store) (stored []session.Record, err error) {
	for i := 0; ; i++ {
		created, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(session.UserID(strconv.Itoa(i)), start)})
		if err != nil {
			return stored, err
		}
		stored = append(stored, created.Record)
	}
}
