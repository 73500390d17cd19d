package sqlitestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/sqlitestore"
)

func seed(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// clock is moved by the test.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func sealerOf(s *sqlitestore.Store, c *clock, seeds ...[]byte) *audit.Sealer {
	return &audit.Sealer{Store: s, Keys: audit.NewKeys(seeds), Now: c.now, Logger: slog.New(slog.DiscardHandler)}
}

func sealNow(t *testing.T, s *audit.Sealer, want int) {
	t.Helper()
	if n, err := s.Seal(t.Context()); n != want || err != nil {
		t.Fatalf("sealed %d, %v; want %d", n, err, want)
	}
}

func verified(t *testing.T, s *sqlitestore.Store, keys audit.Keys, kept ...audit.Checkpoint) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), s, keys, kept...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sealedFile has four checkpoints of three lines each, and one line after them.
func sealedFile(t *testing.T) (*sqlitestore.Store, *audit.Sealer) {
	s := audited(t, emptyFile(t))
	sealer := sealerOf(s, &clock{start}, seed(1))
	for range 4 {
		r := signIn(t, s, "alex")
		for _, p := range []session.PlatformID{"12", "13"} {
			if _, _, err := s.SwitchPlatform(t.Context(), r.ID, p, start, 0); err != nil {
				t.Fatal(err)
			}
		}
		sealNow(t, sealer, 3)
	}
	signIn(t, s, "robin")
	return s, sealer
}

func TestWhatIsSealedVerifies(t *testing.T) {
	s, sealer := sealedFile(t)
	r := verified(t, s, sealer.Keys)
	if len(r.Findings) != 0 || r.Sealed != 12 || r.Unsealed != 1 || r.Checkpoints != 4 || !r.Sure || r.Oldest != 1 {
		t.Errorf("%+v", r)
	}
	sealNow(t, sealer, 1)
	sealNow(t, sealer, 0)
	if r := verified(t, s, sealer.Keys); len(r.Findings) != 0 || r.Sealed != 13 || r.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
}

// What is done to sealed lines by whoever can write to the database, and has no key.
func TestTamperingIsFound(t *testing.T) {
	swap := func(a, b string) string {
		return "UPDATE session_audit SET seq = -1 WHERE seq = " + a + "; UPDATE session_audit SET seq = " + a + " WHERE seq = " + b + "; UPDATE session_audit SET seq = " + b + " WHERE seq = -1"
	}
	const copied = "at, action, user_id, session, platform_id, reason, by, ip_address, user_agent, request_id, salt, personal"
	for name, c := range map[string]struct {
		sql   string
		kind  audit.Kind
		first uint64
	}{
		"altered: what":                       {"UPDATE session_audit SET action = 'ended' WHERE seq = 5", audit.Altered, 5},
		"altered: when":                       {"UPDATE session_audit SET at = at + 1 WHERE seq = 5", audit.Altered, 5},
		"altered: whose session":              {"UPDATE session_audit SET session = randomblob(16) WHERE seq = 5", audit.Altered, 5},
		"altered: why":                        {"UPDATE session_audit SET reason = 'limit' WHERE seq = 5", audit.Altered, 5},
		"altered: which request":              {"UPDATE session_audit SET request_id = 'X' WHERE seq = 5", audit.Altered, 5},
		"altered: who":                        {"UPDATE session_audit SET user_id = 'robin' WHERE seq = 5", audit.Altered, 5},
		"altered: by whom":                    {"UPDATE session_audit SET by = 'operator' WHERE seq = 5", audit.Altered, 5},
		"altered: where":                      {"UPDATE session_audit SET ip_address = '198.51.100.9' WHERE seq = 5", audit.Altered, 5},
		"altered: with what":                  {"UPDATE session_audit SET user_agent = 'curl' WHERE seq = 5", audit.Altered, 5},
		"altered: as which platform":          {"UPDATE session_audit SET platform_id = '99' WHERE seq = 5", audit.Altered, 5},
		"altered: salt":                       {"UPDATE session_audit SET salt = randomblob(16) WHERE seq = 5", audit.Altered, 5},
		"altered: passed off as erased":       {"erase alex; UPDATE session_audit SET user_id = 'robin', ip_address = '198.51.100.9' WHERE seq = 5", audit.Altered, 5},
		"altered: by whom, once it is erased": {"erase alex; UPDATE session_audit SET by = 'robin' WHERE seq = 5", audit.Altered, 5},
		"altered: erased as another":          {"UPDATE session_audit SET user_id = '', salt = NULL, personal = randomblob(32) WHERE seq = 5", audit.Altered, 5},
		"removed":                             {"DELETE FROM session_audit WHERE seq = 5", audit.Removed, 5},
		"removed: a whole batch":              {"DELETE FROM session_audit WHERE seq IN (4, 5, 6)", audit.Removed, 4},
		"removed, the others moved up":        {"DELETE FROM session_audit WHERE seq = 5; UPDATE session_audit SET seq = -seq + 1 WHERE seq > 5; UPDATE session_audit SET seq = -seq WHERE seq < 0", audit.Moved, 5},
		"removed: the old end":                {"DELETE FROM session_audit WHERE seq < 3", audit.Removed, 1},
		"removed: the old end, with its seal": {"DELETE FROM session_audit WHERE seq < 4; DELETE FROM session_audit_checkpoints WHERE number = 1", audit.Removed, 1},
		"inserted, the others moved down": {
			"UPDATE session_audit SET seq = -seq - 1 WHERE seq >= 5; UPDATE session_audit SET seq = -seq WHERE seq < 0; " +
				"INSERT INTO session_audit SELECT 5, " + copied + " FROM session_audit WHERE seq = 1", audit.Altered, 5,
		},
		"moved":                                   {swap("4", "6"), audit.Moved, 4},
		"moved to another batch":                  {swap("5", "11"), audit.Altered, 5},
		"cut":                                     {"DELETE FROM session_audit WHERE seq > 10", audit.Removed, 11},
		"cut to the last line of a batch":         {"DELETE FROM session_audit WHERE seq > 9", audit.Removed, 10},
		"cut, with the newest checkpoint":         {"DELETE FROM session_audit WHERE seq > 9; DELETE FROM session_audit_checkpoints WHERE number = 4", audit.Cut, 10},
		"cut, with the end's checkpoint":          {"DELETE FROM session_audit_checkpoints WHERE number = 4; DELETE FROM session_audit WHERE seq > 11", audit.Cut, 10},
		"everything is gone":                      {"DELETE FROM session_audit; DELETE FROM session_audit_checkpoints", audit.Cut, 1},
		"a checkpoint says another link":          {"UPDATE session_audit_checkpoints SET link = randomblob(32) WHERE number = 2", audit.Forged, 4},
		"a checkpoint says another end":           {"UPDATE session_audit_checkpoints SET last = 5, links = substr(links, 1, 64) WHERE number = 2", audit.Forged, 4},
		"a checkpoint says another time":          {"UPDATE session_audit_checkpoints SET at = at + 1 WHERE number = 2", audit.Forged, 4},
		"a checkpoint is another, renumbered":     {"DELETE FROM session_audit_checkpoints WHERE number = 2; UPDATE session_audit_checkpoints SET number = 2 WHERE number = 3", audit.Forged, 7},
		"a checkpoint is missing":                 {"DELETE FROM session_audit_checkpoints WHERE number = 2", audit.Removed, 4},
		"a checkpoint is missing, with its lines": {"DELETE FROM session_audit_checkpoints WHERE number = 2; DELETE FROM session_audit WHERE seq IN (4, 5, 6)", audit.Removed, 4},
		"links are made to fit":                   {"UPDATE session_audit SET reason = 'limit' WHERE seq = 5; UPDATE session_audit_checkpoints SET links = CAST(substr(links, 1, 32) || randomblob(64) AS BLOB) WHERE number = 2", audit.Altered, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, sealer := sealedFile(t)
			state, err := s.AuditState(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if erase, ok := strings.CutPrefix(c.sql, "erase alex; "); ok {
				if _, err := s.EraseAudit(t.Context(), "alex"); err != nil {
					t.Fatal(err)
				}
				c.sql = erase
			}
			if _, err := s.DB().ExecContext(t.Context(), c.sql); err != nil {
				t.Fatal(err)
			}
			r := verified(t, s, sealer.Keys, state.Newest)
			if len(r.Findings) == 0 {
				t.Fatal("nothing was found")
			}
			if f := r.Findings[0]; f.Kind != c.kind || f.First != c.first {
				t.Errorf("found %s at %d (%v), want %s at %d", f.Kind, f.First, f, c.kind, c.first)
			}
		})
	}
}

// Somebody who recomputes all links has no key for the checkpoint.
func TestAChainThatWasComputedAnewHasNoSignature(t *testing.T) {
	s, sealer := sealedFile(t)
	if _, err := s.DB().ExecContext(t.Context(), `UPDATE session_audit SET reason = 'limit' WHERE seq = 2;
		DELETE FROM session_audit_checkpoints; UPDATE session_audit_lease SET until = 0`); err != nil {
		t.Fatal(err)
	}
	stranger := sealerOf(s, &clock{start}, seed(9))
	sealNow(t, stranger, 13)
	r := verified(t, s, sealer.Keys)
	if r.Sure || r.Unchecked != 1 {
		t.Errorf("%+v: it cannot be sure of a chain that is signed by nobody it knows", r)
	}
	if _, err := s.DB().ExecContext(t.Context(), `UPDATE session_audit_checkpoints SET key = ?`, keyOf(sealer)); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s, sealer.Keys); len(r.Findings) == 0 || r.Findings[0].Kind != audit.Forged {
		t.Errorf("%+v", r)
	}
}

func keyOf(s *audit.Sealer) string {
	id, _ := s.Keys.Public()
	return id
}

func TestErasingAPersonLeavesTheChainWhole(t *testing.T) {
	s := audited(t, emptyFile(t))
	sealer := sealerOf(s, &clock{start}, seed(1))
	r := signIn(t, s, "alex")
	other := signIn(t, s, "robin")
	for _, e := range []session.Ending{
		{User: "robin", ID: other.ID, Reason: session.SignedOut, By: "alex", At: start}, // in robin's browser
		{User: "alex", ID: r.ID, Reason: session.RevokedByAdmin, By: "operator:kim", At: start},
	} {
		if _, err := s.End(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	sealNow(t, sealer, 4)
	signIn(t, s, "alex") // erased before it is sealed
	if n, err := s.EraseAudit(t.Context(), "alex"); n != 4 || err != nil {
		t.Fatalf("erased %d, %v", n, err)
	}
	sealNow(t, sealer, 1)
	report := verified(t, s, sealer.Keys)
	if len(report.Findings) != 0 || report.Erased != 4 || report.Sealed != 5 {
		t.Errorf("%+v", report)
	}
	for _, l := range auditLines(t, s) {
		if l.Seq == 2 {
			if l.User != "robin" || l.Erased() {
				t.Errorf("%+v: nobody asked for robin's", l)
			}
			continue
		}
		if l.User != "" || l.Platform != "" || l.Client != (session.Client{}) || l.By == "alex" || l.Salt != (audit.Salt{}) || l.Session.IsZero() {
			t.Errorf("%+v", l)
		}
		if l.Seq == 4 && l.By != "operator:kim" {
			t.Errorf("%+v: the operator stays", l)
		}
	}
	var n int
	err := s.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM session_audit WHERE 'alex' IN (user_id, by)`).Scan(&n)
	if n != 0 || err != nil {
		t.Errorf("%d lines name them still, %v", n, err)
	}
	if n, err := s.EraseAudit(t.Context(), "alex"); n != 0 || err != nil {
		t.Errorf("erased again: %d, %v", n, err)
	}
}

// Old lines go from the old end, up to a checkpoint; the rest verifies, numbers go
// on, and what somebody else removes at the old end is told from it.
func TestPurgeLeavesTheRestVerifiable(t *testing.T) {
	s := audited(t, emptyFile(t))
	c := &clock{start}
	sealer := sealerOf(s, c, seed(1))
	for range 4 {
		signIn(t, s, "alex")
		signIn(t, s, "alex")
		sealNow(t, sealer, 2)
		c.Time = c.Add(24 * time.Hour)
	}
	if n, err := sealer.Purge(t.Context(), start.Add(30*time.Hour)); n != 4 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	r := verified(t, s, sealer.Keys)
	if len(r.Findings) != 0 || r.Oldest != 5 || r.Sealed != 4 || !r.Sure {
		t.Errorf("%+v", r)
	}
	if n, err := sealer.Purge(t.Context(), start.Add(30*time.Hour)); n != 0 || err != nil {
		t.Errorf("removed again: %d, %v", n, err)
	}
	if r := verified(t, s, sealer.Keys); r.Checkpoints != 3 {
		t.Errorf("%d checkpoints: nothing was there to be signed for", r.Checkpoints)
	}
	// The newest line stays, so that numbers do not begin anew.
	signIn(t, s, "alex")
	sealNow(t, sealer, 1)
	if n, err := sealer.Purge(t.Context(), start.Add(1000*time.Hour)); n != 4 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	signIn(t, s, "alex")
	sealNow(t, sealer, 1)
	if r := verified(t, s, sealer.Keys); len(r.Findings) != 0 || r.Oldest != 9 || r.Newest.Last != 10 {
		t.Errorf("%+v", r)
	}
	if _, err := s.DB().ExecContext(t.Context(), `DELETE FROM session_audit WHERE seq = 9`); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s, sealer.Keys); len(r.Findings) == 0 || r.Findings[0].Kind != audit.Removed {
		t.Errorf("%+v", r)
	}
}

// A removal that stops halfway, after it was signed for, is not taken for another's.
func TestAPurgeThatStoppedHalfwayVerifies(t *testing.T) {
	s := audited(t, emptyFile(t))
	c := &clock{start}
	sealer := sealerOf(s, c, seed(1))
	for range 6 {
		signIn(t, s, "alex")
		signIn(t, s, "alex")
		sealNow(t, sealer, 2)
		c.Time = c.Add(time.Hour)
	}
	stops := &stopping{Store: s}
	sealer.Store = stops
	if _, err := sealer.Purge(t.Context(), start.Add(3*time.Hour+time.Minute)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if r := verified(t, s, sealer.Keys); len(r.Findings) != 0 || r.Oldest != 9 {
		t.Errorf("%+v", r)
	}
	sealer.Store = s
	if n, err := sealer.Purge(t.Context(), start); n != 5 || err != nil {
		t.Errorf("the rest of it: %d, %v", n, err)
	}
	if r := verified(t, s, sealer.Keys); len(r.Findings) != 0 || r.Oldest != 9 {
		t.Errorf("%+v", r)
	}
}

// stopping fails after the first few lines.
type stopping struct{ audit.Store }

func (s *stopping) RemoveAudit(ctx context.Context, oldest uint64, _ int) (int, error) {
	n, err := s.Store.RemoveAudit(ctx, oldest, 3)
	return n, errors.Join(err, io.ErrUnexpectedEOF)
}

// Of several processes one seals; if it dies another one takes over.
func TestOneSealerAmongProcesses(t *testing.T) {
	path := emptyFile(t)
	one, two := audited(t, path), audited(t, path)
	c := &clock{start}
	first, second := sealerOf(one, c, seed(1)), sealerOf(two, c, seed(1))
	signIn(t, one, "alex")
	sealNow(t, first, 1)
	signIn(t, two, "alex")
	sealNow(t, second, 0)
	if n, err := second.Purge(t.Context(), start.Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("removed %d, %v, without the lease", n, err)
	}
	c.Time = c.Add(10*time.Second - time.Microsecond)
	sealNow(t, second, 0)
	c.Time = c.Add(time.Microsecond) // the lease is over, and the first one is not there
	sealNow(t, second, 1)
	signIn(t, one, "alex")
	sealNow(t, first, 0)
	if _, err := second.Finish(t.Context()); err != nil { // which gives it back
		t.Fatal(err)
	}
	signIn(t, one, "alex")
	sealNow(t, first, 1)
	if r := verified(t, one, first.Keys); len(r.Findings) != 0 || r.Sealed != 4 {
		t.Errorf("%+v", r)
	}
}

// Two that both believe it is their turn: the store lets one through.
func TestTwoSealersNeverSealTheSame(t *testing.T) {
	s := audited(t, emptyFile(t))
	b := audit.Sealing{Holder: "one", Now: start, Until: start.Add(time.Second), Latest: start.Add(time.Minute)}
	b.Number, b.From, b.At, b.Sign = 1, 1, start, []byte{1}
	if err := s.SealAudit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	b.Number = 2
	if err := s.SealAudit(t.Context(), b); !errors.Is(err, audit.ErrNotSealer) {
		t.Errorf("%v: somebody has sealed since", err)
	}
	b.After, b.Holder = 1, "two"
	if err := s.SealAudit(t.Context(), b); !errors.Is(err, audit.ErrNotSealer) {
		t.Errorf("%v: somebody else holds the lease", err)
	}
	b.Now = b.Until
	if err := s.SealAudit(t.Context(), b); err != nil {
		t.Error(err)
	}
}

// A key is replaced: what the old one signed verifies with both; the new one alone
// vouches for everything, too.
func TestVerificationOutlivesAKey(t *testing.T) {
	s := audited(t, emptyFile(t))
	c := &clock{start}
	signIn(t, s, "alex")
	before := sealerOf(s, c, seed(1))
	sealNow(t, before, 1)
	if _, err := before.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := sealerOf(s, c, seed(2), seed(1))
	sealNow(t, after, 0) // and yet it signs, so that the old key can be dropped
	if r := verified(t, s, after.Keys); len(r.Findings) != 0 || !r.Sure || r.Unchecked != 0 {
		t.Errorf("with both: %+v", r)
	}
	alone := audit.NewKeys([][]byte{seed(2)})
	if r := verified(t, s, alone); len(r.Findings) != 0 || !r.Sure || r.Unchecked != 2 {
		t.Errorf("with the new one: %+v", r)
	}
	if r := verified(t, s, audit.NewKeys([][]byte{seed(1)})); r.Sure {
		t.Errorf("with the old one alone: %+v", r)
	}
	if _, err := s.DB().ExecContext(t.Context(), `UPDATE session_audit SET reason = 'limit' WHERE seq = 1`); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s, alone); len(r.Findings) != 1 {
		t.Errorf("altered: %+v", r)
	}
}

// memoryWitness keeps it where the database is not.
type memoryWitness struct{ audit.Checkpoint }

func (m *memoryWitness) Load() (audit.Checkpoint, error) { return m.Checkpoint, nil }

func (m *memoryWitness) Save(c audit.Checkpoint) error {
	m.Checkpoint = c
	return nil
}

// A report is bounded, and says that there is more: what it leaves out may be news.
func TestAReportSaysThatThereIsMore(t *testing.T) {
	s := audited(t, emptyFile(t))
	sealer := sealerOf(s, &clock{start}, seed(1))
	if _, err := s.DB().ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
		INSERT INTO session_audit (at, action, user_id, platform_id, reason, by, ip_address, user_agent, salt)
		SELECT i, 'created', 'alex', '', '', 'alex', '', '', randomblob(16) FROM n`); err != nil {
		t.Fatal(err)
	}
	sealNow(t, sealer, 120)
	if _, err := s.DB().ExecContext(t.Context(), `UPDATE session_audit SET reason = 'limit'`); err != nil {
		t.Fatal(err)
	}
	if r := verified(t, s, sealer.Keys); len(r.Findings) != 100 || r.Further != 20 {
		t.Errorf("%d findings and %d more", len(r.Findings), r.Further)
	}
}

// Everything goes, and the server goes on: what it seals from then on does not
// pass for the beginning.
func TestABeginningAnewIsNotTheBeginning(t *testing.T) {
	s := audited(t, emptyFile(t))
	kept := &memoryWitness{}
	sealer := sealerOf(s, &clock{start}, seed(1))
	sealer.Witness = kept
	signIn(t, s, "alex")
	sealNow(t, sealer, 1)
	if _, err := s.DB().ExecContext(t.Context(), `DELETE FROM session_audit; DELETE FROM session_audit_checkpoints`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		signIn(t, s, "robin")
		sealNow(t, sealer, 1)
	}
	r := verified(t, s, sealer.Keys, kept.Checkpoint)
	if len(r.Findings) != 1 || r.Findings[0].Kind != audit.Cut || r.Findings[0].Checkpoint != 2 {
		t.Errorf("%+v", r.Findings)
	}
}

// A lease that is taken in a sealer's name does not make it forget how far the
// audit came.
func TestALeaseOfAnothersHidesNoCut(t *testing.T) {
	s := audited(t, emptyFile(t))
	kept := &memoryWitness{}
	c := &clock{start}
	sealer := sealerOf(s, c, seed(1))
	sealer.Witness = kept
	for range 3 {
		signIn(t, s, "alex")
		sealNow(t, sealer, 1)
	}
	if _, err := s.DB().ExecContext(t.Context(), `DELETE FROM session_audit WHERE seq > 1; DELETE FROM session_audit_checkpoints WHERE number > 1;
		UPDATE session_audit_lease SET holder = 'nobody', until = ?`, start.Add(time.Second).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	sealNow(t, sealer, 0)
	c.Time = c.Add(2 * time.Second)
	signIn(t, s, "alex")
	sealNow(t, sealer, 1)
	if r := verified(t, s, sealer.Keys, kept.Checkpoint); len(r.Findings) != 1 || r.Findings[0].Kind != audit.Cut {
		t.Errorf("%+v", r.Findings)
	}
}

// No lease lasts longer than one, whatever it says: it was taken by a clock that
// was ahead, or to keep everybody from sealing.
func TestNoLeaseKeepsFromSealingForLong(t *testing.T) {
	for name, sql := range map[string]string{
		"by a clock that was ahead": `UPDATE session_audit_lease SET holder = 'ended since', until = until + 31536000000000`,
		"by nobody":                 `DELETE FROM session_audit_lease`,
	} {
		t.Run(name, func(t *testing.T) {
			s := audited(t, emptyFile(t))
			sealer := sealerOf(s, &clock{start}, seed(1))
			signIn(t, s, "alex")
			sealNow(t, sealer, 1)
			if _, err := s.DB().ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
			signIn(t, s, "alex")
			if r := verified(t, s, sealer.Keys); r.Unsealed != 1 {
				t.Errorf("%+v: there is a line that waits", r)
			}
			sealNow(t, sealer, 1)
			sealNow(t, sealerOf(s, &clock{start}, seed(1)), 0) // and it has the lease again
		})
	}
}

// The end is cut off, with its checkpoints, and the server goes on: it says so, and
// leaves a hole in the numbers that stays.
func TestACutEndIsNotPaperedOver(t *testing.T) {
	for name, restarted := range map[string]bool{"under a running server": false, "while it was stopped": true} {
		t.Run(name, func(t *testing.T) {
			s := audited(t, emptyFile(t))
			c, kept := &clock{start}, &memoryWitness{}
			var log bytes.Buffer
			begin := func() *audit.Sealer {
				sealer := sealerOf(s, c, seed(1))
				sealer.Witness, sealer.Logger = kept, slog.New(slog.NewTextHandler(&log, nil))
				return sealer
			}
			sealer := begin()
			for range 3 {
				signIn(t, s, "alex")
				sealNow(t, sealer, 1)
			}
			if _, err := s.DB().ExecContext(t.Context(), `DELETE FROM session_audit WHERE seq > 1;
				DELETE FROM session_audit_checkpoints WHERE number > 1; UPDATE session_audit_lease SET until = 0`); err != nil {
				t.Fatal(err)
			}
			if restarted {
				sealer = begin()
			}
			sealNow(t, sealer, 0)
			if !strings.Contains(log.String(), "are gone") {
				t.Errorf("the log says %s", &log)
			}
			signIn(t, s, "alex")
			sealNow(t, sealer, 1)
			r := verified(t, s, sealer.Keys) // with nothing kept elsewhere
			if len(r.Findings) != 1 || r.Findings[0].Kind != audit.Cut || r.Findings[0].First != 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}
