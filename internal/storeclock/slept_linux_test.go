package storeclock

import (
	"testing"
	"time"
)

func TestTheMachineTellsHowLongItHasSlept(t *testing.T) {
	const monotonic = 1
	if up := read(monotonic); up <= 0 {
		t.Fatalf("it was started %v ago", up)
	}
	before := slept(time.Time{})
	if again := slept(time.Time{}); before < 0 || (again-before).Abs() > time.Second {
		t.Errorf("it has slept for %v, and at once for %v", before, again)
	}
}
