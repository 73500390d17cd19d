// Package config turns flags, environment and a file of settings into what the
// server is started with, or into one report of everything that is wrong with
// them. It only reads: nothing is made or opened for writing.
package config

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vedfolnir/session"
)

// DefaultDatabase is used when neither a database nor a demo was asked for.
const DefaultDatabase = "sqlite:vedfolnir.db"

// Serve holds the flags of "vedfolnir serve". Each can also be given in the
// environment or in the file, by the name in its env tag: a flag wins over the
// environment, and that over the file.
type Serve struct {
	Addr         string   `env:"VEDFOLNIR_ADDR" placeholder:"HOST:PORT" help:"Where to listen. Port 0 takes any free one. Default: 127.0.0.1:8080."`
	Database     string   `env:"VEDFOLNIR_DATABASE" placeholder:"sqlite:FILE" help:"Where sessions and people are kept; sqlite::memory: forgets them at the end. Default: sqlite:vedfolnir.db, or a temporary file with --demo."`
	Demo         bool     `env:"VEDFOLNIR_DEMO" help:"Try it out: people with public passwords, a temporary database, this machine only."`
	Config       File     `env:"VEDFOLNIR_CONFIG" placeholder:"FILE" help:"Read settings from a file of NAME=VALUE lines: the SESSION_ variables, and the ones named here."`
	Keys         string   `env:"VEDFOLNIR_KEYS" placeholder:"FILE" help:"The server's secret keys, one a line, the first in use. Made at the first start. Default: vedfolnir.keys beside the database."`
	TLSCert      string   `name:"tls-cert" env:"VEDFOLNIR_TLS_CERT" placeholder:"FILE" help:"Serve HTTPS with this certificate (PEM, the whole chain)."`
	TLSKey       string   `name:"tls-key" env:"VEDFOLNIR_TLS_KEY" placeholder:"FILE" help:"The private key of --tls-cert (PEM)."`
	TrustedProxy []string `env:"VEDFOLNIR_TRUSTED_PROXY" placeholder:"ADDRESS" help:"A reverse proxy whose forwarded headers count: an address or a network (10.0.0.0/8). It has to speak HTTPS to people. May be repeated."`
	LogLevel     string   `env:"VEDFOLNIR_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error. Default: info."`

	DangerousPlainHTTP bool `name:"dangerous-plain-http" env:"VEDFOLNIR_DANGEROUS_PLAIN_HTTP" help:"Serve plain HTTP beyond this machine: whoever is on the way can read every password and take every session."`
}

// Settings are what a server is started with. They have been checked.
type Settings struct {
	Addr     string
	Loopback bool // Addr is reached from this machine only
	Database Database
	Demo     bool
	// KeyFile is where the keys are, or are to be made; empty: they are not kept.
	KeyFile string
	Keys    [][]byte // as read from KeyFile; none: it is not there yet
	TLS     *tls.Config
	Proxies []netip.Prefix
	// Plain: people reach the server without TLS.
	Plain    bool
	LogLevel slog.Level
	Session  session.Config
	Warnings []string
}

// Database says where sessions and people are kept.
type Database struct {
	Path      string // empty unless it is a file that stays
	Memory    bool
	Temporary bool // a file that goes with the process
}

// Settings checks everything and tells every mistake.
func (s Serve) Settings(environ []string) (Settings, error) {
	var m mistakes
	s.Addr, s.LogLevel = cmp.Or(s.Addr, "127.0.0.1:8080"), cmp.Or(s.LogLevel, "info")
	environ, warnings := s.Config.over(environ, &m)
	out := Settings{Addr: s.Addr, Demo: s.Demo, Warnings: warnings}
	out.Loopback = s.loopback(&m)
	out.Database = s.database(&m)
	out.Proxies = s.proxies(&m)
	out.TLS = s.tls(&m)
	out.Plain = out.TLS == nil && len(out.Proxies) == 0
	out.KeyFile, out.Keys = s.keys(out.Database, &m)
	if err := out.LogLevel.UnmarshalText([]byte(s.LogLevel)); err != nil {
		m.add("--log-level %q: give debug, info, warn or error", s.LogLevel)
	}
	s.together(out, &m)
	var unused []string
	var err error
	out.Session, unused, err = session.ConfigFromEnv(environ)
	out.Session.Security.Keys = out.Keys
	out.Warnings = append(out.Warnings, unused...)
	m.join(err)
	return out, m.err()
}

// together reports what is right by itself and wrong in company.
func (s Serve) together(out Settings, m *mistakes) {
	switch {
	case s.Demo && !out.Loopback:
		m.add("--demo with --addr %s: its passwords are public, so it listens on this machine only; give --addr 127.0.0.1:8080 or no --demo", s.Addr)
	case !out.Loopback && out.Plain && !s.DangerousPlainHTTP:
		m.add("--addr %s is reached from other machines, and plain HTTP gives away passwords and sessions: give --tls-cert and --tls-key, or --trusted-proxy if a proxy in front speaks HTTPS, or --addr 127.0.0.1:8080", s.Addr)
	}
	if s.Demo && len(out.Proxies) > 0 {
		m.add("--demo with --trusted-proxy: a demo refuses everything that was forwarded; leave one of them out")
	}
}

// loopback reports whether the address is this machine's own.
func (s Serve) loopback(m *mistakes) bool {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		m.add("--addr %q: give HOST:PORT, such as 127.0.0.1:8080", s.Addr)
		return true
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n > 65535 {
		m.add("--addr %q: the port is not a number from 0 to 65535", s.Addr)
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" {
		m.add("--addr %q: give an IP address or localhost as the host", s.Addr)
		return true
	}
	return ip.IsLoopback()
}

func (s Serve) database(m *mistakes) Database {
	if s.Database == "" && s.Demo {
		return Database{Temporary: true}
	}
	text := s.Database
	if text == "" {
		text = DefaultDatabase
	}
	path, ok := strings.CutPrefix(text, "sqlite:")
	switch {
	case !ok || path == "" || strings.ContainsAny(path, "?\x00"):
		m.add("--database %q: give sqlite:FILE or sqlite::memory:", text)
		return Database{Memory: true}
	case path == ":memory:":
		return Database{Memory: true}
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		m.add("--database %q: there is no folder %s", text, filepath.Dir(path))
	} else if file, err := os.Stat(path); err == nil && !file.Mode().IsRegular() {
		m.add("--database %q: %s is no file", text, path)
	}
	return Database{Path: path}
}

func (s Serve) proxies(m *mistakes) (prefixes []netip.Prefix) {
	for _, text := range s.TrustedProxy {
		if p, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
		} else {
			m.add("--trusted-proxy %q: give an IP address or a network such as 10.0.0.0/8", text)
			continue
		}
		if prefixes[len(prefixes)-1].Bits() == 0 {
			m.add("--trusted-proxy %q trusts everybody: name the proxy's own address", text)
		}
	}
	return prefixes
}

func (s Serve) tls(m *mistakes) *tls.Config {
	switch {
	case s.TLSCert == "" && s.TLSKey == "":
		return nil
	case s.TLSCert == "":
		m.add("--tls-key without --tls-cert: give both")
		return nil
	case s.TLSKey == "":
		m.add("--tls-cert without --tls-key: give both")
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		m.add("--tls-cert and --tls-key: %v", err)
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// keys that are not kept are made anew by the session manager.
func (s Serve) keys(db Database, m *mistakes) (path string, keys [][]byte) {
	path = s.Keys
	if path == "" && db.Path != "" {
		path = filepath.Join(filepath.Dir(db.Path), "vedfolnir.keys")
	}
	if path == "" {
		return "", nil
	}
	keys, err := ReadKeys(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if folder, err := os.Stat(filepath.Dir(path)); s.Keys != "" && (err != nil || !folder.IsDir()) {
			m.add("--keys %q: there is no folder %s", path, filepath.Dir(path))
		}
	case err != nil:
		m.add("--keys: %v", err)
	}
	return path, keys
}

// mistakes are gathered, so that one report tells all of them.
type mistakes struct{ errs []error }

func (m *mistakes) add(format string, args ...any) {
	m.errs = append(m.errs, fmt.Errorf(format, args...))
}

// join takes in an error, each part by itself if it joins several.
func (m *mistakes) join(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			m.join(e)
		}
	} else if err != nil {
		m.errs = append(m.errs, err)
	}
}

func (m *mistakes) err() error {
	if len(m.errs) == 0 {
		return nil
	}
	return &Error{m.errs}
}

// Error is every mistake in a configuration.
type Error struct{ Mistakes []error }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("the configuration has a mistake; nothing was started:")
	if n := len(e.Mistakes); n > 1 {
		b.Reset()
		fmt.Fprintf(&b, "the configuration has %d mistakes; nothing was started:", n)
	}
	for _, mistake := range e.Mistakes {
		fmt.Fprintf(&b, "\n  - %v", mistake)
	}
	return b.String()
}

// With returns err with one more mistake in front of those it may tell already.
func With(first, err error) error {
	var m mistakes
	m.join(first)
	if e := (*Error)(nil); errors.As(err, &e) {
		m.errs = append(m.errs, e.Mistakes...)
	} else {
		m.join(err)
	}
	return m.err()
}
