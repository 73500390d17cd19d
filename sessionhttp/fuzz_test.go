package sessionhttp

import (
	"net/http"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
)

func FuzzCookie(f *testing.F) {
	f.Add("vedfolnir=a")
	f.Add("a=b; vedfolnir=c; vedfolnir=d")
	f.Add("vedfolnir=; ;;=;vedfolnir")
	f.Fuzz(func(t *testing.T, line string) {
		value, err := cookie(http.Header{"Cookie": {line}}, "vedfolnir")
		if err != nil && value != "" {
			t.Errorf("%q is refused and gives %q", line, value)
		}
		if !strings.Contains(line, value) || strings.Contains(value, ";") {
			t.Errorf("%q gives %q", line, value)
		}
		if _, err := session.ParseToken(value); err == nil && len(value) != session.TokenLength {
			t.Errorf("%q is a token", value)
		}
	})
}

// A changed token is never good, whatever the change.
func FuzzCSRFToken(f *testing.F) {
	c := csrf{keys: [][]byte{[]byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))}}
	mine, another := subject{'s', [16]byte{1}}, subject{'s', [16]byte{2}}
	f.Add(c.make(mine))
	f.Add(c.make(another))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if c.check(text, mine) != nil {
			return
		}
		// It is good: then it is good for nobody else.
		if err := c.check(text, another); err != errCSRFStale {
			t.Errorf("%q is of two logins: %v", text, err)
		}
		forged := csrf{keys: [][]byte{[]byte(strings.Repeat("x", 32))}}
		if err := forged.check(text, mine); err != errCSRFInvalid {
			t.Errorf("%q is good under any key: %v", text, err)
		}
	})
}
