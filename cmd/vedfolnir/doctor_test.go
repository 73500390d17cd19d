package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
)

const exitUnwell = 4

// finding is what doctor --json tells.
type finding struct {
	Code, What, Fix string
	Problem         bool
}

// diagnose lets the doctor look and returns what it found.
func diagnose(t *testing.T, folder string, environ []string, args ...string) (findings []finding) {
	t.Helper()
	cmd := command(t, folder, environ, append([]string{"doctor", "--json"}, args...)...)
	out, err := cmd.Output()
	if exit := cmd.ProcessState.ExitCode(); exit != 0 && exit != exitUnwell {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := json.Unmarshal(out, &findings); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, f := range findings {
		if f.What == "" || f.Fix == "" {
			t.Errorf("%s says too little: %+v", f.Code, f)
		}
	}
	return findings
}

// problems are the codes of those that are more than a note.
func problems(findings []finding) (codes []string) {
	for _, f := range findings {
		if f.Problem {
			codes = append(codes, f.Code)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

const (
	goodHost     = "proxy_set_header Host $http_host; "
	goodProtocol = "proxy_set_header X-Forwarded-Proto $scheme; "
	goodAddress  = "proxy_set_header X-Forwarded-For $remote_addr; "
	goodLocation = goodHost + goodProtocol + goodAddress
)

// Each set-up is broken in one way, behind a real nginx.
func TestDoctorBehindAProxy(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	certificate(t, folder)
	p := launch(t, folder, nil, "--trusted-proxy=127.0.0.1")
	deaf := launch(t, t.TempDir(), nil)                                   // trusts no proxy
	elsewhere := launch(t, t.TempDir(), nil, "--trusted-proxy=127.0.0.3") // and not this machine
	for _, c := range []struct {
		what, server string
		front        front
		want         []string
	}{
		{"as documented", p.url, front{location: goodLocation}, nil},
		{"addresses are appended", elsewhere.url, front{location: goodHost + goodProtocol + "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_bind 127.0.0.3;"}, nil},
		{"Host is not handed on", p.url, front{location: strings.Replace(goodLocation, "$http_host", "backend", 1)}, []string{"HOST_CHANGED"}},
		{"the protocol is not handed on", p.url, front{location: goodHost + goodAddress}, []string{"COOKIE_NOT_SECURE", "NO_HSTS"}},
		{"anybody's word for the address is handed on", elsewhere.url, front{location: goodHost + goodProtocol + "proxy_bind 127.0.0.3;"}, []string{"ADDRESS_FORGED"}},
		{"the address is not handed on", elsewhere.url, front{location: goodHost + goodProtocol + `proxy_set_header X-Forwarded-For ""; proxy_bind 127.0.0.3;`}, []string{"ADDRESS_LOST"}},
		{"the proxy is not trusted", deaf.url, front{location: goodLocation}, []string{"COOKIE_NOT_SECURE", "NO_HSTS"}},
		{"cookies are changed", p.url, front{location: goodLocation + "proxy_cookie_path / /app;"}, []string{"COOKIE_CHANGED", "COOKIE_LOST"}},
		{"cookies are readable by scripts", p.url, front{location: goodLocation + "proxy_cookie_flags ~ nohttponly;"}, []string{"COOKIE_CHANGED"}},
		{"cookies come twice", p.url, front{location: goodLocation + `add_header Set-Cookie $upstream_http_set_cookie;`}, []string{"COOKIE_TWICE"}},
		{"cookies are not handed on", p.url, front{location: goodLocation + `proxy_set_header Cookie "";`}, []string{"COOKIE_LOST"}},
		{"cookies are hidden", p.url, front{location: goodLocation + "proxy_hide_header Set-Cookie;"}, []string{"COOKIE_LOST", "NO_COOKIE"}},
		{"pages are cached", p.url, front{location: goodLocation + "proxy_cache all; proxy_cache_key $uri; proxy_ignore_headers Cache-Control Set-Cookie Vary; proxy_cache_valid any 1m; add_header X-Cache-Status $upstream_cache_status always;"}, []string{"CACHED"}},
		{"the API is not handed on", p.url, front{location: goodLocation + "if ($uri ~ ^/api/) { return 404; }"}, []string{"NO_API"}},
		{"forms are refused", p.url, front{location: goodLocation + "limit_except GET { deny all; }"}, []string{"LOGIN"}},
		{"the server is away", "http://127.0.0.1:1", front{location: goodLocation}, []string{"NOT_READY"}},
		{"without TLS", p.url, front{location: goodLocation, plain: true}, []string{"PLAIN_HTTP"}},
		{"the clock is wrong", late(t, p.url), front{location: goodLocation + "proxy_pass_header Date;"}, []string{"CLOCK"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			address := behindNginx(t, folder, c.server, c.front)
			environ := []string{
				"SSL_CERT_FILE=" + filepath.Join(folder, "cert.pem"), "VEDFOLNIR_KEYS=" + filepath.Join(folder, "vedfolnir.keys"),
				"VEDFOLNIR_TRUSTED_PROXY=127.0.0.3",
			}
			diagnose(t, folder, environ, "--url", address) // a cache answers the second time
			findings := diagnose(t, folder, environ, "--url", address)
			if got := problems(findings); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q: %+v", got, c.want, findings)
			}
		})
	}
}

// The origin of the settings is not the address that people use.
func TestDoctorKnowsWhereThePasskeysAre(t *testing.T) {
	t.Parallel()
	p := launch(t, t.TempDir(), nil)
	here := strings.Replace(p.url, "127.0.0.1", "localhost", 1)
	for origin, want := range map[string][]string{here: nil, "https://accounts.example.org": {"OTHER_ORIGIN"}} {
		findings := diagnose(t, t.TempDir(), []string{"VEDFOLNIR_ORIGIN=" + origin}, "--url", here)
		if got := problems(findings); !slices.Equal(got, want) {
			t.Errorf("with %s found %q, want %q: %+v", origin, got, want, findings)
		}
	}
}

// Behind a real proxy that nobody named the log says which flag is missing, once
// and not for each request.
func TestLesson29_AProxyThatNobodyNamedIsTold(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := certificate(t, folder)
	deaf := launch(t, folder, nil)
	address := behindNginx(t, folder, deaf.url, front{location: goodLocation})
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for range 5 {
		get(t, c, address+"/login")
	}
	deaf.stderr.await(t, "--trusted-proxy ADDRESS): until then nobody can sign in through it")
	get(t, c, address+"/login")
	if told := strings.Count(deaf.stderr.String(), "until then nobody can sign in"); told != 1 {
		t.Errorf("told %d times", told)
	}
	deaf.end(syscall.SIGTERM)
}

// late stands before a server and dates its answers as one whose clock is ten minutes
// slow.
func late(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto"} {
				r.Out.Header[name] = r.In.Header[name]
			}
		},
		ModifyResponse: func(w *http.Response) error {
			w.Header.Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
			return nil
		},
	})
	t.Cleanup(s.Close)
	return s.URL
}

// A disk that is nearly full is one of eight megabytes.
func TestDoctorFindsAFullDisk(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		skip(t, "only root of a Linux system can mount a small disk")
	}
	disk := t.TempDir()
	mount(t, disk)
	if out, err := command(t, disk, nil, "migrate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := problems(diagnose(t, disk, nil)); !slices.Equal(got, []string{"DISK_FULL"}) {
		t.Errorf("found %q", got)
	}
}

// The people of a demo stay in a database that was named.
func TestDoctorFindsWhatADemoLeft(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	p.end(syscall.SIGTERM)
	findings := diagnose(t, folder, nil, "--database=sqlite:v.db")
	found := 0
	for _, f := range findings {
		if f.Code == "DEMO_PERSON" && !f.Problem {
			found++
		}
	}
	if found != 4 {
		t.Errorf("%d of 4 people: %+v", found, findings)
	}
}

func TestDoctorOnAPostgreSQLThatForgets(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	server := testservers.HastyPostgreSQL(t)
	flags := []string{"--database=" + server, "--keys=" + filepath.Join(folder, "shared.keys")}
	for _, step := range [][]string{{"keys", "make"}, {"migrate"}} {
		if out, err := command(t, folder, nil, append(step, flags...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", step, err, out)
		}
	}
	found := map[string]bool{} // and whether it is a problem
	for _, f := range diagnose(t, folder, nil, flags...) {
		found[f.Code] = f.Problem
	}
	if !found["NOT_DURABLE"] {
		t.Errorf("nothing of NOT_DURABLE: %v", found)
	}
	if problem, ok := found["NO_SYNCHRONOUS_STANDBY"]; !ok || problem {
		t.Errorf("not a note of NO_SYNCHRONOUS_STANDBY: %v", found)
	}
	add := command(t, folder, nil, append([]string{"user", "add", "kim", "--email=kim@example.org", "--password-stdin"}, flags...)...)
	add.Stdin = strings.NewReader(kimsPassword)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sealed := func() bool {
		return !slices.ContainsFunc(diagnose(t, folder, nil, flags...), func(f finding) bool { return f.Code == "NOT_SEALED" && !f.Problem })
	}
	if !sealed() {
		t.Error("what happened just now should be sealed")
	}
	operate(t, server, "UPDATE session_audit SET at = at - 61000000")
	if sealed() {
		t.Error("nothing of NOT_SEALED")
	}
	if out, err := command(t, folder, nil, append([]string{"audit", "seal"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !sealed() {
		t.Error("NOT_SEALED after it was sealed")
	}
	operate(t, server, "ALTER SYSTEM SET synchronous_standby_names = 'away'")
	operate(t, server, "SELECT pg_reload_conf()")
	if got := problems(diagnose(t, folder, nil, flags...)); !slices.Contains(got, "STANDBY_AWAY") {
		t.Errorf("found %q", got)
	}
}

func TestDoctorFindsABusThatIsAway(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	flags := []string{"--database=" + testservers.PostgreSQL(t), "--keys=" + filepath.Join(folder, "shared.keys")}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	away := tcpproxy.Start(t, testservers.Redis(t))
	flags = append(flags, "--bus=redis://"+away.Addr)
	if got := problems(diagnose(t, folder, nil, flags...)); slices.Contains(got, "BUS") {
		t.Errorf("found %q with a bus that works", got)
	}
	away.Cut()
	if got := problems(diagnose(t, folder, nil, flags...)); !slices.Contains(got, "BUS") || slices.Contains(got, "DATABASE") {
		t.Errorf("found %q", got)
	}
}

var reported = regexp.MustCompile(`\.(?:problem|note)\("([A-Z_]+)"`)

// Nothing is reported that no test has broken something for, nor without its line in
// the documentation.
func TestEveryFindingIsProvokedAndDocumented(t *testing.T) {
	t.Parallel()
	read := func(pattern string) (text string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, files, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text += string(content)
		}
		return text
	}
	tests := read("*_test.go") + read("testdata/script/*.txtar") + read("internal/cli/doctor_linux_test.go")
	table := read("../../docs/operations.md")
	codes := map[string]bool{}
	for _, match := range reported.FindAllStringSubmatch(read("internal/cli/*.go"), -1) {
		codes[match[1]] = true
	}
	if len(codes) < 20 {
		t.Fatalf("only %d findings were found in the source", len(codes))
	}
	for code := range codes {
		if !regexp.MustCompile(`\b` + code + `\b`).MatchString(tests) {
			t.Errorf("no test provokes %s", code)
		}
		if !strings.Contains(table, "`"+code+"`") {
			t.Errorf("docs/operations.md does not have %s", code)
		}
	}
}
