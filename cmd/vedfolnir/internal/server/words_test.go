package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// What keeps people from signing in, or puts them in danger, is said at the start
// with the way out; a good set-up is told nothing.
func TestLesson29_TheSetUpIsExplainedAtTheStart(t *testing.T) {
	const name = "https://accounts.example.org"
	here, there := netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.1/32")
	for _, c := range []struct {
		what     string
		settings config.Settings
		want     []string // one line each
	}{
		{"a demo", config.Settings{Addr: "127.0.0.1:80", Demo: true, Plain: true, Loopback: true}, nil},
		{"a certificate", config.Settings{Addr: "0.0.0.0:443", TLS: &tls.Config{}, Origin: name}, nil},
		{"no name", config.Settings{Addr: "0.0.0.0:443", TLS: &tls.Config{}}, []string{"--origin"}},
		{"this machine", config.Settings{Addr: "127.0.0.1:80", Plain: true, Loopback: true}, []string{"--trusted-proxy 127.0.0.1"}},
		{"danger", config.Settings{Addr: "0.0.0.0:80", Plain: true, Danger: true, Origin: name}, []string{"DANGEROUS"}},
		{"danger for nothing", config.Settings{Addr: "0.0.0.0:443", TLS: &tls.Config{}, Danger: true, Origin: name}, []string{"--dangerous-plain-http does nothing"}},
		{"danger beside a proxy", config.Settings{Addr: "127.0.0.1:80", Loopback: true, Proxies: []netip.Prefix{here}, Danger: true, Origin: name}, []string{"X-Forwarded-Proto: https", "--dangerous-plain-http does nothing"}},
		{"a proxy", config.Settings{Addr: "127.0.0.1:80", Loopback: true, Proxies: []netip.Prefix{here}, Origin: name}, []string{"hands on Host"}},
		{"a proxy that cannot come", config.Settings{Addr: "127.0.0.1:80", Loopback: true, Proxies: []netip.Prefix{here, there}, Origin: name}, []string{"X-Forwarded-Proto: https", "10.0.0.1/32"}},
	} {
		j := &journal{}
		warnOfSetUp(c.settings, slog.New(slog.NewTextHandler(j, nil)))
		lines := strings.Count(j.String(), "\n")
		if lines != len(c.want) {
			t.Errorf("%s: %d lines:\n%s", c.what, lines, j)
		}
		for _, want := range c.want {
			if !strings.Contains(j.String(), want) {
				t.Errorf("%s: nothing about %q in:\n%s", c.what, want, j)
			}
		}
	}
}

// Where the printed address leads, everything works, passkeys too.
func TestThePrintedAddressIsOneWherePasskeysWork(t *testing.T) {
	plain, proxied, tls := config.Settings{Plain: true}, config.Settings{}, config.Settings{TLS: &tls.Config{}}
	for _, c := range []struct {
		settings config.Settings
		at       net.TCPAddr
		want     string
	}{
		{plain, net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, "http://localhost:80/"},
		{plain, net.TCPAddr{IP: net.IPv6loopback, Port: 81}, "http://localhost:81/"},
		{plain, net.TCPAddr{IP: net.IPv6zero, Port: 82}, "http://localhost:82/"},
		{plain, net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 83}, "http://127.0.0.2:83/"}, // which localhost is not
		{proxied, net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 84}, "http://127.0.0.1:84/"},
		{tls, net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 85}, "https://127.0.0.1:85/"},
	} {
		if got := address(c.settings, &c.at); got != c.want {
			t.Errorf("at %v: %s, want %s", &c.at, got, c.want)
		}
	}
}
