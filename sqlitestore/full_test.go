package sqlitestore

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/storetest"
)

// A file that may grow no further fails as one on a full disk does: changes err,
// reads go on, and nothing is damaged.
func TestAFileThatIsFull(t *testing.T) {
	s := openHere(t, newFile(t), Config{})
	setLimit := func(pages int) {
		t.Helper()
		if _, err := s.writer.conn.one(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	create := func(i int) (session.Record, error) {
		created, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(session.UserID(strconv.Itoa(i)), at)})
		return created.Record, err
	}
	setLimit(60)
	var stored []session.Record
	var err error
	for err == nil {
		var r session.Record
		if r, err = create(len(stored)); err == nil {
			stored = append(stored, r)
		}
	}
	var full *sqlite.Error
	if !errors.As(err, &full) || full.Code() != sqlite3.SQLITE_FULL {
		t.Fatalf("after %d sessions: %v, want that it is full", len(stored), err)
	}
	for _, r := range stored {
		if _, err := s.Get(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	setLimit(1 << 30)
	if _, err := create(len(stored)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
