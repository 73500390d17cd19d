package memory

import (
	"testing"
	"time"
	"unsafe"
)

// A map holds values of more than 128 bytes behind pointers.
func TestASnapshotIsHeldInPlace(t *testing.T) {
	if size := unsafe.Sizeof(snapshot{}); size > 128 {
		t.Errorf("%d bytes", size)
	}
}

// Users come and go with their sessions, and leave nothing behind.
func TestSlotsAreUsedAgain(t *testing.T) {
	var s shard[*none]
	for i := range byte(100) {
		s.put(Session{ID: [16]byte{1: i}, User: string(rune('a' + i%3)), Platform: "p"})
		s.put(Session{ID: [16]byte{1: i, 2: 1}, User: string(rune('a' + i%3)), Platform: "q"})
		s.drop([16]byte{1: i})
		if len(s.slots) != 1 {
			t.Fatalf("%d users of one session", len(s.slots))
		}
		s.drop([16]byte{1: i, 2: 1})
	}
	if len(s.users) != 1 || len(s.slots) != 0 || len(s.sessions) != 0 || len(s.free) != 1 || s.users[0].platforms != nil {
		t.Errorf("left: %+v", s.users)
	}
}

type none struct{}

func (*none) AskedAt() (t time.Time) { return t }
