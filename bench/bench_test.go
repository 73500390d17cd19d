package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/testservers"
)

// TestMain lets the test's own binary be the servers, as the program's is.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-serve") {
		main()
		return
	}
	os.Exit(m.Run())
}

// A benchmark that nobody runs goes bad unseen. How fast anything is does not
// matter here.
func TestEveryMeasurementRuns(t *testing.T) {
	var out strings.Builder
	s := settings{Live: 50, SignedIn: 10, Connections: 4, Rounds: 1, Round: 50 * time.Millisecond, Dir: t.TempDir(), Out: &out}
	if err := run(t.Context(), s, "", 0, ""); err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), s, "", time.Second, ""); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"bare handler", "vedfolnir, memory", "vedfolnir, SQLite", "scs, memory", "switches/s", "goroutines"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what was printed:\n%s", want, out.String())
		}
	}
}

func TestNodesAreMeasured(t *testing.T) {
	var out strings.Builder
	s := settings{Live: 50, SignedIn: 10, Connections: 4, Rounds: 1, Round: 50 * time.Millisecond, Database: testservers.PostgreSQL(t), Out: &out}
	if err := run(t.Context(), s, "nodes", 0, ""); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"requests/s", "with the bus", "without it"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what was printed:\n%s", want, out.String())
		}
	}
}
