package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vedfolnir/session/sqlitestore"
)

// TestMain lets the test's own binary be the program, as a process of its own. Where it
// looks for races it would sleep for a second before it ends, and hundreds do. Four tests
// run at once unless -parallel says otherwise: they wait much of the time, and more would
// want more connections than PostgreSQL has.
func TestMain(m *testing.M) {
	if os.Getenv("VEDFOLNIR_TEST_IS_PROGRAM") != "" {
		program()
	}
	os.Setenv("GORACE", cmp.Or(os.Getenv("GORACE"), "atexit_sleep_ms=0"))
	flag.Set("test.parallel", "4")
	testscript.Main(m, map[string]func(){"vedfolnir": program})
}

// command is the program in a folder of its own.
func command(t *testing.T, folder string, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, args...)
	c.Dir = folder
	c.Env = append([]string{
		"VEDFOLNIR_TEST_IS_PROGRAM=1", "TMPDIR=" + t.TempDir(), "OVERHEARD=" + os.Getenv("OVERHEARD"), "GORACE=" + os.Getenv("GORACE"),
	}, environ...)
	return c
}

// process is the program while it serves.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	stderr *output
	stdout *output
	ended  chan error
}

// output may be looked at while the program goes on writing it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await what a process writes in its own time.
func (o *output) await(t *testing.T, want string) {
	t.Helper()
	for patience := time.Now().Add(20 * time.Second); !strings.Contains(o.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("nothing about %q in:\n%s", want, o)
		}
	}
}

var addressForm = regexp.MustCompile(`https?://(localhost|[0-9.]+):[0-9]+`)

// launch starts the program on a free port and waits until it says where.
func launch(t *testing.T, folder string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{
		t: t, cmd: command(t, folder, environ, append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...),
		stderr: new(output), stdout: new(output), ended: make(chan error, 1),
	}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for p.url == "" {
		line, err := lines.ReadString('\n')
		io.WriteString(p.stdout, line)
		if err != nil {
			_ = p.cmd.Wait()
			t.Fatalf("the program ended: %s%s", p.stdout, p.stderr)
		}
		p.url = strings.Replace(addressForm.FindString(line), "localhost", "127.0.0.1", 1)
	}
	go func() {
		_, _ = io.Copy(p.stdout, lines)
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// end sends the signal and waits.
func (p *process) end(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	p.wait()
}

func (p *process) wait() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%v\n%s", err, p.stderr)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatalf("the program does not end\n%s", p.stderr)
	}
}

var tokenForm = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)

// signIn as a demo person.
func (p *process) signIn(name string) *http.Client {
	p.t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	page := get(p.t, c, p.url+"/login")
	form := url.Values{"username": {name}, "password": {"vedfolnir-demo"}, "csrf_token": {tokenForm.FindStringSubmatch(page)[1]}}
	w, err := c.PostForm(p.url+"/login", form)
	if err != nil {
		p.t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 200 || w.Request.URL.Path != "/" {
		p.t.Fatalf("signing in: %d at %s", w.StatusCode, w.Request.URL.Path)
	}
	return c
}

func get(t *testing.T, c *http.Client, address string) string {
	t.Helper()
	w, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestBadConfigurationIsReportedWholeAndStartsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		environ []string
		args    []string
		want    []string
	}{
		{"no command", nil, nil, []string{"serve"}},
		{"no such command", nil, []string{"sevre"}, []string{"sevre"}},
		{"one mistake", nil, []string{"serve", "--addr=0.0.0.0:1"}, []string{"a mistake", "plain HTTP"}},
		{
			"mistakes everywhere",
			[]string{"SESSION_LIFETIME_SECONDS=-5", "SESSION_CLEANUP_BATCH_SIZE=x", "VEDFOLNIR_TRUSTED_PROXY=nobody"},
			[]string{"serve", "--addr=nowhere", "--database=mysql:x", "--tls-cert=none"},
			[]string{"6 mistakes", "SESSION_LIFETIME_SECONDS", "SESSION_CLEANUP_BATCH_SIZE", "nobody", "nowhere", "mysql:x", "--tls-key"},
		},
		{"a flag that does not exist among others", []string{"SESSION_LEASE_SECONDS=x"}, []string{"serve", "--addr=nowhere", "--prot=1"}, []string{"3 mistakes", "--prot", "nowhere", "SESSION_LEASE_SECONDS"}},
		{"a switch that is none", []string{"VEDFOLNIR_DEMO=perhaps"}, []string{"serve", "--database=x"}, []string{"2 mistakes", "perhaps", `"x"`}},
		{"a contradiction", []string{"SESSION_LIFETIME_SECONDS=99999999"}, []string{"serve"}, []string{"a mistake", "absolute"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			out, err := command(t, folder, c.environ, c.args...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Errorf("%v, want exit code 2", err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("nothing about %q in:\n%s", want, out)
				}
			}
			if made, _ := os.ReadDir(folder); len(made) != 0 {
				t.Errorf("made %v", made)
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := t.TempDir()
	out, err := command(t, folder, nil, "serve", "--addr", l.Addr().String()).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v, want exit code 1", err)
	}
	for _, want := range []string{l.Addr().String() + " is taken by", "--addr 127.0.0.1:"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing about %q in: %s", want, out)
		}
	}
	if who := fmt.Sprintf("(process %d)", os.Getpid()); !strings.Contains(string(out), who) {
		if _, err := os.Stat("/proc/self/fd"); err == nil {
			t.Errorf("does not say %s: %s", who, out)
		}
	}
	if made, _ := os.ReadDir(folder); len(made) != 0 {
		t.Errorf("made %v", made)
	}
}

func TestDemoSaysWhatItIsAndWhatItThrewAway(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, nil, "--demo")
	p.signIn("alex")
	p.end(syscall.SIGINT)
	out := p.stdout.String()
	for _, want := range []string{"alex@example.com", "robin", "vedfolnir-demo", "Thrown away: 4 people, 1 live session and the file "} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	_, file, _ := strings.Cut(strings.TrimSpace(out), "and the file ")
	if _, err := os.Stat(filepath.Dir(strings.TrimSuffix(file, "."))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", file, err)
	}
	if made, _ := os.ReadDir(folder); len(made) != 0 {
		t.Errorf("made %v", made)
	}
}

func TestDemoTwiceOnOneDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	c := first.signIn("alex")
	first.end(syscall.SIGTERM)
	if strings.Contains(first.stdout.String(), "Thrown away") {
		t.Error("it threw away a database that was to stay")
	}
	second := launch(t, folder, nil, "--demo", "--database=sqlite:v.db")
	if home := get(t, c, second.url+"/"); !strings.Contains(home, "My Pixelfed</h1>") {
		t.Error("the second start signed out")
	}
	second.end(syscall.SIGTERM)
}

// A server that is told to end finishes what is under way: no answer is a failure,
// streams are told when to come back, nobody is signed out, and what people did
// last is stored.
func TestLesson38_EndUnderLoad(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, []string{"SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS=1"}, "--demo", "--database=sqlite:v.db")
	c := p.signIn("alex")
	stream, err := c.Get(p.url + "/api/session/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()

	stop := make(chan struct{})
	var load sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 8 {
		load.Go(func() {
			for {
				w, err := c.Get(p.url + "/api/session_state")
				if err != nil {
					return // refused: the listener is closed
				}
				_, _ = io.Copy(io.Discard, w.Body)
				w.Body.Close()
				mu.Lock()
				statuses[w.StatusCode]++
				mu.Unlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	time.Sleep(1200 * time.Millisecond) // past the write interval: the process's clock is real
	enough := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return statuses[200] >= 100
	}
	for patience := time.Now().Add(30 * time.Second); !enough(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("no answers any more")
		}
	}
	acted := time.Now()
	r, _ := http.NewRequest("GET", p.url+"/", nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	w, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	p.end(syscall.SIGTERM)
	close(stop)
	load.Wait()

	if len(statuses) != 1 {
		t.Errorf("answers by status: %v, want only 200", statuses)
	}
	if told, _ := io.ReadAll(stream.Body); !bytes.Contains(told, []byte("retry: ")) {
		t.Errorf("the stream was not told to reconnect: %q", told)
	}
	if active := lastActivity(t, filepath.Join(folder, "v.db")); active.Before(acted.Add(-time.Millisecond)) {
		t.Errorf("the last activity is of %v; somebody acted at %v", active, acted)
	}
}

// lastActivity of person 1's only session.
func lastActivity(t *testing.T, path string) time.Time {
	t.Helper()
	store, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	records, err := store.List(t.Context(), "1")
	if err != nil || len(records) != 1 {
		t.Fatalf("%d sessions, %v", len(records), err)
	}
	return records[0].LastActivity
}

func TestHeadersThatAreTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	p := launch(t, t.TempDir(), nil, "--demo")
	r, _ := http.NewRequest("GET", p.url+"/login", nil)
	r.Header.Set("Cookie", strings.Repeat("flood=x; ", 8000))
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d, want 431", w.StatusCode)
	}
}

// Over TLS the cookie is bound to this very host, and browsers are told to come
// back by TLS only.
func TestTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := certificate(t, folder)
	p := launch(t, folder, nil, "--demo", "--tls-cert=cert.pem", "--tls-key=key.pem")
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("it says it is at %s", p.url)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	w, err := c.Get(p.url + "/login")
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if got := w.Header.Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("Strict-Transport-Security: %q", got)
	}
	for _, cookie := range w.Cookies() {
		if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly {
			t.Errorf("cookie %s", cookie)
		}
	}
}

// certificate writes one for 127.0.0.1 that signed itself.
func certificate(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{"cert.pem": encoded, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(encoded)
	return roots
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := command(t, t.TempDir(), nil, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "vedfolnir ") {
		t.Errorf("%q, %v", out, err)
	}
}

// Every flag is explained, and can be given in the environment.
func TestHelp(t *testing.T) {
	t.Parallel()
	out, err := command(t, t.TempDir(), nil, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(string(out), -1) {
		name := "VEDFOLNIR_" + strings.ToUpper(strings.ReplaceAll(flag[1], "-", "_"))
		if flag[1] != "help" && !strings.Contains(strings.Join(strings.Fields(string(out)), " "), name) {
			t.Errorf("--%s has no name in the environment", flag[1])
		}
	}
}
