package session_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vedfolnir/session"
)

// What a stranger calls their browser is described in our words alone, however
// long it is and whatever is in it.
func FuzzUserAgent(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	f.Add("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/137.0 Mobile/15E148 Safari/604.1")
	f.Add("Firefox/1\u2028<script>alert(1)</script>\r\n\x1b[31m")
	f.Add("")
	f.Fuzz(func(t *testing.T, agent string) {
		name := deviceName(agent)
		if name == "" || len(name) > 40 || !utf8.ValidString(name) || strings.ContainsAny(name, "<>\"'&\r\n\x1b\u2028/;") {
			t.Errorf("%q is called %q", agent, name)
		}
		// An update of the browser is no other device.
		if again := deviceName(strings.Map(func(r rune) rune {
			if r >= '0' && r <= '8' {
				return r + 1
			}
			return r
		}, strings.ToValidUTF8(agent, ""))); again != deviceName(strings.ToValidUTF8(agent, "")) {
			t.Errorf("%q is called %q, and after an update %q", agent, name, again)
		}
	})
}

func deviceName(agent string) string { return session.Client{UserAgent: agent}.Device() }
