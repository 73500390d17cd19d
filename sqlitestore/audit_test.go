package sqlitestore_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/sqlitestore"
	"github.com/vedfolnir/session/storetest"
)

func audited(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{Audit: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func auditLines(t testing.TB, s *sqlitestore.Store) []audit.Line {
	t.Helper()
	lines, err := s.AuditAfter(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Every change has one line, and what was refused or changed nothing has none.
func TestEveryChangeHasItsLine(t *testing.T) {
	s := audited(t, filepath.Join(t.TempDir(), "v.db"))
	began := time.Now().Add(-time.Millisecond)
	r := signIn(t, s, "alex")
	step := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	platform := func(p session.PlatformID) {
		t.Helper()
		_, _, err := s.SwitchPlatform(t.Context(), r.ID, p, start, 0)
		step(nil, err)
	}
	platform("12")
	platform("12") // changes nothing
	step(s.Refresh(t.Context(), r.ID, 2, start))
	if _, err := s.Refresh(t.Context(), r.ID, 2, start); !errors.Is(err, session.ErrConflict) {
		t.Fatal(err)
	}
	step(s.Rotate(t.Context(), r.ID, 3, session.Rotation{Action: "rotated", At: start, Secret: session.SecretHash{1}, Previous: session.SecretHash{2}, Client: r.Client}))
	seen := session.Client{UserAgent: "curl/8", IPAddress: "203.0.113.5"}
	step(s.Suspect(t.Context(), r.ID, 4, session.Suspicion{Signals: "user_agent_changed=1", Why: "user_agent_changed 40, score 40: none", Client: seen}))
	if _, err := s.Suspect(t.Context(), r.ID, 4, session.Suspicion{Why: "too late"}); !errors.Is(err, session.ErrConflict) {
		t.Fatal(err)
	}
	step(s.End(t.Context(), session.Ending{User: "alex", ID: r.ID, Reason: session.RevokedByAdmin, By: "operator", At: start}))
	step(nil, s.Note(t.Context(), session.AuditEvent{Action: "sign_in_refused", User: "alex", Reason: "limit", By: "alex"}))

	var got []string
	for i, l := range auditLines(t, s) {
		got = append(got, l.Action+" by "+l.By+" as "+string(l.Platform)+" "+string(l.Reason))
		if l.Seq != uint64(i+1) || l.User != "alex" || l.Time.Before(began) {
			t.Errorf("line %d: %+v", i+1, l)
		}
		from := r.Client.IPAddress
		if l.Action == "noticed" { // whose request it was
			from = seen.IPAddress
		}
		if i < 6 && (l.Session != r.ID || l.Client.IPAddress != from) {
			t.Errorf("line %d: %+v", i+1, l)
		}
	}
	first := string(r.PlatformID)
	want := []string{
		"created by alex as " + first + " ", "platform_switched by alex as 12 ", "refreshed by alex as 12 ",
		"rotated by alex as 12 ", "noticed by system as 12 user_agent_changed 40, score 40: none", "ended by operator as 12 revoked_by_admin", "sign_in_refused by alex as  limit",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if end, err := s.AuditEnd(t.Context()); end != 7 || err != nil {
		t.Errorf("end %d, %v", end, err)
	}
}

// A limit's victims and the sweep's are told too, with who did it.
func TestEndsByLimitAndTimeHaveTheirLines(t *testing.T) {
	s := audited(t, ":memory:")
	for range 2 {
		_, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord("alex", start), Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
	}
	late := start.Add(time.Hour)
	_, err := s.Expire(t.Context(), session.Expiring{Cutoffs: session.Cutoffs{Absolute: late, Lifetime: late, Idle: late}, At: late, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, l := range auditLines(t, s) {
		if l.Action == "ended" {
			ends = append(ends, l.By)
		}
	}
	if !slices.Equal(ends, []string{session.System, session.System}) {
		t.Errorf("ended by %q", ends)
	}
}

func TestWithoutAuditThereAreNoLines(t *testing.T) {
	s := open(t, ":memory:")
	signIn(t, s, "alex")
	if err := s.Note(t.Context(), session.AuditEvent{Action: "sign_in_refused"}); err != nil {
		t.Fatal(err)
	}
	if lines := auditLines(t, s); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
	if end, err := s.AuditEnd(t.Context()); end != 0 || err != nil {
		t.Errorf("end %d, %v", end, err)
	}
}
