package test

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/sessiontest"
)

const tutorial = "docs/tutorial-go.md"

// player does what the tutorial says, in a folder beside a checkout.
type player struct {
	t       *testing.T
	dir     string // where the last command left the shell
	addr    string // in place of the tutorial's
	program *exec.Cmd
	ended   chan struct{} // closed when the program has
	out     *bytes.Buffer
	last    string // what the last commands printed
}

var (
	// A file's name is the last thing in backquotes before its text.
	block    = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	fileName = regexp.MustCompile("`([\\w./-]+)`")
)

// A reader who does only what the tutorial says gets what it promises: each
// program is started as it says, and is looked at as a person would.
func TestTutorialGo(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("curl is missing: sh tools/need curl installs it")
		}
		t.Skip("curl is missing: sh tools/need curl installs it")
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, dir: t.TempDir(), addr: freeAddress(t)}
	if err := os.Symlink(abs, filepath.Join(p.dir, "vedfolnir")); err != nil {
		t.Fatal(err)
	}
	visits := []func(*sessiontest.Client){p.twoTabs, p.statedPlatform, p.beforeRestart, p.afterRestart}
	browser := p.browser()
	text := read(t, tutorial)
	began, commands, ran := time.Now(), 0, 0
	end := 0
	for _, at := range block.FindAllStringSubmatchIndex(text, -1) {
		before, kind, content := text[end:at[0]], text[at[2]:at[3]], text[at[4]:at[5]]
		end = at[1]
		switch {
		case kind == "sh" && content == "go run .\n":
			commands++
			if ran == len(visits) {
				t.Fatal("the program is started once more than this test has a visit for")
			}
			p.start()
			visits[ran](browser)
			if ran++; ran == 1 {
				t.Logf("two tabs agree after %v, %d commands", time.Since(began).Round(time.Millisecond), commands)
			}
		case kind == "sh":
			commands += strings.Count(content, "\n") + strings.Count(content, "&&")
			if !strings.HasPrefix(content, "curl") {
				p.stop()
			}
			p.sh(content)
		case kind == "text":
			if want := p.here(content); p.last != want {
				t.Errorf("it printed\n%swhere the tutorial has\n%s", p.last, want)
			}
		case kind == "diff":
			p.stop()
			p.change(lastName(t, before, "main.go"), content)
		default:
			p.stop()
			p.write(lastName(t, before, ""), content)
		}
	}
	p.stop()
	if ran != len(visits) {
		t.Errorf("the program was started %d times, %d were to be visited", ran, len(visits))
	}
	if unformatted := run(t, p.dir, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("not formatted: %s", unformatted)
	}
	t.Logf("all of it took %v, %d commands", time.Since(began).Round(time.Millisecond), commands)
}

// lastName is the file that the words before a block name last.
func lastName(t *testing.T, words, otherwise string) string {
	t.Helper()
	if i := strings.LastIndex(words, "\n\n"); i > 0 {
		if j := strings.LastIndex(words[:i], "\n\n"); j >= 0 {
			words = words[j:] // the paragraph before it
		}
	}
	names := fileName.FindAllStringSubmatch(words, -1)
	for i := len(names) - 1; i >= 0; i-- {
		if name := names[i][1]; filepath.Ext(name) != "" {
			return name
		}
	}
	if otherwise == "" {
		t.Fatalf("no file is named in %q", words)
	}
	return otherwise
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// here has this test's address in place of the tutorial's.
func (p *player) here(text string) string { return strings.ReplaceAll(text, "127.0.0.1:8080", p.addr) }

func (p *player) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(p.here(content)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// change puts the lines with a plus in the place of those with a minus.
func (p *player) change(name, diff string) {
	p.t.Helper()
	var before, after string
	for line := range strings.Lines(p.here(diff)) {
		switch line[0] {
		case '-':
			before += line[1:]
		case '+':
			after += line[1:]
		case ' ':
			before, after = before+line[1:], after+line[1:]
		default:
			p.t.Fatalf("a line of a change begins with neither space, plus nor minus: %q", line)
		}
	}
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	if n := strings.Count(string(text), before); n != 1 {
		p.t.Fatalf("%s has these lines %d times:\n%s", name, n, before)
	}
	p.write(name, strings.Replace(string(text), before, after, 1))
}

func (p *player) command(script string) *exec.Cmd {
	c := exec.CommandContext(p.t.Context(), "sh", "-c", script)
	c.Dir, c.Env = p.dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	return c
}

// sh runs commands to their end; where they go, the next ones begin.
func (p *player) sh(commands string) {
	p.t.Helper()
	at := filepath.Join(p.t.TempDir(), "pwd")
	c := p.command("set -e\n" + p.here(commands) + "pwd >" + at)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		p.t.Fatalf("%s%v\n%s%s", commands, err, out, complaint.Bytes())
	}
	dir, err := os.ReadFile(at)
	if err != nil {
		p.t.Fatal(err)
	}
	p.dir, p.last = strings.TrimSpace(string(dir)), string(out)
}

// start runs the program as the tutorial says, until stop.
func (p *player) start() {
	p.t.Helper()
	p.stop()
	p.out = new(bytes.Buffer)
	p.program = p.command("exec go run .")
	p.program.Stdout, p.program.Stderr = p.out, p.out
	p.program.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run's child too
	p.program.Cancel = func() error { return syscall.Kill(-p.program.Process.Pid, syscall.SIGKILL) }
	if err := p.program.Start(); err != nil {
		p.t.Fatal(err)
	}
	c, ended := p.program, make(chan struct{})
	p.ended = ended
	go func() {
		defer close(ended)
		_ = c.Wait() // interrupted
	}()
	for patience := time.After(5 * time.Minute); ; { // to build everything, on a busy machine
		if c, err := net.Dial("tcp", p.addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-ended:
		case <-patience:
		}
		p.stop()
		p.t.Fatalf("the program does not serve:\n%s", p.out)
	}
}

// stop is Ctrl-C: the terminal tells it to all of them.
func (p *player) stop() {
	p.t.Helper()
	if p.program == nil {
		return
	}
	_ = syscall.Kill(-p.program.Process.Pid, syscall.SIGINT) // it may have ended
	<-p.ended
	p.program = nil
}

func (p *player) browser() *sessiontest.Client {
	b := sessiontest.NewClient(p.t, http.NotFoundHandler())
	b.URL, b.Password = "http://"+p.addr, "only a tutorial"
	return b
}

func (p *player) shows(body string, want ...string) {
	p.t.Helper()
	for _, w := range want {
		if !strings.Contains(body, w) {
			p.t.Errorf("nothing about %q in:\n%s", w, body)
		}
	}
}

var scriptAddress = regexp.MustCompile(`<script src="(/session-sync[^"]*)"`)

// twoTabs: both say so at once, and no tab is left behind.
func (p *player) twoTabs(tab *sessiontest.Client) {
	p.shows(tab.Open("/login").Want(200).Body, `<form method="post" action="/login">`)
	tab.PostForm("/login", url.Values{"username": {"kim"}, "password": {"only a tutorial"}}).Want(303)
	page := tab.Open("/").Want(200).Body
	p.shows(page, ">kim</b>", ">My Pixelfed</b>", `data-session-switch="12"`, "data-session-sign-out")
	script := scriptAddress.FindStringSubmatch(page)
	if script == nil {
		p.t.Fatalf("the page has no browser client:\n%s", page)
	}
	tab.Get(script[1]).Want(200)
	second := tab.Events("")
	second.Await("state")
	tab.SwitchPlatform("12")
	p.shows(second.Await("platform_switched").Data, "My Mastodon")
	tab.SignOut()
	second.Await("ended")
}

// statedPlatform: a form writes where its page says, or not at all.
func (p *player) statedPlatform(tab *sessiontest.Client) {
	tab.SignIn("kim")
	page := tab.Open("/notes").Want(200).Body
	p.shows(page, "Notes for My Pixelfed", `name="platform_id" value="11"`, `src="/notes.js"`)
	tab.Get("/notes.js").Want(200)
	tab.SwitchPlatform("12") // in a third tab
	p.shows(tab.Open("/notes").Want(200).Body, "Notes for My Mastodon")
	tab.PostForm("/notes", url.Values{"text": {"late"}, "platform_id": {"11"}}).Want(303)
	tab.PostForm("/notes", url.Values{"text": {"x"}}).Want(409)
	tab.PostForm("/notes", url.Values{"text": {"x"}, "platform_id": {"13"}}).Want(403)
	tab.PostForm("/notes", url.Values{"text": {"x"}, "platform_id": {"11"}, "csrf_token": {""}}).Want(403)
	if body := tab.Open("/notes").Want(200).Body; strings.Contains(body, "late") {
		p.t.Errorf("the note is in the wrong list:\n%s", body)
	}
	tab.SwitchPlatform("11")
	p.shows(tab.Open("/notes").Want(200).Body, "<li>late</li>")
	sam := tab.Another().SignIn("sam")
	sam.Open("/notes").Want(403)
	sam.PostForm("/notes", url.Values{"text": {"x"}, "platform_id": {"11"}}).Want(403)
}

func (p *player) beforeRestart(tab *sessiontest.Client) {
	tab.Open("/").Want(303) // the sessions were in memory
	tab.SignIn("kim").SwitchPlatform("12")
}

func (p *player) afterRestart(tab *sessiontest.Client) {
	p.shows(tab.Open("/").Want(200).Body, ">kim</b>", ">My Mastodon</b>")
}
