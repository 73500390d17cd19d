package pgstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/storetest"
)

func audited(t testing.TB, url string) *pgstore.Store {
	return open(t, url, pgstore.Config{Audit: true})
}

func auditLines(t testing.TB, s *pgstore.Store) []audit.Line {
	t.Helper()
	lines, err := s.AuditAfter(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func signIn(t testing.TB, s session.Store, user session.UserID) session.Record {
	t.Helper()
	created, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(user, start)})
	if err != nil {
		t.Fatal(err)
	}
	return created.Record
}

// Every change has one line, and what was refused or changed nothing has none.
func TestEveryChangeHasItsLine(t *testing.T) {
	s := audited(t, testservers.PostgreSQL(t))
	began := time.Now().Add(-time.Millisecond)
	r := signIn(t, s, "alex")
	step := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := audit.WithRequestID(t.Context(), "a request")
	for range 2 { // the second changes nothing
		_, _, err := s.SwitchPlatform(ctx, r.ID, "12", start, 0)
		step(nil, err)
	}
	step(s.Refresh(t.Context(), r.ID, 2, start))
	if _, err := s.Refresh(t.Context(), r.ID, 2, start); !errors.Is(err, session.ErrConflict) {
		t.Fatal(err)
	}
	step(s.Rotate(t.Context(), r.ID, 3, session.Rotation{Action: "rotated", At: start, Secret: session.SecretHash{1}, Previous: session.SecretHash{2}, Client: r.Client}))
	step(s.End(t.Context(), session.Ending{User: "alex", ID: r.ID, Reason: session.RevokedByAdmin, By: "operator", At: start}))
	step(nil, s.Note(t.Context(), session.AuditEvent{Action: "sign_in_refused", User: "alex", Reason: "limit", By: "alex"}))
	for range 2 { // the first ends for the second, which is too old
		_, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord("alex", start), Limit: 1})
		step(nil, err)
	}
	late := start.Add(time.Hour)
	step(s.Expire(t.Context(), session.Expiring{Cutoffs: session.Cutoffs{Absolute: late}, At: late, Limit: 10}))
	tx, err := s.DB().BeginTx(t.Context(), nil)
	step(nil, err)
	step(nil, s.NoteIn(t.Context(), tx, session.AuditEvent{Action: "person_added", User: "alex", By: "operator"}))
	step(nil, tx.Commit())

	var got []string
	for i, l := range auditLines(t, s) {
		got = append(got, l.Action+" by "+l.By+" as "+string(l.Platform)+" "+string(l.Reason))
		if l.Seq != uint64(i+1) || l.User != "alex" || l.Time.Before(began) || l.Salt == (audit.Salt{}) {
			t.Errorf("line %d: %+v", i+1, l)
		}
		if i < 5 && (l.Session != r.ID || l.Client.IPAddress != r.Client.IPAddress || l.Client.UserAgent != r.Client.UserAgent) {
			t.Errorf("line %d: %+v", i+1, l)
		}
		if (l.RequestID == "a request") != (i == 1) {
			t.Errorf("line %d is of request %q", i+1, l.RequestID)
		}
	}
	first := string(r.PlatformID)
	want := []string{
		"created by alex as " + first + " ", "platform_switched by alex as 12 ", "refreshed by alex as 12 ",
		"rotated by alex as 12 ", "ended by operator as 12 revoked_by_admin", "sign_in_refused by alex as  limit",
		"created by alex as " + first + " ", "ended by system as " + first + " evicted_by_limit", "created by alex as " + first + " ",
		"ended by system as " + first + " absolute_timeout", "person_added by operator as  ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if end, err := s.AuditEnd(t.Context()); end != uint64(len(want)) || err != nil {
		t.Errorf("end %d, %v", end, err)
	}
}

func TestWithoutAuditThereAreNoLines(t *testing.T) {
	s := open(t, testservers.PostgreSQL(t), pgstore.Config{})
	signIn(t, s, "alex")
	if err := s.Note(t.Context(), session.AuditEvent{Action: "sign_in_refused"}); err != nil {
		t.Fatal(err)
	}
	if lines := auditLines(t, s); len(lines) != 0 {
		t.Errorf("%+v", lines)
	}
}

// Lines of several nodes, whose transactions are committed in any order, are numbered
// without holes, and a number that was shown stays; what is sealed meanwhile
// verifies, before and after a person was erased.
func TestLinesOfSeveralNodesAreNumberedAndSealed(t *testing.T) {
	url := testservers.PostgreSQL(t)
	nodes := []*pgstore.Store{audited(t, url), audited(t, url)}
	seed := bytes.Repeat([]byte{1}, 32)
	sealers := make([]*audit.Sealer, len(nodes))
	for i, s := range nodes {
		sealers[i] = &audit.Sealer{Store: s, Keys: audit.NewKeys([][]byte{seed}), Logger: slog.New(slog.DiscardHandler)}
	}
	const each = 60
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range each {
				user := session.UserID([]byte{'a' + byte(i)})
				if err := nodes[(i+n)%2].Note(t.Context(), session.AuditEvent{Action: "tested", User: user, By: string(user)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	shown := map[uint64]audit.Line{}
	look := func() {
		for i, s := range nodes {
			if _, err := sealers[i].Seal(t.Context()); err != nil {
				t.Error(err)
			}
			for at, l := range auditLines(t, s) {
				if before, ok := shown[l.Seq]; ok && before != l || l.Seq != uint64(at+1) {
					t.Errorf("line %d is %+v, and was %+v", at+1, l, before)
				}
				shown[l.Seq] = l
			}
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		look()
	}
	if len(shown) != 8*each {
		t.Errorf("%d lines of %d", len(shown), 8*each)
	}
	verify := func(erased uint64) {
		t.Helper()
		r, err := audit.Verify(t.Context(), nodes[1], sealers[0].Keys)
		if err != nil || len(r.Findings) > 0 || r.Sealed != 8*each || r.Unsealed != 0 || !r.Sure || r.Erased != erased {
			t.Errorf("%+v, %v", r, err)
		}
	}
	verify(0)
	if sessions, lines, err := nodes[0].EraseUser(t.Context(), "a"); sessions != 0 || lines != each || err != nil {
		t.Errorf("erased %d sessions, %d lines, %v", sessions, lines, err)
	}
	verify(each)
	if _, err := nodes[1].DB().ExecContext(t.Context(), `UPDATE session_audit SET action = 'other' WHERE seq = 7`); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Verify(t.Context(), nodes[0], sealers[0].Keys); err != nil || len(r.Findings) == 0 || r.Findings[0].First != 7 {
		t.Errorf("an altered line: %+v, %v", r.Findings, err)
	}
}

func TestPurgeLeavesTheRestVerifiable(t *testing.T) {
	s := audited(t, testservers.PostgreSQL(t))
	sealer := &audit.Sealer{Store: s, Keys: audit.NewKeys([][]byte{bytes.Repeat([]byte{1}, 32)}), Logger: slog.New(slog.DiscardHandler)}
	for range 3 {
		signIn(t, s, "alex")
		if n, err := sealer.Seal(t.Context()); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := sealer.Purge(t.Context(), time.Now().Add(time.Hour)); n == 0 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	r, err := audit.Verify(t.Context(), s, sealer.Keys)
	if err != nil || len(r.Findings) > 0 || r.Oldest == 1 {
		t.Errorf("%+v, %v", r, err)
	}
	signIn(t, s, "alex")
	if end, err := s.AuditEnd(t.Context()); end != 4 || err != nil {
		t.Errorf("numbers began anew: %d, %v", end, err)
	}
}

func TestEverySessionOfAPersonAndItsErasure(t *testing.T) {
	s := audited(t, testservers.PostgreSQL(t))
	first, second, other := signIn(t, s, "alex"), signIn(t, s, "alex"), signIn(t, s, "robin")
	for id, e := range map[session.ID]session.Ending{
		first.ID: {Reason: session.SignedOut, By: "alex"}, second.ID: {Reason: session.UserDisabled, By: "operator"},
	} {
		e.User, e.ID, e.At = "alex", id, start
		if _, err := s.End(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for again, want := range [][2]int{{2, 4}, {0, 0}} {
		if sessions, lines, err := s.EraseUser(t.Context(), "alex"); sessions != want[0] || lines != want[1] || err != nil {
			t.Errorf("%d: %d sessions, %d lines, %v", again, sessions, lines, err)
		}
	}
	all, err := s.EverySession(t.Context(), "alex")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, r := range all {
		if r.Client != (session.Client{}) || r.PlatformID != "" || r.Fingerprint != "" || r.EndedBy == "alex" || r.EndReason == "" {
			t.Errorf("%+v", r)
		}
	}
	if r, err := s.Get(t.Context(), other.ID); err != nil || r != other {
		t.Errorf("%+v, %v", r, err)
	}
}
