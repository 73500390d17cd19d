package attack

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// attack is one way to do harm. Whoever thinks of another adds it to a list.
type attack struct {
	name string
	does string // what the attacker does
	must string // what must happen
	try  func(t *testing.T, w *world)
}

// attacks in the order in which they are tried. What was said and stored is
// searched at the end, when there is something to find.
var attacks = slices.Concat(forgeries, siblings, tokens, impersonations, guests, floods, caches, streams, guesses, leaks)

// TestAttacks tries each of them on one server with people of its own.
func TestAttacks(t *testing.T) {
	w := newWorld(t)
	names := map[string]bool{}
	var report strings.Builder
	for _, a := range attacks {
		if names[a.name] || a.does == "" || a.must == "" {
			t.Fatalf("%q is not told whole, or twice", a.name)
		}
		names[a.name] = true
		outcome, start := "not tried", time.Now()
		t.Run(a.name, func(t *testing.T) {
			defer func() {
				switch {
				case t.Failed():
					outcome = "BROKEN"
				case !t.Skipped():
					outcome = "held"
				}
			}()
			a.try(t, w)
		})
		fmt.Fprintf(&report, "%-9s  %s (%.1f s)\n           the attacker %s\n           must happen: %s\n", outcome, a.name, time.Since(start).Seconds(), a.does, a.must)
	}
	if testing.Verbose() {
		fmt.Fprintf(os.Stdout, "\n%s\n", report.String())
	}
}
