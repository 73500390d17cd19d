package sqlitestore_test

import (
	"testing"

	"github.com/vedfolnir/session"
)

// What is stored of a person is all there, and empty once they are erased; others
// keep theirs, and an ended session says still why it did.
func TestEverySessionOfAPersonAndItsErasure(t *testing.T) {
	s := audited(t, emptyFile(t))
	first, second := signIn(t, s, "alex"), signIn(t, s, "alex")
	other := signIn(t, s, "robin")
	end := func(e session.Ending) {
		t.Helper()
		if _, err := s.End(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	end(session.Ending{User: "alex", ID: first.ID, Reason: session.SignedOut, By: "alex", At: start})
	all, err := s.EverySession(t.Context(), "alex")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	end(session.Ending{User: "alex", ID: second.ID, Reason: session.UserDisabled, By: "operator", At: start})
	if sessions, lines, err := s.EraseUser(t.Context(), "alex"); sessions != 2 || lines != 4 || err != nil {
		t.Errorf("%d sessions, %d lines, %v", sessions, lines, err)
	}
	if sessions, lines, err := s.EraseUser(t.Context(), "alex"); sessions != 0 || lines != 0 || err != nil {
		t.Errorf("again: %d sessions, %d lines, %v", sessions, lines, err)
	}
	all, err = s.EverySession(t.Context(), "alex")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i, r := range all {
		if r.Client != (session.Client{}) || r.PlatformID != "" || r.Fingerprint != "" || r.EndedBy == "alex" {
			t.Errorf("%+v", r)
		}
		if want := []session.Reason{session.SignedOut, session.UserDisabled}; r.EndReason != want[i] && r.EndReason != want[1-i] {
			t.Errorf("%+v", r)
		}
	}
	if r, err := s.Get(t.Context(), other.ID); err != nil || r.Client != other.Client || r.PlatformID != other.PlatformID {
		t.Errorf("%+v, %v", r, err)
	}
	if lines := auditLines(t, s); lines[2].User != "robin" || lines[2].Erased() {
		t.Errorf("%+v", lines[2])
	}
}
