package bustest_test

import (
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/bustest"
	"github.com/vedfolnir/session/membus"
)

// A bus's whole test is a constructor and one call.
func ExampleRun() {
	_ = func(t *testing.T) { // TestBus
		bustest.Run(t, func(t *testing.T) session.Bus { return new(membus.Bus) })
	}
}
