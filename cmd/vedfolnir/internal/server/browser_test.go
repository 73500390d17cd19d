package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	overheard(b)
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// overheard keeps what was logged in the folder $OVERHEARD, if there is one: make test
// looks for secrets in it.
func overheard(b []byte) {
	folder := os.Getenv("OVERHEARD")
	if folder == "" {
		return
	}
	file, err := os.OpenFile(filepath.Join(folder, fmt.Sprint("server-", os.Getpid())), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if _, err := file.Write(b); err != nil {
		panic(err)
	}
}

// site is a server under test.
type site struct {
	*App
	url string
	log *journal
}

// demo is a site with the demo people.
func demo(t *testing.T) *site {
	t.Helper()
	return start(t, config.Settings{Demo: true, Loopback: true, Plain: true, Database: withPeople(t)}, slog.LevelInfo)
}

// withPeople is a database in which the demo people are: a copy of one that was made
// once, for to make its tables and to hash their passwords takes longer than most tests.
func withPeople(t *testing.T) config.Database {
	t.Helper()
	made, err := madeWithPeople()
	if err != nil {
		t.Fatal(err)
	}
	where := config.Database{Path: filepath.Join(t.TempDir(), "v.db")}
	if err := os.WriteFile(where.Path, made, 0o600); err != nil {
		t.Fatal(err)
	}
	return where
}

var madeWithPeople = sync.OnceValues(func() (_ []byte, err error) {
	folder, err := os.MkdirTemp("", "vedfolnir")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	where := config.Database{Path: filepath.Join(folder, "v.db")}
	if err := fill(context.Background(), where); err != nil {
		return nil, err
	}
	return os.ReadFile(where.Path)
})

// fill adds the demo people, and the audit lines of that.
func fill(ctx context.Context, where config.Database) error {
	store, err := database.Open(ctx, where, database.Options{Audit: true})
	if err != nil {
		return err
	}
	people, err := directory.Open(ctx, store.DB(), directory.Config{AllowDemoPeople: true, Note: store.NoteIn})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(people.AddDemoPeople(ctx), people.Close(), store.Close())
}

// inFolder are the settings of a server that keeps its data.
func inFolder(folder string, demo bool) config.Settings {
	return config.Settings{
		Demo: demo, Loopback: true, Plain: true,
		Database: config.Database{Path: filepath.Join(folder, "v.db")}, KeyFile: filepath.Join(folder, "v.keys"),
	}
}

func start(t *testing.T, s config.Settings, level slog.Level) *site {
	t.Helper()
	j := &journal{}
	if s.KeyFile != "" {
		s.Session.Security.Keys, _ = config.ReadKeys(s.KeyFile)
	}
	app, err := New(t.Context(), s, "test", slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: level})))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = app.Close() // some tests have broken it by now
	})
	return &site{app, server.URL, j}
}

// browser is one without script: it follows links and sends forms.
type browser struct {
	t      *testing.T
	client http.Client
	url    string
	agent  string // User-Agent
	page   page   // the last one
}

// page is an answer.
type page struct {
	status int
	path   string
	header http.Header
	body   string
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: http.Client{Jar: jar}, url: s.url, agent: "Go-http-client/1.1"}
}

func (b *browser) do(method, path string, body io.Reader, headers ...string) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", b.agent)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Body.Close()
	content, err := io.ReadAll(w.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page = page{w.StatusCode, w.Request.URL.Path, w.Header, string(content)}
	return b.page
}

func (b *browser) open(path string) page { b.t.Helper(); return b.do("GET", path, nil) }

var (
	forms  = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// submit sends the first form of the page that holds the text, as it is filled in
// and with the given fields.
func (b *browser) submit(text string, fields ...string) page {
	b.t.Helper()
	for _, form := range forms.FindAllStringSubmatch(b.page.body, -1) {
		if !strings.Contains(form[0], text) {
			continue
		}
		values := url.Values{}
		for _, field := range hidden.FindAllStringSubmatch(form[0], -1) {
			values.Set(field[1], html.UnescapeString(field[2]))
		}
		for i := 0; i < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		return b.do("POST", form[1], strings.NewReader(values.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	}
	b.t.Fatalf("no form with %q on %s:\n%s", text, b.page.path, b.page.body)
	return page{}
}

// signIn as a demo person, by typing.
func (b *browser) signIn(name string) {
	b.t.Helper()
	b.open("/login")
	if p := b.submit(`type="password"`, "username", name, "password", directory.DemoPassword); p.status != 200 || p.path != "/" {
		b.t.Fatalf("signing in as %s: %d at %s\n%s", name, p.status, p.path, p.body)
	}
}

func (b *browser) sees(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(b.page.body, text) {
			b.t.Errorf("%s does not show %q:\n%s", b.page.path, text, b.page.body)
		}
	}
}

// signedOut reports whether home sends the browser to sign in.
func (b *browser) signedOut() bool {
	b.t.Helper()
	return b.open("/").path == "/login"
}

// cookie returns the session cookie's value.
func (b *browser) cookie() string {
	u, _ := url.Parse(b.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "vedfolnir" {
			return c.Value
		}
	}
	return ""
}
