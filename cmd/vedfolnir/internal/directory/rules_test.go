package directory

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trustelem/zxcvbn/frequency"
)

// NIST SP 800-63B-4, 3.1.1.2.
func TestPasswordRules(t *testing.T) {
	for password, want := range map[string]string{
		"":                                "fewer than 15",
		"fourteen chars":                  "fewer than 15",
		strings.Repeat("ä", 14):           "fewer than 15",
		strings.Repeat("long word ", 103): "more than 1024",
		"correct horse \xff battery":      "UTF-8",
		// What is guessed first.
		"passwordpassword": "guessed", "password1234567": "guessed", "P@ssw0rdP@ssw0rd": "guessed", "123456789012345": "guessed",
		"qwertyuiopasdfghjkl": "guessed", "111111111111111": "guessed", "iloveyouiloveyou": "guessed", "letmeinletmein123": "guessed",
		"abcdefghijklmnopqrstuvwxyz": "guessed", "hunter2hunter2hunter2": "guessed", strings.Repeat("a", 1000): "guessed",
		// The names of the person and of the server.
		"kim.holm-larsen1": "guessed", "kimholm@example.org": "guessed", "vedfolnirvedfolnir": "guessed",
		// Any characters, no mixture asked for, up to 256 of any script.
		"correct horse battery": "", "nur kleine buchstaben": "", "8429 1750 3366 9014 2": "", "правильная лошадь": "",
		"  spaces   count too ": "", "🐎🔋📎✅🐎🦆🌵🧲🪵🫖🧊🪡🧶🪀🪁": "",
		scattered(0x4e00, 256): "", scattered(0x10000, 256): "", scattered(0x10000, 257): "more than 1024",
	} {
		err := checkPassword(password, "kim.holm-larsen", "kimholm@example.org")
		var rule RuleError
		switch {
		case want == "" && err != nil:
			t.Errorf("%q is refused: %v", password, err)
		case want != "" && (!errors.As(err, &rule) || !strings.Contains(string(rule), want)):
			t.Errorf("%q: %v, want %q", password, err, want)
		}
	}
}

// scattered are n letters from here and there after the first.
func scattered(first rune, n int) string {
	var b strings.Builder
	for i := range rune(n) {
		b.WriteRune(first + i*i*7919%9973)
	}
	return b.String()
}

// The time that a look takes grows with the length, up to a bound.
func TestALongPasswordTakesNoLongTime(t *testing.T) {
	var took []time.Duration
	for range 3 {
		start := time.Now()
		_ = checkPassword(strings.Repeat("ab1!", 256))
		took = append(took, time.Since(start))
	}
	if best := slices.Min(took); best > time.Second {
		t.Errorf("%v", best)
	}
}

// The most common passwords are refused, and so are the shorter ones, written out
// until they are long enough.
func TestCommonPasswordsAreRefused(t *testing.T) {
	common := frequency.FrequencyLists["passwords"]
	long := 0
	for i, p := range common {
		repeated := strings.Repeat(p, passwordLeast/len(p)+1)
		if len(p) >= passwordLeast {
			long++
		} else if p = repeated; i >= 1000 {
			continue
		}
		if checkPassword(p) == nil {
			t.Errorf("%q is taken", p)
		}
	}
	if len(common) < 10_000 || long == 0 {
		t.Errorf("the list has %d passwords, %d of them long enough", len(common), long)
	}
}
