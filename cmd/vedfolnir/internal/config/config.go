// Package config turns flags, environment and a file of settings into what the
// server is started with, or into one report of everything that is wrong with
// them. It only reads: nothing is made or opened for writing.
package config

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	sessions "github.com/vedfolnir/session/config"
)

// DefaultDatabase is used when neither a database nor a demo was asked for.
const DefaultDatabase = "sqlite:vedfolnir.db"

// How many attempts to sign in may fail in an hour, unless it is said.
const (
	DefaultAttemptsPerAccount = 10
	DefaultAttemptsPerAddress = 100
)

// DefaultReauthAfter is shorter than the quarter of an hour without activity after
// which NIST SP 800-63B-4 (2.3.3) wants a proof at its highest level, and long enough
// to do several things in a row.
const DefaultReauthAfter = 10 * time.Minute

// Common holds the flags of every command. Each flag can also be given in the
// environment or in the file: a flag wins over the environment, and that over the
// file.
type Common struct {
	Config   string `placeholder:"FILE" help:"Read settings from this file, in TOML; vedfolnir config template writes one."`
	Database string `placeholder:"sqlite:FILE" default:"sqlite:vedfolnir.db" help:"Where sessions and people are kept; sqlite::memory: forgets them at the end. postgres://USER@HOST/DATABASE is for several nodes; its password comes from PGPASSWORD or ~/.pgpass. Default: ${default}, or a temporary file with --demo."`
	Bus      string `placeholder:"redis://HOST:PORT" help:"By what the nodes of a PostgreSQL database wake each other: a Redis or Valkey server (rediss: with TLS), whose password comes from REDISCLI_AUTH. It only wakes; nothing is kept there. Default: PostgreSQL itself."`
	Keys     string `placeholder:"FILE" help:"The server's secret keys, one a line, the first in use. Made at the first start. Default: vedfolnir.keys beside the database. All nodes of a PostgreSQL database need the same file: vedfolnir keys make."`
	LogLevel string `placeholder:"LEVEL" default:"info" help:"debug, info, warn or error. Default: ${default}."`
}

// Serve holds the flags of the server.
type Serve struct {
	Addr         string   `placeholder:"HOST:PORT" default:"127.0.0.1:8080" help:"Where to listen. Port 0 takes any free one. Default: ${default}."`
	AdminAddr    string   `placeholder:"HOST:PORT" help:"Serve metrics (/metrics, for Prometheus; /summary, for a person) and profiles (/debug/pprof) here, to whoever asks. Default: nowhere."`
	Demo         bool     `help:"Try it out: people with public passwords, a temporary database, this machine only."`
	TLSCert      string   `name:"tls-cert" placeholder:"FILE" help:"Serve HTTPS with this certificate (PEM, the whole chain)."`
	TLSKey       string   `name:"tls-key" placeholder:"FILE" help:"The private key of --tls-cert (PEM)."`
	TrustedProxy []string `placeholder:"ADDRESS" help:"A reverse proxy whose forwarded headers count: an address or a network (10.0.0.0/8). It has to speak HTTPS to people. May be repeated."`

	Origin string `placeholder:"https://NAME" help:"Where people use this server, as their browsers show it: https://accounts.example.org. Passkeys are bound to that name for ever: choose it well. Without it they work only at http://localhost."`

	OpenID ServeOpenID `embed:"" prefix:"openid-"`

	AttemptsPerAccount int `default:"10" placeholder:"COUNT" help:"How many wrong passwords an hour are answered for one name, and on each device that its owner has signed in with before; then it is too many attempts. Default: ${default}."`
	AttemptsPerAddress int `default:"100" placeholder:"COUNT" help:"The same for one address (or IPv6 network of 64 bits) and all names, except for the owners of known devices. Default: ${default}."`

	ReauthAfter string `default:"10m" placeholder:"DURATION" help:"How long a person's last proof of who they are is good for what is sensitive, such as ending other sessions; then they are asked again, in the page. Default: ${default}."`

	AuditDays int `default:"90" placeholder:"DAYS" help:"How long what happened is kept in the database. Default: ${default}."`

	NoticeDays     int      `default:"90" placeholder:"DAYS" help:"How long people see what they were told of their account. Default: ${default}."`
	WebhookURL     string   `name:"webhook-url" placeholder:"https://..." help:"Send what people are told to this address, signed, so that it can be mailed to them. Default: nowhere."`
	WebhookSecrets string   `placeholder:"FILE" help:"What signs it: one secret, or a new one in front of the one that it replaces; vedfolnir webhook secret makes the file."`
	WebhookKinds   []string `placeholder:"KIND" help:"Which kinds are sent, such as new_device. May be repeated. Default: all."`
	WebhookNetwork string   `default:"public" placeholder:"WHICH" help:"Which addresses that receiver may have: public ones, private (also of your own networks), or loopback (this machine). Default: ${default}."`

	DangerousPlainHTTP bool `name:"dangerous-plain-http" help:"Serve plain HTTP beyond this machine: whoever is on the way can read every password and take every session."`
}

// Settings are what a server is started with. They have been checked.
type Settings struct {
	Addr     string
	Loopback bool // Addr is reached from this machine only
	Database Database
	Bus      string // of a Redis server, without a password; empty: the database's own
	Demo     bool
	// KeyFile is where the keys are, or are to be made; empty: they are not kept.
	KeyFile string
	Keys    sessions.Keys // as read from KeyFile; none: it is not there yet
	TLS     *tls.Config
	Proxies []netip.Prefix
	// Origin is where people use the server, scheme and host; empty: it was not said.
	Origin string
	OpenID OpenID
	// Plain: people reach the server without TLS.
	Plain bool
	// Danger: plain HTTP was asked for by its name.
	Danger        bool
	LogLevel      slog.Level
	AdminAddr     string // empty: none
	AdminLoopback bool
	// ReauthAfter is how long a proof of who somebody is counts for what is sensitive; 0:
	// the default.
	ReauthAfter time.Duration
	// AuditKept is how long audit lines stay in the database.
	AuditKept time.Duration
	// NoticesKept is how long people see what they were told.
	NoticesKept time.Duration
	Webhook     Webhook
	// AttemptsPerAccount and AttemptsPerAddress may fail in an hour; 0: the default.
	AttemptsPerAccount, AttemptsPerAddress int

	Session  session.Config
	Warnings []string
	// Values are all settings as they were chosen, and where.
	Values []Value
}

// Database says where sessions and people are kept.
type Database struct {
	URL       string // of a PostgreSQL server, without a password; empty: none
	Path      string // empty unless it is a file that stays
	Memory    bool
	Temporary bool // a file that goes with the process
}

// Stays reports whether it is there after the process has ended.
func (d Database) Stays() bool { return d.URL != "" || d.Path != "" }

// String is what its owner knows it by.
func (d Database) String() string { return cmp.Or(d.URL, d.Path) }

// Load finds the value of every setting and checks them all together. given are
// the flags of the command line. The error is an [*Error] that tells every mistake;
// the settings hold what could be understood even then.
func Load(given map[string]string, environ []string) (Settings, error) {
	var m mistakes
	values, warnings := choose(given, environ, &m)
	c := byKey(values)
	out := Settings{
		Addr: c["addr"].Text, Demo: c.truth("demo", &m), Warnings: warnings, Values: values,
	}
	out.Loopback = loopback("--addr", out.Addr, &m)
	out.Database = database(c.text("database"), out.Demo, &m)
	out.Bus = bus(c.text("bus"), out.Database, &m)
	out.Proxies = proxies(c.list("trusted_proxy"), &m)
	out.TLS = certificate(c.text("tls_cert"), c.text("tls_key"), &m)
	out.Origin = origin(c.text("origin"), &m)
	out.OpenID = provider(c, out.Origin, &m)
	out.Plain = out.TLS == nil && len(out.Proxies) == 0
	out.KeyFile, out.Keys = keys(c.text("keys"), out.Database, &m)
	if err := out.LogLevel.UnmarshalText([]byte(c["log_level"].Text)); err != nil {
		m.add("--log-level %q: give debug, info, warn or error", c["log_level"].Text)
	}
	out.AttemptsPerAccount = count(c, "attempts_per_account", &m)
	out.AttemptsPerAddress = count(c, "attempts_per_address", &m)
	out.ReauthAfter = duration(c, "reauth_after", &m)
	out.AuditKept = days(c, "audit_days", &m)
	out.NoticesKept = days(c, "notice_days", &m)
	out.Webhook = webhook(c, out.Origin, &m)
	if out.AdminAddr = c.text("admin_addr"); out.AdminAddr != "" {
		out.AdminLoopback = loopback("--admin-addr", out.AdminAddr, &m)
	}
	out.Danger = c.truth("dangerous_plain_http", &m)
	together(out, &m)
	var unused []string
	var err error
	out.Session, unused, err = session.ConfigFromEnv(c.environ(environ))
	out.Session.Security.Keys = out.Keys
	out.Warnings = append(out.Warnings, unused...)
	inForce(out.Values, out.Session)
	m.join(err)
	return out, m.err()
}

// inForce shows what counts where nobody chose: the time-outs that a preset sets, and
// the defaults that give way to shorter ones. c holds what was given, and its mistakes
// are reported already.
func inForce(values []Value, c session.Config) {
	complete, _ := sessions.Config{Timeout: c.Timeout, Cleanup: c.Cleanup, Sync: c.Sync, Security: c.Security, Features: c.Features, Kinds: c.Kinds}.Complete()
	var count map[string]map[string]any // of the settings of sessions; times in seconds
	if text, err := json.Marshal(complete); err != nil || json.Unmarshal(text, &count) != nil {
		return
	}
	for i, v := range values {
		group, name, _ := strings.Cut(v.Key, ".")
		n, isNumber := count[group][name].(float64)
		text := strconv.FormatFloat(n, 'f', -1, 64)
		if !isNumber || v.Source != "default" || text == v.Text {
			continue
		}
		values[i].Text, values[i].Source = text, "limited by timeout.idle_timeout"
		switch {
		case group == "kinds" && strings.HasSuffix(name, "lifetime"):
			values[i].Source = "limited by timeout.absolute_timeout"
		case name == "warning_threshold":
			values[i].Source = "limited by the shortest time-out"
		case slices.Contains([]string{"session_lifetime", "absolute_timeout", "idle_timeout"}, name):
			values[i].Source = "preset " + c.Security.Preset
		}
	}
}

func count(c chosen, key string, m *mistakes) int {
	n, err := strconv.Atoi(c[key].Text)
	if err != nil || n < 1 || n > 1_000_000 {
		m.add("--%s %q: give a whole number, from 1 to 1000000", strings.ReplaceAll(key, "_", "-"), c[key].Text)
	}
	return n
}

func duration(c chosen, key string, m *mistakes) time.Duration {
	d, err := time.ParseDuration(c[key].Text)
	if err != nil || d < time.Second || d > 24*time.Hour {
		m.add("--%s %q: give a time such as 10m or 1h30m, from 1s to 24h", strings.ReplaceAll(key, "_", "-"), c[key].Text)
	}
	return d
}

func days(c chosen, key string, m *mistakes) time.Duration {
	n, err := strconv.Atoi(c[key].Text)
	if err != nil || n < 1 || n > 36500 {
		m.add("--%s %q: give a whole number of days, from 1 to 36500", strings.ReplaceAll(key, "_", "-"), c[key].Text)
	}
	return time.Duration(n) * 24 * time.Hour
}

// together reports what is right by itself and wrong in company.
func together(s Settings, m *mistakes) {
	switch {
	case s.Demo && !s.Loopback:
		m.add("--demo with --addr %s: its passwords are public, so it listens on this machine only; give --addr 127.0.0.1:8080 or no --demo", s.Addr)
	case !s.Loopback && s.Plain && !s.Danger:
		m.add("--addr %s is reached from other machines, and plain HTTP gives away passwords and sessions: give --tls-cert and --tls-key, or --trusted-proxy if a proxy in front speaks HTTPS, or --addr 127.0.0.1:8080", s.Addr)
	}
	if s.Demo && len(s.Proxies) > 0 {
		m.add("--demo with --trusted-proxy: a demo refuses everything that was forwarded; leave one of them out")
	} else if s.TLS == nil && len(s.Proxies) > 0 && len(s.Unreachable()) == len(s.Proxies) {
		m.add("--trusted-proxy %s never reaches --addr %s, so that nobody could sign in: name the proxy by the address from which it connects (127.0.0.1 or ::1 if it runs on this machine), or listen where it can", s.Unreachable()[0], s.Addr)
	}
}

// Unreachable are the proxies from which no connection to the server's address can
// come: it is of this machine only, or of the other kind of IP.
func (s Settings) Unreachable() (never []netip.Prefix) {
	host, _, _ := net.SplitHostPort(s.Addr)
	for _, p := range s.Proxies {
		if !reaches(p, host) {
			never = append(never, p)
		}
	}
	return never
}

func reaches(from netip.Prefix, host string) bool {
	v4 := from.Overlaps(netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8))
	v6 := from.Contains(netip.IPv6Loopback())
	if host == "localhost" {
		return v4 || v6
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return true // every address of the machine
	}
	switch ip = ip.Unmap(); {
	case ip.IsLoopback():
		return ip.Is4() && v4 || ip.Is6() && v6
	case ip == netip.IPv6Unspecified():
		return true
	}
	return ip.Is4() == from.Addr().Is4()
}

// loopback reports whether the address is this machine's own.
func loopback(flag, addr string, m *mistakes) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		m.add("%s %q: give HOST:PORT, such as 127.0.0.1:8080", flag, addr)
		return true
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n > 65535 {
		m.add("%s %q: the port is not a number from 0 to 65535", flag, addr)
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "" {
		m.add("%s %q: give an IP address or localhost as the host", flag, addr)
		return true
	}
	return ip.IsLoopback()
}

func database(text string, demo bool, m *mistakes) Database {
	if text == "" && demo {
		return Database{Temporary: true}
	}
	text = cmp.Or(text, DefaultDatabase)
	if strings.HasPrefix(text, "postgres:") || strings.HasPrefix(text, "postgresql:") {
		return server(text, m)
	}
	path, ok := strings.CutPrefix(text, "sqlite:")
	switch {
	case !ok || path == "" || strings.ContainsAny(path, "?\x00"):
		m.add("--database %q: give sqlite:FILE, sqlite::memory: or postgres://USER@HOST/DATABASE", text)
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

// server is a database on a PostgreSQL server. What holds a password is told by
// nobody: it would be seen by whoever lists processes, and in every report.
func server(text string, m *mistakes) Database {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || strings.Trim(u.Path, "/") == "" {
		m.add("--database: give it as postgres://USER@HOST/DATABASE")
		return Database{Memory: true}
	}
	_, secret := u.User.Password()
	if secret || u.Query().Has("password") || u.Query().Has("sslpassword") {
		m.add("--database postgres://%s%s holds a password, which others could see: leave it out, and give it in the environment as PGPASSWORD, or in a file, ~/.pgpass or PGPASSFILE", u.Host, u.Path)
		return Database{Memory: true}
	}
	return Database{URL: text}
}

// bus is a Redis server. What holds a password is told by nobody, as with server.
func bus(text string, db Database, m *mistakes) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"redis", "rediss", "valkey", "valkeys"}, u.Scheme) || u.Host == "" {
		m.add("--bus: give it as redis://USER@HOST:PORT")
		return ""
	}
	if _, secret := u.User.Password(); secret {
		m.add("--bus %s://%s holds a password, which others could see: leave it out, and give it in the environment as REDISCLI_AUTH", u.Scheme, u.Host)
		return ""
	}
	if db.URL == "" {
		m.add("--bus without a PostgreSQL database: servers that share a file look at it by themselves; leave it out, or name a --database that nodes can share")
	}
	return text
}

func proxies(texts []string, m *mistakes) (prefixes []netip.Prefix) {
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			prefixes = append(prefixes, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap()
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

func certificate(cert, key string, m *mistakes) *tls.Config {
	switch {
	case cert == "" && key == "":
		return nil
	case cert == "":
		m.add("--tls-key without --tls-cert: give both")
		return nil
	case key == "":
		m.add("--tls-cert without --tls-key: give both")
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		m.add("--tls-cert and --tls-key: %v", err)
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// keys that are not kept are made anew by the session manager.
func keys(given string, db Database, m *mistakes) (path string, keys [][]byte) {
	path = given
	if path == "" && db.Path != "" {
		path = filepath.Join(filepath.Dir(db.Path), "vedfolnir.keys")
	}
	if path == "" && db.URL != "" {
		m.add("--database %s without --keys: all nodes need the same keys; name the file, which vedfolnir keys make makes, once", db)
	}
	if path == "" {
		return "", nil
	}
	keys, err := ReadKeys(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && db.URL != "":
		m.add("--keys %s is not there: all nodes of a database need the same keys; copy the file of another node, or make it, once, with vedfolnir keys make --keys %s", path, path)
	case errors.Is(err, os.ErrNotExist):
		if folder, err := os.Stat(filepath.Dir(path)); given != "" && (err != nil || !folder.IsDir()) {
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
	b.WriteString("the settings have a mistake; nothing was done:")
	if n := len(e.Mistakes); n > 1 {
		b.Reset()
		fmt.Fprintf(&b, "the settings have %d mistakes; nothing was done:", n)
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
