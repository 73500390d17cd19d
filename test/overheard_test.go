package test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// make test fails if a secret was said, by a test or by a program that one started, and
// hides nothing else.
func TestOverheardFindsSecrets(t *testing.T) {
	secret := strings.Repeat("s", 43)
	for _, c := range []struct {
		what, script string
		exit         int
		want         string
	}{
		{"all is well", "echo ok; echo 0123456789abcdef0123456789abcdef", 0, "ok\n"},
		{"a failure stays one", "echo FAIL; exit 7", 7, "FAIL\n"},
		{"a token in the tests' output", "echo 0123456789abcdef0123456789abcdef." + secret, 1, "A secret was said"},
		{"a token on standard error", "echo 0123456789abcdef0123456789abcdef." + secret + " >&2", 1, "A secret was said"},
		{"a token in a program's output", `echo "{\"cookie\":\"0123456789abcdef0123456789abcdef.` + secret + `\"}" > $OVERHEARD/program`, 1, `{"cookie":"0123456789abcdef0123456789abcdef.SECRET"}`},
		{"a CSRF token", "echo token=" + strings.Repeat("c", 131) + " > $OVERHEARD/program", 1, "token=SECRET"},
		{"what only is as long", "echo " + strings.Repeat("c", 132) + " > $OVERHEARD/program", 0, "No secret"},
		{"a secret of the webhook", "echo whsec_" + secret + "= > $OVERHEARD/program", 1, "SECRET"},
		{"a password", "echo correct horse battery staple > $OVERHEARD/program", 1, "SECRET"},
	} {
		t.Run(c.what, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "tools/overheard"), "sh", "-c", c.script)
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			if cmd.ProcessState.ExitCode() != c.exit || !strings.Contains(string(out), c.want) {
				// Not the output itself: it would be a secret that was said.
				t.Errorf("exit status %d, want %d; it says %q: %v", cmd.ProcessState.ExitCode(), c.exit, c.want, strings.Contains(string(out), c.want))
			}
		})
	}
}
