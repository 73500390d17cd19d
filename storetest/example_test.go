package storetest_test

import (
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/storetest"
)

// A store's whole test is a constructor and one call. Every subtest gets a store
// of its own, which has to be empty; Run closes it.
func ExampleRun() {
	_ = func(t *testing.T) { // TestStore
		storetest.Run(t, func(t *testing.T) session.Store { return memstore.New() })
	}
}

// A store that several processes share keeps the contract through any of them. The
// common mistake is to test it through one handle alone: what the store remembers
// in memory is then never wrong.
func ExampleNodes() {
	open := func(path string) session.Store { return memstore.New() } // opens the database there
	_ = func(t *testing.T) {                                          // TestTwoProcesses
		storetest.Run(t, func(t *testing.T) session.Store {
			path := t.TempDir()
			return storetest.Nodes(open(path), open(path))
		})
	}
}
