package flask

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
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

	"github.com/vedfolnir/session/sessiontest"
)

const password = "nobody will guess this"

// place is a copy of this folder where everything runs as the README says, on
// ports of its own.
type place struct {
	t                      *testing.T
	dir                    string
	env                    []string
	serve, flask, nginx    string // commands of the README
	serverPort, originPort string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	t.Parallel()
	need(t, "nginx", func() error {
		if _, err := exec.LookPath("nginx"); err != nil {
			_, err = os.Stat("/usr/sbin/nginx")
			return err
		}
		return nil
	})
	need(t, "flask", exec.Command("/usr/bin/python3", "-c", "import flask").Run)
	p := &place{t: t, dir: t.TempDir()}
	if err := os.CopyFS(p.dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	server, flask, origin := freePort(t), freePort(t), freePort(t)
	p.serverPort, p.originPort = server, origin
	conf := p.read("nginx.conf")
	for from, to := range map[string]string{":8080": ":" + server, ":5000": ":" + flask, ":8000": ":" + origin} {
		if !strings.Contains(conf, from) {
			t.Fatalf("nginx.conf has no %s", from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(),
		"PATH="+program(t)+":"+os.Getenv("PATH")+":/usr/sbin", "TMPDIR="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1",
		"VEDFOLNIR_ADDR=127.0.0.1:"+server, "VEDFOLNIR=http://127.0.0.1:"+server, "FLASK_RUN_PORT="+flask,
		"http_proxy=http://127.0.0.1:1", // what the app must not mind
	)
	setUp, run := p.commands(0), p.commands(1)
	if len(run) != 3 {
		t.Fatalf("the README has not three commands but %q", run)
	}
	p.serve, p.flask, p.nginx = run[0], run[1], run[2]
	for _, command := range setUp {
		if strings.HasPrefix(command, "vedfolnir user add") {
			command = "printf '" + password + "' | " + command + " --password-stdin" // there is no terminal here
		}
		p.sh(command)
	}
	return p
}

func need(t *testing.T, what string, present func() error) {
	t.Helper()
	if err := present(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing (%v): sh tools/need %s installs it", what, err, what)
		}
		t.Skipf("%s is missing (%v): sh tools/need %s installs it", what, err, what)
	}
}

// program builds vedfolnir once and returns its folder.
func program(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "vedfolnir-flask-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, ".")
	build.Dir, build.Env = "../../cmd/vedfolnir", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("%w\n%s", err, out), os.RemoveAll(dir))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := built(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (p *place) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

var shell = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// commands of the README's n-th block.
func (p *place) commands(n int) []string {
	p.t.Helper()
	blocks := shell.FindAllStringSubmatch(p.read("README.md"), -1)
	if len(blocks) <= n {
		p.t.Fatalf("the README has %d blocks of commands", len(blocks))
	}
	return strings.Split(strings.TrimSpace(blocks[n][1]), "\n")
}

func (p *place) command(line string) *exec.Cmd {
	c := exec.Command("sh", "-c", line)
	c.Dir, c.Env = p.dir, p.env
	return c
}

// sh runs a command to its end and returns what it says.
func (p *place) sh(line string) string {
	p.t.Helper()
	out, err := p.command(line).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// start runs a command until the test ends, and returns what kills it before.
func (p *place) start(line, ready string) (kill func()) {
	p.t.Helper()
	c := p.command("exec " + line)
	out := new(bytes.Buffer)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	end := sync.OnceFunc(func() { <-ended })
	p.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		end()
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", line, out)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get(ready); err == nil {
			answer.Body.Close()
			if answer.StatusCode == 200 {
				return func() { _ = c.Process.Kill(); end() }
			}
		}
		select {
		case err := <-ended:
			ended <- err
			p.t.Fatalf("%s: ended: %v\n%s", line, err, out)
		default:
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			end()
			p.t.Fatalf("%s: %s is not there\n%s", line, ready, out)
		}
	}
}

func (p *place) startServer() (kill func()) {
	p.t.Helper()
	return p.start(p.serve, "http://127.0.0.1:"+p.serverPort+"/readyz")
}

// browser starts the other two, and returns a browser at the one origin.
func (p *place) browser() *sessiontest.Client {
	p.t.Helper()
	origin := "http://127.0.0.1:" + p.originPort
	var flask string
	for _, entry := range p.env {
		if port, is := strings.CutPrefix(entry, "FLASK_RUN_PORT="); is {
			flask = port
		}
	}
	p.start(p.flask, "http://127.0.0.1:"+flask+"/about")
	p.start(p.nginx, origin+"/about")
	b := sessiontest.NewClient(p.t, http.NotFoundHandler())
	b.URL, b.Password = origin, password
	return b
}

func contains(t *testing.T, body string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(body, w) {
			t.Errorf("nothing about %q in:\n%s", w, body)
		}
	}
}

// A day with the app, through the proxy: in, another platform in another tab,
// thrown out from a terminal.
func TestPagesFollowTheSession(t *testing.T) {
	p := newPlace(t)
	p.startServer()
	tab := p.browser()

	if to := tab.Open("/").Want(303).Header.Get("Location"); to != "/login?next=%2F" {
		t.Errorf("signed out, the page leads to %q", to)
	}
	if to := tab.Open("/?a=1&b=2").Want(303).Header.Get("Location"); to != "/login?next=%2F%3Fa%3D1%26b%3D2" {
		t.Errorf("signed out, the page leads to %q", to)
	}
	if code := tab.Get("/").Want(401).Field("error_code"); code != "SESSION_REQUIRED" {
		t.Errorf("signed out, JSON says %v", code)
	}
	contains(t, tab.Open("/login?next=%2F").Want(200).Body, `name="csrf_token"`, `/assets/app.`)
	style := regexp.MustCompile(`/assets/app\.[0-9a-f]+\.css`).FindString(tab.Open("/login").Body)
	tab.Get(style).Want(200)
	tab.PostForm("/login", url.Values{"username": {"kim"}, "password": {"wrong"}}).Want(401)
	if to := tab.PostForm("/login", url.Values{"username": {"kim"}, "password": {password}, "next": {"/?a=1"}}).Want(303).Header.Get("Location"); to != "/?a=1" {
		t.Errorf("signed in, the way leads to %q", to)
	}
	page := tab.Open("/").Want(200)
	contains(t, page.Body, ">kim</b> acts as", ">My Pixelfed</b>", `data-session-switch="2"`, "/session-sync.js")
	contains(t, page.Header.Get("Cache-Control")+page.Header.Get("Vary"), "no-store", "Cookie")
	contains(t, tab.Get("/session-sync.js").Want(200).Body, "SessionSync")
	if cookies := page.Header.Values("Set-Cookie"); len(cookies) > 0 {
		t.Errorf("the app sets cookies: %q", cookies)
	}

	other := tab.Events("")
	other.Await("state")
	tab.SwitchPlatform("2")
	contains(t, other.Await("platform_switched").Data, "My Mastodon")
	contains(t, tab.Open("/").Want(200).Body, ">My Mastodon</b>")

	contains(t, p.sh("vedfolnir session list kim"), "Go program", "127.0.0.1")
	contains(t, p.sh("vedfolnir session revoke --user kim"), "1 session")
	other.Await("ended")
	if to := tab.Open("/").Want(303).Header.Get("Location"); to != "/login?next=%2F" {
		t.Errorf("revoked, the page leads to %q", to)
	}
	if reason := tab.Get("/").Want(401).Field("reason"); reason != "revoked_by_admin" {
		t.Errorf("revoked, JSON gives the reason %v", reason)
	}
}

// What a tab shows is what it acts as, and another site's forms are nothing.
func TestFormsWriteWhereTheirPageSays(t *testing.T) {
	p := newPlace(t)
	p.sh(`printf '` + password + `' | vedfolnir user add sam --email sam@example.org --password-stdin`)
	p.startServer()
	tab := p.browser()
	note := func(platform string) url.Values {
		return url.Values{"text": {"<i>seen</i>"}, "platform_id": {platform}}
	}

	tab.PostForm("/notes", note("1")).Want(303) // to sign in
	tab.SignIn("kim")
	if to := tab.PostForm("/notes", note("1")).Want(303).Header.Get("Location"); to != "/" {
		t.Errorf("a note leads to %q", to)
	}
	contains(t, tab.Open("/").Want(200).Body, "&lt;i&gt;seen&lt;/i&gt;")
	tab.SwitchPlatform("2") // another tab; this one still shows My Pixelfed
	tab.PostForm("/notes", note("1")).Want(409)
	tab.PostForm("/notes", url.Values{"text": {"unstated"}}).Want(409)
	if code := tab.Acting("99").Get("/").Want(403).Field("error_code"); code != "PLATFORM_FORBIDDEN" {
		t.Errorf("another's platform is refused with %v", code)
	}
	if body := tab.Open("/").Want(200).Body; strings.Contains(body, "seen") {
		t.Errorf("the note is on the wrong platform:\n%s", body)
	}
	elsewhere := tab.Another() // a tab of this browser at another site
	*elsewhere = *tab
	elsewhere.Header = http.Header{"Sec-Fetch-Site": {"same-site"}}
	elsewhere.PostForm("/notes", note("2")).Want(403)
	tab.PostForm("/notes", note("2")).Want(303)

	sam := tab.Another().SignIn("sam") // who has no platform
	contains(t, sam.Open("/").Want(200).Body, "acts as", "nobody")
	sam.PostForm("/notes", note("2")).Want(403)
}

// The server is killed: the app says "in a moment", and nobody is signed out.
func TestWithoutTheServerNobodyIsSignedOut(t *testing.T) {
	p := newPlace(t)
	kill := p.startServer()
	tab := p.browser().SignIn("kim")
	tab.Open("/").Want(200)
	kill()
	for _, answer := range []*sessiontest.Response{tab.Open("/").Want(503), tab.Get("/").Want(503)} {
		if answer.Header.Get("Retry-After") == "" || len(answer.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("Retry-After or the cookie: %v", answer.Header)
		}
	}
	if code := tab.Get("/").Field("error_code"); code != "UNAVAILABLE" {
		t.Errorf("JSON says %v", code)
	}
	tab.Open("/about").Want(200)
	p.startServer()
	contains(t, tab.Open("/").Want(200).Body, ">kim</b>")
}

func TestItIsThirtyLines(t *testing.T) {
	for _, name := range []string{"sessions.py", "app.py"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range bytes.Lines(source) {
			if len(bytes.TrimSpace(line)) > 0 {
				n++
			}
		}
		if n > 30 {
			t.Errorf("%s has %d lines that are not empty", name, n)
		}
	}
}
