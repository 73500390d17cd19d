package server

import (
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/setclock"
)

// Somebody sets the clock of the machine, or its network does. Who is signed in stays
// so, with the forms of their open pages; who was out is out; and how time really passes
// ends sessions as before.
func TestAClockThatIsSetEndsNothingEarlyAndRevivesNothing(t *testing.T) {
	for name, off := range map[string]time.Duration{"forward": 40 * 24 * time.Hour, "back": -40 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if off > 0 && runtime.GOOS != "linux" {
				t.Skip("only Linux tells a clock that was set forward from a sleep of the machine")
			}
			clock := new(setclock.Clock)
			settings := inFolder(t.TempDir(), true)
			settings.Session.Now = clock.Now
			const idle = 20 * time.Minute
			settings.Session.Timeout.IdleTimeout = idle
			settings.Session.Features.NoBackgroundCleanup = true // what has ended is not swept by itself
			s := start(t, settings, slog.LevelInfo)
			in, out := s.browser(t), s.browser(t)
			in.signIn("alex")
			out.signIn("robin")
			for range 3 {
				clock.Run(idle / 2)
				if p := in.open("/"); p.path != "/" {
					t.Fatalf("who comes now and then is at %s", p.path)
				}
			}

			clock.Set(off)
			for patience := time.Now().Add(20 * time.Second); !strings.Contains(s.log.String(), "clock has jumped"); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(patience) {
					t.Fatal("nobody is told that the clock has jumped")
				}
			}
			if p := in.submit(`action="/switch"`); p.status != 200 || p.path != "/" {
				t.Errorf("the form of a page from before is answered %d at %s", p.status, p.path)
			}
			if p := out.open("/"); p.path != "/login" {
				t.Errorf("who had been idle for too long is at %s", p.path)
			}
			if ended, err := s.manager.EnforceTimeouts(t.Context()); err != nil || ended > 1 {
				t.Errorf("the sweep ends %d sessions, %v", ended, err)
			}
			if p := in.open("/"); p.path != "/" {
				t.Errorf("who was signed in is at %s", p.path)
			}

			clock.Run(2 * idle)
			if p := in.open("/"); p.path != "/login" {
				t.Errorf("who has been idle since is at %s", p.path)
			}
		})
	}
}
