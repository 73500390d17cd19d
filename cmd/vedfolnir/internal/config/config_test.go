package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// load does what the program does with its arguments and environment.
func load(t *testing.T, environ []string, args ...string) (config.Settings, error) {
	t.Helper()
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "VEDFOLNIR_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	var flags struct {
		config.Common
		config.Serve
	}
	parser, err := kong.New(&flags)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Given(ctx), environ)
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.AttemptsPerAccount != config.DefaultAttemptsPerAccount || s.AttemptsPerAddress != config.DefaultAttemptsPerAddress {
		t.Errorf("attempts: %d and %d", s.AttemptsPerAccount, s.AttemptsPerAddress)
	}
	if s.ReauthAfter != config.DefaultReauthAfter {
		t.Errorf("a proof counts for %v", s.ReauthAfter)
	}
	if s.Addr != "127.0.0.1:8080" || !s.Loopback || !s.Plain || s.Demo {
		t.Errorf("%+v", s)
	}
	if s.Database != (config.Database{Path: "vedfolnir.db"}) || s.KeyFile != "vedfolnir.keys" || s.Keys != nil {
		t.Errorf("database %+v, keys %q", s.Database, s.KeyFile)
	}
}

func TestDemoHasADatabaseOfItsOwn(t *testing.T) {
	s, err := load(t, nil, "--demo")
	if err != nil || s.Database != (config.Database{Temporary: true}) || s.KeyFile != "" {
		t.Errorf("%+v, %v", s, err)
	}
	t.Chdir(t.TempDir())
	s, err = load(t, nil, "--demo", "--database", "sqlite:kept.db")
	if err != nil || s.Database.Path != "kept.db" {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = load(t, nil, "--database", "sqlite::memory:")
	if err != nil || !s.Database.Memory || s.KeyFile != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Lesson 15: the specification's own block, comments and all, is taken as it is
// written.
func TestLesson15_SpecificationsBlockIsUnderstood(t *testing.T) {
	block := `# Session timeouts
SESSION_LIFETIME_SECONDS=172800  # 48 hours
SESSION_IDLE_TIMEOUT_SECONDS=86400  # 24 hours

# Cross-tab synchronization
SESSION_SYNC_CHECK_INTERVAL_SECONDS=2
SESSION_HEARTBEAT_INTERVAL_SECONDS=30

# Security features
SESSION_ENABLE_FINGERPRINTING=true
SESSION_ENABLE_AUDIT_LOGGING=true
SESSION_MAX_CONCURRENT_PER_USER=5

# Cleanup settings
SESSION_CLEANUP_INTERVAL_SECONDS=1800  # 30 minutes
SESSION_CLEANUP_BATCH_SIZE=100
`
	s, err := load(t, nil, "--database=sqlite::memory:", "--config", write(t, block))
	if err != nil {
		t.Fatal(err)
	}
	if s.Session.Timeout.SessionLifetime != 48*time.Hour || s.Session.Cleanup.CleanupInterval != 30*time.Minute || s.Session.Security.MaxConcurrentPerUser != 5 {
		t.Errorf("%+v", s.Session)
	}
}

// Lesson 15: what is set more explicitly wins.
func TestLesson15_FlagOverEnvironmentOverFile(t *testing.T) {
	file := write(t, "\ufeffaddr = '127.0.0.1:1' # first\r\nVEDFOLNIR_LOG_LEVEL=\"warn\"\r\ndatabase = \"sqlite::memory:\"\n[timeout]\nsession_lifetime = \"1h\"\n")
	for _, c := range []struct {
		what    string
		environ []string
		args    []string
		addr    string
		life    time.Duration
	}{
		{"file", nil, nil, "127.0.0.1:1", time.Hour},
		{"environment", []string{"VEDFOLNIR_ADDR=127.0.0.1:2", "SESSION_LIFETIME_SECONDS=7200"}, nil, "127.0.0.1:2", 2 * time.Hour},
		{"flag", []string{"VEDFOLNIR_ADDR=127.0.0.1:2"}, []string{"--addr=127.0.0.1:3"}, "127.0.0.1:3", time.Hour},
		{"flag with the default's value", []string{"VEDFOLNIR_ADDR=127.0.0.1:2"}, []string{"--addr=127.0.0.1:8080"}, "127.0.0.1:8080", time.Hour},
	} {
		t.Run(c.what, func(t *testing.T) {
			environ := append(c.environ, "VEDFOLNIR_CONFIG="+file)
			s, err := load(t, environ, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if s.Addr != c.addr || s.Session.Timeout.SessionLifetime != c.life || s.LogLevel.String() != "WARN" {
				t.Errorf("addr %s, lifetime %v, level %v", s.Addr, s.Session.Timeout.SessionLifetime, s.LogLevel)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	open := filepath.Join(folder, "open.keys")
	os.WriteFile(open, []byte("x"), 0o644)
	short := filepath.Join(folder, "short.keys")
	os.WriteFile(short, []byte("c2hvcnQ=\n"), 0o600)
	empty := filepath.Join(folder, "empty.keys")
	os.WriteFile(empty, []byte("# nothing\n"), 0o600)
	before := files(t, folder)
	for _, c := range []struct {
		what    string
		environ []string
		args    []string
		want    []string // each in a mistake of its own
	}{
		{"address without port", nil, []string{"--addr=localhost"}, []string{"give HOST:PORT"}},
		{"port that is none", nil, []string{"--addr=127.0.0.1:99999"}, []string{"the port"}},
		{"host that is a name", nil, []string{"--addr=example.org:80"}, []string{"IP address or localhost"}},
		{"plain HTTP for everybody", nil, []string{"--addr=0.0.0.0:8080"}, []string{"plain HTTP"}},
		{"plain HTTP for everybody, shorter", nil, []string{"--addr=:8080"}, []string{"plain HTTP"}},
		{"plain HTTP for everybody, IPv6", nil, []string{"--addr=[::]:8080"}, []string{"plain HTTP"}},
		{"demo for everybody", nil, []string{"--demo", "--addr=0.0.0.0:8080"}, []string{"public"}},
		{"demo for everybody, danger notwithstanding", nil, []string{"--demo", "--addr=0.0.0.0:8080", "--dangerous-plain-http"}, []string{"public"}},
		{"demo behind a proxy", nil, []string{"--demo", "--trusted-proxy=127.0.0.1"}, []string{"leave one of them out"}},
		{"proxy that is a name", nil, []string{"--trusted-proxy=proxy"}, []string{"--trusted-proxy"}},
		{"proxy that is everybody", nil, []string{"--trusted-proxy=0.0.0.0/0"}, []string{"trusts everybody"}},
		{"proxy that is everybody, as IPv6", nil, []string{"--trusted-proxy=::ffff:0.0.0.0/96"}, []string{"trusts everybody"}},
		{"proxy elsewhere, address of this machine", nil, []string{"--trusted-proxy=10.0.0.1"}, []string{"--trusted-proxy 10.0.0.1/32 never reaches --addr 127.0.0.1:8080"}},
		{"proxy on this machine, by the other kind of IP", nil, []string{"--addr=[::1]:8080", "--trusted-proxy=127.0.0.1"}, []string{"never reaches"}},
		{"proxies of the other kind of IP only", nil, []string{"--addr=0.0.0.0:8080", "--trusted-proxy=fd00::1", "--trusted-proxy=fe80::/10"}, []string{"never reaches"}},
		{"database of another kind", nil, []string{"--database=mysql://x"}, []string{"sqlite:FILE"}},
		{"database without a name", nil, []string{"--database=sqlite:"}, []string{"sqlite:FILE"}},
		{"database in no folder", nil, []string{"--database=sqlite:none/x.db"}, []string{"no folder none"}},
		{"database that is a folder", nil, []string{"--database=sqlite:" + folder}, []string{"no file"}},
		{"keys in no folder", nil, []string{"--keys=none/x"}, []string{"no folder none"}},
		{"keys that others may read", nil, []string{"--keys", open}, []string{"read by others"}},
		{"keys that are short", nil, []string{"--keys", short}, []string{"at least 32"}},
		{"no keys in the file", nil, []string{"--keys", empty}, []string{"holds no key"}},
		{"certificate without key", nil, []string{"--tls-cert=x"}, []string{"--tls-cert without"}},
		{"key without certificate", nil, []string{"--tls-key=x"}, []string{"--tls-key without"}},
		{"no such certificate", nil, []string{"--tls-cert=x", "--tls-key=y"}, []string{"--tls-cert and --tls-key"}},
		{"no attempts, and more than can be counted", nil, []string{"--attempts-per-account=0", "--attempts-per-address=1000001"}, []string{"--attempts-per-account", "--attempts-per-address"}},
		{"a proof that counts for no time", nil, []string{"--reauth-after=0s"}, []string{"give a time such as 10m or 1h30m, from 1s to 24h"}},
		{"a proof that counts for ever", []string{"VEDFOLNIR_REAUTH_AFTER=25h"}, nil, []string{"--reauth-after"}},
		{"no such level", nil, []string{"--log-level=loud"}, []string{"--log-level"}},
		{"no such file of settings", nil, []string{"--config=none"}, []string{"--config"}},
		{"a file that is no TOML", nil, []string{"--config", write(t, "addr = \"127.0.0.1:1\"\nwhat?\n")}, []string{"line 2"}},
		{
			"keys that nobody knows", nil,
			[]string{"--config", write(t, "A = 1\nadr = \"x\"\nVEDFOLNIR_ADR = \"x\"\n[timeout]\nidle_timout = 1\n[tiemout]\nidle_timeout = 1\n")},
			[]string{"A is not known", "adr is not known; did you mean addr?", "did you mean VEDFOLNIR_ADDR?", "did you mean timeout.idle_timeout?", "tiemout.idle_timeout is not known; did you mean timeout.idle_timeout?"},
		},
		{"a key twice", nil, []string{"--config", write(t, "SESSION_LIFETIME_SECONDS = 1800\n[timeout]\nsession_lifetime = 1800\n")}, []string{"set twice"}},
		{"values of the wrong kind", nil, []string{"--config", write(t, "trusted_proxy = [1]\naddr = 2024-01-01\ndemo = 7\n")}, []string{"texts in quotes", "give a text in quotes", "give true or false"}},
		{"session settings", []string{"SESSION_LIFETIME_SECONDS=-1", "SESSION_CLEANUP_BATCH_SIZE=many"}, nil, []string{"SESSION_LIFETIME_SECONDS", "SESSION_CLEANUP_BATCH_SIZE"}},
		{
			"everything at once",
			[]string{"SESSION_IDLE_TIMEOUT_SECONDS=soon", "VEDFOLNIR_ADDR=nowhere", "VEDFOLNIR_TRUSTED_PROXY=a,b"},
			[]string{"--database=x", "--tls-cert=y", "--keys=none/k"},
			[]string{"SESSION_IDLE_TIMEOUT_SECONDS", "nowhere", `"a"`, `"b"`, `"x"`, "--tls-cert", "none"},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := load(t, c.environ, c.args...)
			e, ok := err.(*config.Error)
			if !ok {
				t.Fatalf("%v, want a report", err)
			}
			if len(e.Mistakes) != len(c.want) {
				t.Errorf("%d mistakes, want %d", len(e.Mistakes), len(c.want))
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(e.Mistakes, func(m error) bool { return strings.Contains(m.Error(), want) }) {
					t.Errorf("nothing about %q in: %v", want, err)
				}
			}
		})
	}
	if after := files(t, folder); !slices.Equal(before, after) {
		t.Errorf("files were made: %v, were %v", after, before)
	}
}

func TestBeyondThisMachine(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"--addr=0.0.0.0:8080", "--dangerous-plain-http"},
		{"--addr=0.0.0.0:8080", "--trusted-proxy=10.1.2.3", "--trusted-proxy=fd00::/8"},
		{"--addr=:8080", "--trusted-proxy=fd00::1"},
		{"--addr=[::]:8080", "--trusted-proxy=10.1.2.3"},
		{"--addr=10.1.2.4:8080", "--trusted-proxy=::ffff:10.1.2.3"},
	} {
		if s, err := load(t, nil, args...); err != nil || s.Loopback {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// A proxy that is named by an address from which it cannot come is no proxy.
func TestProxiesThatCannotReachTheServer(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		addr, proxies string
		never         int
	}{
		{"127.0.0.1:80", "127.0.0.1", 0},
		{"127.0.0.1:80", "127.0.0.0/8,10.0.0.1", 1},
		{"localhost:80", "::1", 0},
		{"localhost:80", "127.0.0.1,10.0.0.0/8,fd00::1", 2},
		{"[::1]:80", "::1,127.0.0.1", 1},
		{"0.0.0.0:80", "10.0.0.1,fd00::1", 1},
		{":80", "10.0.0.1,fd00::1,127.0.0.1", 0},
	} {
		s, err := load(t, []string{"VEDFOLNIR_TRUSTED_PROXY=" + c.proxies}, "--addr", c.addr)
		if never := s.Unreachable(); err != nil || len(never) != c.never {
			t.Errorf("%s from %s: %v, %v", c.addr, c.proxies, never, err)
		}
	}
}

func TestUnknownNamesInTheEnvironmentAreWarnedOf(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := load(t, []string{"VEDFOLNIR_PORT=tcp://10.0.0.1:80", "SESSION_LIFETIME_SECOND=1", "SESSION_MANAGER=x"})
	if err != nil || len(s.Warnings) != 2 {
		t.Errorf("warnings %q, error %v; want two", s.Warnings, err)
	}
}

func TestKeysAreMadeOnceForNobodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	made, err := config.MakeKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	again, err := config.MakeKeys(path)
	if err != nil || len(made) != 1 || len(made[0]) != config.KeyLength || !slices.Equal(made[0], again[0]) {
		t.Errorf("made %d keys, then %d, %v", len(made), len(again), err)
	}
	if left := files(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%v was left behind", left)
	}
}

func TestSeveralKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	a, b := strings.Repeat("YWFh", 11), strings.Repeat("YmJi", 12)
	os.WriteFile(path, []byte("# new\n"+a+"\n\n"+b+" # old\n"), 0o600)
	keys, err := config.ReadKeys(path)
	if err != nil || len(keys) != 2 || keys[0][0] != 'a' || keys[1][0] != 'b' {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Each value is shown with where it comes from, and none is a key.
func TestEveryValueHasASource(t *testing.T) {
	t.Chdir(t.TempDir())
	file := write(t, "log_level = \"warn\"\n[sync]\nlease = 3\n")
	s, err := load(t, []string{"VEDFOLNIR_CONFIG=" + file, "SESSION_IDLE_TIMEOUT_SECONDS=1800"}, "--addr=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, v := range s.Values {
		sources[v.Key] = v.Text + " by " + v.Source
	}
	for key, want := range map[string]string{
		"addr": "127.0.0.1:0 by --addr", "log_level": "warn by " + file, "sync.lease": "3 by " + file,
		"timeout.idle_timeout": "1800 by SESSION_IDLE_TIMEOUT_SECONDS", "database": "sqlite:vedfolnir.db by default",
		"cleanup.batch_size": "100 by default", "config": file + " by VEDFOLNIR_CONFIG",
	} {
		if sources[key] != want {
			t.Errorf("%s is %s, want %s", key, sources[key], want)
		}
	}
}

// The template is a file that changes nothing, and with each of its comments taken
// away sets everything to its default.
func TestTemplate(t *testing.T) {
	t.Chdir(t.TempDir())
	plain, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	template := config.Template()
	if s, err := load(t, nil, "--config", write(t, template)); err != nil || !reflect.DeepEqual(s.Session, plain.Session) || s.Addr != plain.Addr {
		t.Errorf("as it is: %v", err)
	}
	uncommented := regexp.MustCompile(`(?m)^#([a-z_]+ = )`).ReplaceAllString(template, "$1")
	s, err := load(t, nil, "--config", write(t, uncommented))
	if err != nil {
		t.Fatalf("%v in\n%s", err, uncommented)
	}
	for _, v := range s.Values {
		if v.Key != "config" && v.Source == "default" {
			t.Errorf("%s is not in the template", v.Key)
		}
		if v.Text != v.Default && v.Key != "config" {
			t.Errorf("%s is %q in the template, and %q by default", v.Key, v.Text, v.Default)
		}
	}
}
