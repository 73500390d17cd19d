package membus_test

import (
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/bustest"
	"github.com/vedfolnir/session/membus"
)

func TestBus(t *testing.T) {
	bustest.Run(t, func(*testing.T) session.Bus { return new(membus.Bus) })
}
