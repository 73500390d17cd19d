package main

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// Two servers on one database, one of which is killed: the other one seals on, and
// everything verifies.
func TestAServerThatIsKilledLeavesTheSealingToAnother(t *testing.T) {
	folder := t.TempDir()
	first := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	second := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	verify := func() string {
		out, err := command(t, folder, nil, "audit", "verify", "--database=sqlite:v.db").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	sealed := func(within time.Duration) {
		t.Helper()
		for patience := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
			out := verify()
			if strings.Contains(out, "Sealed:") && !strings.Contains(out, "Not sealed yet") {
				return
			}
			if time.Now().After(patience) {
				t.Fatalf("not sealed after %s: %s", within, out)
			}
		}
	}
	first.signIn("alex")
	sealed(10 * time.Second)
	first.end(syscall.SIGTERM)
	second.signIn("alex")
	sealed(10 * time.Second)
	third := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	if err := second.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-second.ended
	third.signIn("robin")
	sealed(30 * time.Second) // the lease of the one that was killed has to be over
	third.end(syscall.SIGTERM)
}
