package memstore_test

import (
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store { return memstore.New() })
}

// A feed that never forgot would fill the memory of a process that runs for
// months.
func TestTheFeedForgetsAndSaysSo(t *testing.T) {
	s := memstore.New()
	start, err := s.Changes(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for range 50_000 {
		if _, err := s.RaiseRev(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
	}
	feed, err := s.Changes(t.Context(), start.Next, true)
	if err != nil || !feed.Gap || len(feed.Changes) > 20_000 {
		t.Errorf("gap %v, %d changes, %v", feed.Gap, len(feed.Changes), err)
	}
	if feed, err = s.Changes(t.Context(), feed.Next-10_000, true); err != nil || feed.Gap || len(feed.Changes) != 10_000 {
		t.Errorf("of the last ten thousand: gap %v, %d changes, %v", feed.Gap, len(feed.Changes), err)
	}
}
