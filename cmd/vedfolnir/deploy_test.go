//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/vedfolnir/session/internal/nginxtest"
	"github.com/vedfolnir/session/internal/testservers"
)

// sample reads a file of deploy/ and puts these texts in the places of others, each of
// which has to be there.
func sample(t *testing.T, name string, instead ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for i := 0; i < len(instead); i += 2 {
		if !strings.Contains(text, instead[i]) {
			t.Fatalf("deploy/%s does not say %q", name, instead[i])
		}
		text = strings.ReplaceAll(text, instead[i], instead[i+1])
	}
	return text
}

// cluster are nodes on one database, in a folder that holds a certificate too.
type cluster struct {
	flags  []string // of every command
	t      *testing.T
	folder string
	roots  *x509.CertPool
	addrs  []string
	nodes  []*process
}

const kimsPassword = "correct horse battery staple"

// newCluster starts so many nodes, with a person kim who has the platforms 1 and 2.
func newCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	return newClusterOn(t, nodes, "sqlite:v.db")
}

// newClusterOn has its keys in v.keys, made here, for nodes that share a server.
func newClusterOn(t *testing.T, nodes int, database string) *cluster {
	t.Helper()
	c := &cluster{t: t, folder: t.TempDir(), flags: []string{"--database=" + database, "--keys=v.keys"}}
	if out, err := command(t, c.folder, nil, append([]string{"keys", "make"}, c.flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c.roots = certificate(t, c.folder)
	add := command(t, c.folder, nil, append([]string{"user", "add", "kim", "--email", "kim@example.org", "--password-stdin"}, c.flags...)...)
	add.Stdin = strings.NewReader(kimsPassword)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"One", "Two"} {
		if out, err := command(t, c.folder, nil, append([]string{"platform", "add", "kim", name, "--type=mastodon", "--url=https://" + name + ".example"}, c.flags...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for range nodes {
		c.addrs, c.nodes = append(c.addrs, freeAddress(t)), append(c.nodes, nil)
		c.start(len(c.nodes) - 1)
	}
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	unlimited := []string{"SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR=0"}
	c.nodes[i] = launch(c.t, c.folder, unlimited, append([]string{"--addr=" + c.addrs[i], "--trusted-proxy=127.0.0.1"}, c.flags...)...)
}

// restart ends the node as a service manager does, and starts it again.
func (c *cluster) restart(i int) {
	c.t.Helper()
	c.nodes[i].end(syscall.SIGTERM)
	c.start(i)
}

// visitor is a browser that is signed in through the proxy.
type visitor struct {
	t      *testing.T
	url    string
	client *http.Client
	csrf   string
}

func (c *cluster) signIn(url string) *visitor {
	c.t.Helper()
	jar, _ := cookiejar.New(nil)
	v := &visitor{t: c.t, url: url, client: &http.Client{Jar: jar, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.roots}, MaxIdleConnsPerHost: 16,
	}}}
	c.t.Cleanup(v.client.CloseIdleConnections)
	v.csrf = v.token()
	status, body, err := v.do(c.t.Context(), "POST", "/login", `{"username":"kim","password":"`+kimsPassword+`"}`)
	if err != nil || status != 200 {
		c.t.Fatalf("signing in: %d %s %v", status, body, err)
	}
	v.csrf = v.token() // of the session
	return v
}

func (v *visitor) token() string {
	v.t.Helper()
	_, body, err := v.do(v.t.Context(), "GET", "/api/csrf", "")
	var answer struct {
		Token string `json:"csrf_token"`
	}
	if err != nil || json.Unmarshal([]byte(body), &answer) != nil || answer.Token == "" {
		v.t.Fatalf("no CSRF token: %s %v", body, err)
	}
	return answer.Token
}

func (v *visitor) do(ctx context.Context, method, path, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, v.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", v.url)
		r.Header.Set("X-CSRFToken", v.csrf)
	}
	w, err := v.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	return w.StatusCode, string(answer), err
}

// hears opens the stream of events and returns when the first one is there: nothing on
// the way may keep it back. Afterwards it sends on each name that it hears.
func (v *visitor) hears() <-chan string {
	v.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", v.url+"/api/session/events", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	w, err := v.client.Do(r)
	if err != nil || w.StatusCode != 200 {
		v.t.Fatalf("the stream: %v %v", w, err)
	}
	heard := make(chan string, 100)
	go func() {
		defer close(heard)
		defer w.Body.Close()
		for lines := bufio.NewScanner(w.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				heard <- name
			}
		}
	}()
	return heard
}

// next event within a second, or it was kept back.
func next(t *testing.T, heard <-chan string) {
	t.Helper()
	select {
	case _, open := <-heard:
		if !open {
			t.Fatal("the stream ended")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("an event was kept back on the way")
	}
}

// load is what people do all the time: look, and switch.
type load struct {
	v        *visitor
	stop     chan struct{}
	workers  sync.WaitGroup
	mu       sync.Mutex
	answers  map[string]int
	answered atomic.Int64
}

func (v *visitor) load(methods ...string) *load {
	l := &load{v: v, stop: make(chan struct{}), answers: map[string]int{}}
	for _, ask := range []struct{ method, path, body string }{
		{"GET", "/api/session_state", ""},
		{"GET", "/", ""},
		{"GET", "/api/sessions", ""},
		{"POST", "/api/switch_platform/1", "{}"},
		{"POST", "/api/switch_platform/2", "{}"},
		{"POST", "/api/session/heartbeat", `{"active":true}`},
	} {
		if !slices.Contains(methods, ask.method) {
			continue
		}
		l.workers.Go(func() {
			for {
				status, body, err := v.do(context.Background(), ask.method, ask.path, ask.body)
				what := fmt.Sprint(status)
				if err != nil {
					what = err.Error()
				} else if status != 200 {
					what += " to " + ask.method + " " + ask.path + ": " + body
				}
				l.mu.Lock()
				l.answers[what]++
				l.mu.Unlock()
				l.answered.Add(1)
				select {
				case <-l.stop:
					return
				default:
				}
			}
		})
	}
	return l
}

// more waits until so many requests more have been answered.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.answered.Load() + n
	for patience := time.Now().Add(30 * time.Second); l.answered.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("no answers any more")
		}
	}
}

// unnoticed ends the load and sees that every answer was good.
func (l *load) unnoticed(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.workers.Wait()
	if kinds := slices.Collect(maps.Keys(l.answers)); !slices.Equal(kinds, []string{"200"}) {
		t.Errorf("somebody noticed: %v", l.answers)
	}
	t.Logf("%d answers", l.answered.Load())
	if token := l.v.csrf; token != "" {
		if status, body, err := l.v.do(t.Context(), "POST", "/api/switch_platform/1", "{}"); status != 200 || err != nil {
			t.Errorf("the CSRF token from before: %d %s %v", status, body, err)
		}
	}
}

// nginxSample runs deploy/nginx.conf in front of the nodes.
func nginxSample(t *testing.T, c *cluster) string {
	t.Helper()
	addr, plain := freeAddress(t), freeAddress(t)
	nodes := ""
	for _, a := range c.addrs {
		nodes += "server " + a + " max_fails=0;"
	}
	conf := sample(t, "nginx.conf",
		"listen 443 ssl;", "listen "+addr+" ssl;", "listen 80;", "listen "+plain+";",
		"server 127.0.0.1:8080 max_fails=0;", nodes, "sessions.example.org;", "127.0.0.1;",
		"/etc/ssl/certs/sessions.example.org.pem", filepath.Join(c.folder, "cert.pem"),
		"/etc/ssl/private/sessions.example.org.key", filepath.Join(c.folder, "key.pem"))
	nginxtest.Start(t, t.TempDir(), conf, addr)
	return "https://" + addr
}

// caddySample runs deploy/Caddyfile in front of the first node.
func caddySample(t *testing.T, c *cluster) string {
	t.Helper()
	addr, home := freeAddress(t), t.TempDir()
	conf := "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_sni 127.0.0.1\n}\n" + sample(t, "Caddyfile",
		"sessions.example.org {", "https://"+addr+" {\n\ttls "+filepath.Join(c.folder, "cert.pem")+" "+filepath.Join(c.folder, "key.pem"),
		"127.0.0.1:8080 {", c.addrs[0]+" {")
	path := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	caddy := exec.Command(tool(t, "caddy"), "run", "--config", path, "--adapter", "caddyfile")
	caddy.Env = []string{"HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home}
	serveWith(t, addr, caddy)
	return "https://" + addr
}

// As the samples say it the doctor finds nothing, cookies arrive as they were sent, and
// events come at once.
func TestLesson29_SamplesOfProxies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *cluster) string{"nginx": nginxSample, "Caddy": caddySample} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 1)
			address := start(t, c)
			environ := []string{"SSL_CERT_FILE=" + filepath.Join(c.folder, "cert.pem"), "VEDFOLNIR_DATABASE=sqlite:v.db", "VEDFOLNIR_TRUSTED_PROXY=127.0.0.1"}
			if findings := diagnose(t, c.folder, environ, "--url", address); len(problems(findings)) > 0 {
				t.Errorf("%+v", findings)
			}
			v := c.signIn(address)
			heard := v.hears()
			next(t, heard) // what is
			if status, body, err := v.do(t.Context(), "POST", "/api/switch_platform/2", "{}"); status != 200 || err != nil {
				t.Fatalf("%d %s %v", status, body, err)
			}
			next(t, heard) // what has changed
			if out := c.nodes[0].stderr.String(); !strings.Contains(out, `"path":"/login","status":200`) {
				t.Errorf("no line about the sign-in:\n%s", out)
			}
		})
	}
}

// Two nodes behind deploy/nginx.conf are restarted one after the other while people
// work: nobody sees an error, nobody is signed out, open pages' tokens stay good.
func TestLesson38_RollingRestartBehindNginx(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{
		"one file": func(testing.TB) string { return "sqlite:v.db" }, "PostgreSQL": testservers.PostgreSQL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClusterOn(t, 2, database(t))
			v := c.signIn(nginxSample(t, c))
			l := v.load("GET", "POST")
			for i := range c.nodes {
				l.more(t, 100)
				c.restart(i)
			}
			l.more(t, 100)
			l.unnoticed(t)
		})
	}
}

// Tabs of one person are on any node behind nginx: what is done through it is heard
// by all of them, and an end is held to by whichever node is asked.
func TestTabsOnNodesBehindNginx(t *testing.T) {
	t.Parallel()
	c := newClusterOn(t, 3, testservers.PostgreSQL(t))
	v := c.signIn(nginxSample(t, c))
	const tabs = 6 // nginx deals them out
	var heard []<-chan string
	for range tabs {
		h := v.hears()
		next(t, h) // what is
		heard = append(heard, h)
	}
	for _, platform := range []string{"2", "1", "2"} {
		if status, body, err := v.do(t.Context(), "POST", "/api/switch_platform/"+platform, "{}"); status != 200 || err != nil {
			t.Fatalf("%d %s %v", status, body, err)
		}
		done := time.Now()
		for _, h := range heard {
			next(t, h)
		}
		t.Logf("%d tabs on %d nodes hear of a switch %v after its answer", tabs, len(c.nodes), time.Since(done))
	}
	if status, body, err := v.do(t.Context(), "POST", "/logout", "{}"); status != 200 || err != nil {
		t.Fatalf("%d %s %v", status, body, err)
	}
	for _, h := range heard {
		next(t, h)
	}
	for range 2 * len(c.nodes) {
		if status, _, err := v.do(t.Context(), "GET", "/api/session_state", ""); status != 401 || err != nil {
			t.Errorf("after the end: %d, %v", status, err)
		}
	}
}

// One node behind deploy/Caddyfile is restarted while people look: their requests wait.
func TestLesson38_RestartBehindCaddy(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	v := c.signIn(caddySample(t, c))
	l := v.load("GET")
	for range 2 {
		l.more(t, 100)
		c.restart(0)
	}
	l.more(t, 100)
	l.unnoticed(t)
}

func TestSampleOfTraefikIsTOML(t *testing.T) {
	t.Parallel()
	var conf struct {
		HTTP struct {
			Services map[string]struct {
				LoadBalancer struct{ Servers []struct{ URL string } }
			}
		}
	}
	text := sample(t, "traefik.toml")
	for _, text := range []string{text, strings.NewReplacer("#[[", "[[", "#url", "url").Replace(text)} {
		if _, err := toml.NewDecoder(bytes.NewReader([]byte(text))).Decode(&conf); err != nil {
			t.Error(err)
		}
	}
	if servers := conf.HTTP.Services["vedfolnir"].LoadBalancer.Servers; len(servers) != 2 || servers[0].URL != "http://127.0.0.1:8080" {
		t.Errorf("%+v", servers)
	}
}

// A program of Go that crashes ends with the status 2, as one does that is given
// mistaken settings: the unit may not take the one for the other.
func TestTheUnitStartsACrashedServerAgain(t *testing.T) {
	t.Parallel()
	p := launch(t, t.TempDir(), nil, "--database=sqlite:v.db")
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil { // which the runtime answers as it does a panic
		t.Fatal(err)
	}
	<-p.ended
	status := strconv.Itoa(p.cmd.ProcessState.ExitCode())
	unit := sample(t, "vedfolnir.service")
	if !strings.Contains(unit, "\nRestart=on-failure\n") {
		t.Error("the unit does not start it again")
	}
	for line := range strings.Lines(unit) {
		for _, setting := range []string{"RestartPreventExitStatus=", "SuccessExitStatus="} {
			if list, ok := strings.CutPrefix(line, setting); ok && slices.Contains(strings.Fields(list), status) {
				t.Errorf("after a crash (%s) it stays down: %s", status, line)
			}
		}
	}
}

// What a node took and did not answer may have been done: nginx asks the next one for
// what is the same done twice, and for nothing else.
func TestTheSampleOfNginxRepeatsOnlyWhatMayBeDoneTwice(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, folder: t.TempDir()}
	c.roots = certificate(t, c.folder)
	var asked atomic.Int64
	for range 2 {
		node := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asked.Add(1)
			panic(http.ErrAbortHandler) // it is gone, without an answer
		}))
		t.Cleanup(node.Close)
		c.addrs = append(c.addrs, node.Listener.Addr().String())
	}
	v := &visitor{t: t, url: nginxSample(t, c), client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots}}}}
	for path, want := range map[string]int64{
		"/api/switch_platform/1": 2, "/switch": 2, "/logout": 2, "/api/sessions/revoke_others": 2, "/sessions/end-others": 2, "/api/session/heartbeat": 2,
		"/login": 1, "/password": 1, "/api/session/reauth": 1, "/recover": 1, "/api/passkeys/sign_in": 1, "/logout/more": 1,
	} {
		asked.Store(0)
		status, _, err := v.do(t.Context(), "POST", path, "{}")
		if err != nil || status != 503 || asked.Load() != want {
			t.Errorf("%s: %d nodes were asked, want %d; %d %v", path, asked.Load(), want, status, err)
		}
	}
}

// When no node answers nginx says what a node would: an outage, and nobody is signed out.
func TestTheSampleOfNginxTellsAnOutage(t *testing.T) {
	t.Parallel()
	c := &cluster{t: t, folder: t.TempDir(), addrs: []string{freeAddress(t)}} // where nobody is
	c.roots = certificate(t, c.folder)
	address := nginxSample(t, c)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.roots}}}
	t.Cleanup(client.CloseIdleConnections)
	for _, ask := range []struct{ method, path, kind string }{
		{"GET", "/api/session_state", "application/json"},
		{"GET", "/api/session/events", "application/json"},
		{"POST", "/api/switch_platform/1?a=b", "application/json"},
		{"GET", "/", "text/html; charset=utf-8"},
		{"POST", "/login", "text/html; charset=utf-8"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), ask.method, address+ask.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(w.Body)
		w.Body.Close()
		h := w.Header
		if err != nil || w.StatusCode != 503 || h.Get("Retry-After") != "5" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != ask.kind || h["Set-Cookie"] != nil {
			t.Errorf("%s %s: %d %v %s", ask.method, ask.path, w.StatusCode, h, body)
		}
		if ask.kind != "application/json" {
			if !strings.Contains(string(body), "You are still signed in") {
				t.Errorf("%s", body)
			}
			continue
		}
		var problem struct {
			Success   *bool  `json:"success"`
			Code      string `json:"error_code"`
			Timestamp time.Time
		}
		if err := json.Unmarshal(body, &problem); err != nil || problem.Success == nil || *problem.Success || problem.Code != "UNAVAILABLE" || time.Since(problem.Timestamp).Abs() > time.Minute {
			t.Errorf("%s: %v", body, err)
		}
	}
}
