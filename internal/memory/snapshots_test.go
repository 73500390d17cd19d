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

// A kind is held once, for as long as there is a session of it, and comes back whole.
func TestKindsAreSharedAndUsedAgain(t *testing.T) {
	var c snapshots[*none]
	id := func(i byte) [16]byte { return [16]byte{1: i} }
	usual := Kind{Persistent: true}
	for i := range byte(100) {
		own := Kind{Idle: time.Duration(i) + 1, Impersonator: "op", From: id(i), Guest: i%2 == 0}
		c.keep(Session{ID: id(i), User: "a", Kind: usual})
		c.keep(Session{ID: id(i), User: "a", Kind: own, Version: 1})
		c.keep(Session{ID: id(i + 100), User: "b", Kind: usual})
		var got Session
		if _, ok := c.get(id(i), &got); !ok || got.Kind != own {
			t.Fatalf("%+v, want %+v", got.Kind, own)
		}
		if _, ok := c.get(id(i+100), &got); !ok || got.Kind != usual {
			t.Fatalf("%+v, want %+v", got.Kind, usual)
		}
		c.forget(id(i))
	}
	s := c.of(id(0))
	if len(s.kinds.list) > 3 || len(s.kinds.index) != 1 || s.kinds.list[s.kinds.index[usual]].sessions != 100 {
		t.Errorf("%d places, %d kinds, of which the usual is that of %d", len(s.kinds.list), len(s.kinds.index), s.kinds.list[s.kinds.index[usual]].sessions)
	}
	c.forgetAll()
	c.keep(Session{ID: id(1), User: "a", Kind: usual})
	if len(s.kinds.list) != 1 {
		t.Errorf("%d kinds after all was forgotten", len(s.kinds.list))
	}
}

type none struct{}

func (*none) AskedAt() (t time.Time) { return t }
