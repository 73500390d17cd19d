package sqlitestore_test

import (
	"testing"
	"time"

	"github.com/vedfolnir/session"
)

// Lesson 2: deleting a session's row did not end it.
func TestLesson02_ALiveRowDeletedByHandIsInTheFeed(t *testing.T) {
	ctx := t.Context()
	s := open(t, emptyFile(t))
	at := time.Now().UTC().Truncate(time.Microsecond)
	id := session.ID{1, 2, 3}
	_, err := s.Create(ctx, session.Creation{Record: session.Record{Session: session.Session{
		ID: id, UserID: "1", Version: 1, CreatedAt: at, RenewedAt: at, LastActivity: at,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Changes(ctx, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(ctx, `DELETE FROM sessions WHERE id = ?`, id[:]); err != nil {
		t.Fatal(err)
	}
	after, err := s.Changes(ctx, before.Next, true)
	if err != nil || len(after.Changes) != 1 || after.Changes[0].Session != id || !after.Changes[0].Ended {
		t.Fatalf("%+v, %v", after, err)
	}
	if rev := after.Changes[0].Rev; rev != 2 {
		t.Errorf("rev %d, want 2: the user's other tabs list it no longer", rev)
	}
}
