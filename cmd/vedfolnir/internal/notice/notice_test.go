package notice_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func from(at time.Time, kind notice.Kind, device, address string) notice.Notice {
	n := notice.At(at, kind)
	n.Device, n.Address = device, address
	return n
}

func TestWhatIsGathered(t *testing.T) {
	const a, b = "Firefox on Linux", "Safari on iPhone"
	for _, c := range []struct {
		what   string
		n, old notice.Notice
		joins  bool
	}{
		{"the same again", from(noon.Add(time.Hour), notice.NewDevice, a, "192.0.2.1"), from(noon, notice.NewDevice, a, "192.0.2.1"), true},
		{"another device", from(noon, notice.NewDevice, b, "192.0.2.1"), from(noon, notice.NewDevice, a, "192.0.2.1"), false},
		{"another address", from(noon, notice.NewDevice, a, "192.0.2.2"), from(noon, notice.NewDevice, a, "192.0.2.1"), false},
		{"another kind", from(noon, notice.PasskeyAdded, a, "192.0.2.1"), from(noon, notice.NewDevice, a, "192.0.2.1"), false},
		{"failures from anywhere", from(noon, notice.FailedAttempts, b, "192.0.2.2"), from(noon, notice.FailedAttempts, a, "192.0.2.1"), true},
		{"failures a day later", from(noon.Add(24*time.Hour), notice.FailedAttempts, a, "192.0.2.1"), from(noon, notice.FailedAttempts, a, "192.0.2.1"), false},
	} {
		if c.n.Joins(c.old) != c.joins {
			t.Errorf("%s: joins %v", c.what, !c.joins)
		}
	}
	got := from(noon.Add(time.Hour), notice.FailedAttempts, b, "192.0.2.2").After(from(noon, notice.FailedAttempts, a, "192.0.2.1"))
	if got.Times != 2 || !got.Several || got.Device != b || got.Address != "192.0.2.2" || !got.First.Equal(noon) || !got.Last.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
	if got = from(noon, notice.NewDevice, a, "x").After(from(noon.Add(time.Hour), notice.NewDevice, a, "x")); got.Several || !got.Last.Equal(noon.Add(time.Hour)) {
		t.Errorf("told late: %+v", got)
	}
}

// The documentation names every kind, and no other.
func TestEveryKindIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## What people are told\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []notice.Kind
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(section, -1) {
		documented = append(documented, notice.Kind(row[1]))
	}
	if !slices.Equal(documented, notice.Kinds) {
		t.Errorf("documented: %v\nthere are: %v", documented, notice.Kinds)
	}
}

// Every kind has words of its own, once and often.
func TestEveryKindHasWords(t *testing.T) {
	said := map[string]notice.Kind{}
	for _, kind := range notice.Kinds {
		one, many := notice.At(noon, kind), notice.At(noon, kind)
		many.Times = 7
		for _, n := range []notice.Notice{one, many} {
			title := n.Title()
			if title == string(kind) || !strings.Contains(title, " ") {
				t.Errorf("%s has no words: %q", kind, title)
			}
			if other, ok := said[title]; ok && other != kind {
				t.Errorf("%s and %s say the same: %q", kind, other, title)
			}
			said[title] = kind
		}
	}
	n := notice.At(noon, notice.PasswordChanged)
	n.Detail = notice.ByOperator
	if got := n.Title(); got != "Your password was changed by an operator" {
		t.Error(got)
	}
	n = notice.At(noon, notice.PasskeyAdded)
	n.Detail = "YubiKey"
	if got := n.Title(); got != "A passkey was added: YubiKey" {
		t.Error(got)
	}
}
