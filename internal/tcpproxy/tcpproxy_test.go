package tcpproxy_test

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/tcpproxy"
)

const patience = 20 * time.Second

// echo is a server that says what it is told, and where it is.
func echo(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// A proxy that lets nothing through delivers later, one that is slow takes its time, one
// that hangs up loses, and one that is cut serves nobody until it is healed.
func TestTheProxyDoesWhatItSays(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "socket")} {
		t.Run(network, func(t *testing.T) {
			p := tcpproxy.Start(t, echo(t, network, address))
			dial := func() net.Conn {
				t.Helper()
				c, err := net.Dial("tcp", p.Addr)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			hear := func(c net.Conn, within time.Duration) error {
				_ = c.SetReadDeadline(time.Now().Add(within))
				_, err := io.ReadFull(c, make([]byte, 1))
				return err
			}
			say := func(c net.Conn, within time.Duration) error {
				if _, err := c.Write([]byte("x")); err != nil {
					return err
				}
				return hear(c, within)
			}
			c := dial()
			if err := say(c, patience); err != nil {
				t.Fatal(err)
			}
			p.Swallow()
			if say(c, 50*time.Millisecond) == nil {
				t.Error("it lets through what it swallows")
			}
			p.Heal()
			if err := hear(c, patience); err != nil {
				t.Errorf("healed, it has lost what it swallowed: %v", err)
			}
			p.Delay(50 * time.Millisecond)
			if began, err := time.Now(), say(c, patience); err != nil || time.Since(began) < 50*time.Millisecond {
				t.Errorf("slow, it took %v: %v", time.Since(began), err)
			}
			p.Heal()
			p.HangUp()
			if say(c, patience) == nil {
				t.Error("a connection outlives that it hangs up")
			}
			c = dial()
			if err := say(c, patience); err != nil {
				t.Errorf("a new one: %v", err)
			}
			p.ResetAfter(1)
			if err := say(c, patience); err == nil {
				err = say(c, patience)
				if err == nil {
					t.Error("more was said than it lets through")
				}
			}
			p.Cut()
			if c, err := net.Dial("tcp", p.Addr); err == nil { // else it was reset already
				if say(c, patience) == nil {
					t.Error("cut, it serves")
				}
				c.Close()
			}
			p.Heal()
			if err := say(dial(), patience); err != nil {
				t.Errorf("healed after a cut: %v", err)
			}
			if p.Accepted() != 4 {
				t.Errorf("%d connections were asked for, want 4", p.Accepted())
			}
		})
	}
}
