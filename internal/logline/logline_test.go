package logline_test

import (
	"testing"

	"github.com/vedfolnir/session/internal/logline"
)

func TestWhatIsEmptyIsLeftOut(t *testing.T) {
	got := logline.Attrs("a", "1", "b", "", "c", "3")
	if len(got) != 2 || got[0].String() != "a=1" || got[1].String() != "c=3" {
		t.Errorf("%v", got)
	}
}
