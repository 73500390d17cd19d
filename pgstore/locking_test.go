package pgstore

import (
	"slices"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
)

// Sessions that are being changed on another node just when all of a user's are to end,
// or are counted for the limit, are among them. Which plan the server makes for that must
// not matter: it is another one with few rows than with many.
func TestSessionsThatAreBeingChangedAreAmongThoseThatEnd(t *testing.T) {
	for name, rows := range map[string]int{"few rows": 0, "many rows": 5000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testservers.PostgreSQL(t)
			s := openHere(t, url, Config{})
			var want []session.ID
			for range 3 {
				want = append(want, signIn(t, s, "alex").ID)
			}
			if rows > 0 {
				crowd(t, s, rows)
			}
			tx := begin(t, url, `UPDATE sessions SET platform_id = '2', version = version + 1 WHERE user_id = $1`, []byte("alex"))
			ended := make(chan []session.Record)
			go func() {
				records, err := s.End(t.Context(), session.Ending{User: "alex", Reason: session.RevokedByUser, At: start})
				if err != nil {
					t.Error(err)
				}
				ended <- records
			}()
			for waits := false; !waits; { // until the writer waits for the row
				n, err := one[int64](t.Context(), s, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
				if err != nil {
					t.Fatal(err)
				}
				waits = n > 0
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []session.ID
			for _, r := range <-ended {
				got = append(got, r.ID)
			}
			byHandle := func(a, b session.ID) int { return slices.Compare(a[:], b[:]) }
			slices.SortFunc(want, byHandle)
			slices.SortFunc(got, byHandle)
			if !slices.Equal(got, want) {
				t.Errorf("ended %v, want %v", got, want)
			}
		})
	}
}

// crowd makes sessions of other people, and lets the server know how many there are.
func crowd(t testing.TB, s *Store, rows int) {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), `INSERT INTO sessions (id, user_id, platform_id, version, created_at, renewed_at, authenticated_at, last_activity,
			user_agent, ip_address, language, secret, fingerprint, switches)
		SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), decode(to_hex(n + 4096), 'hex'), '', 1, 0, 0, 0, 0, '', '', '', '', '', 0
		FROM generate_series(1, $1::int) AS n`, rows)
	if err == nil {
		_, err = s.pool.Exec(t.Context(), `ANALYZE sessions`)
	}
	if err != nil {
		t.Fatal(err)
	}
}
