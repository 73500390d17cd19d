package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/personal"
)

// told returns the lines of an action.
func (s *site) told(t *testing.T, action string) (found []audit.Line) {
	t.Helper()
	s.notes.Wait()
	for l, err := range s.store.SearchAudit(t.Context(), audit.Filter{Action: action}) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, l)
	}
	return found
}

// A wrong password, a wrong name, a request without its page's token: each has its
// line, with who, from where, why and under which request.
func TestRefusalsHaveTheirLines(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.open("/login")
	wrong := b.submit(`type="password"`, "username", "alex", "password", "hunter2 in plain sight")
	b.open("/login")
	b.submit(`type="password"`, "username", "the password typed as a name", "password", "x")
	alex := session.UserID(entry(t, s, "alex").ID)
	lines := s.told(t, "sign_in_refused")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %+v", len(lines), lines)
	}
	if l := lines[0]; l.User != alex || l.By != string(alex) || l.Reason != "invalid_credentials" || l.Client.IPAddress != "127.0.0.1" ||
		l.RequestID == "" || l.RequestID != wrong.header.Get("X-Request-Id") || l.Result() != "refused" {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.User != "" || l.By != "" || strings.Contains(l.Client.UserAgent+string(l.Reason)+l.Action, "typed as a name") {
		t.Errorf("%+v: a name that is nobody's may be a password", l)
	}

	b.signIn("alex")
	if l := s.told(t, "created"); len(l) != 1 || l[0].RequestID == "" || l[0].Result() != "done" {
		t.Errorf("%+v", l)
	}
	b.submit("Sign out", "csrf_token", "bad")
	refused := s.told(t, "request_refused")
	if len(refused) != 1 || refused[0].Reason != "csrf_invalid" || refused[0].User != alex || refused[0].Session.IsZero() {
		t.Errorf("%+v", refused)
	}
	b.open("/api/admin/metrics")
	if refused := s.told(t, "request_refused"); len(refused) != 2 || refused[1].Reason != "forbidden" {
		t.Errorf("%+v", refused)
	}
	// A stranger fills no database.
	stranger := s.browser(t)
	stranger.do("POST", "/login", strings.NewReader("username=alex&password=x"), "Content-Type", "application/x-www-form-urlencoded")
	stranger.open("/api/session_state")
	if n := len(s.told(t, "request_refused")); n != 2 {
		t.Errorf("%d lines", n)
	}
}

func entry(t *testing.T, s *site, name string) directory.Entry {
	t.Helper()
	e, err := s.people.Lookup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What a stranger sends is one record in the log, whichever form it has, and
// commands no terminal.
func TestAUserAgentWritesNoLogLineOfItsOwn(t *testing.T) {
	nasty := "one\r\n{\"level\":\"INFO\"}\nlevel=INFO\u2028x\u2029x\u0085x\x1b[2Jx\a\u009bx"
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		session.LogAudit(slog.New(handler(&b))).Audit(context.Background(), session.AuditEvent{Action: "created", Client: session.Client{UserAgent: nasty}})
		text := strings.TrimSuffix(b.String(), "\n")
		if i := strings.IndexFunc(text, func(r rune) bool {
			return (name == "text" || r < 0x80) && unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
		}); i >= 0 {
			t.Errorf("%s: %q", name, text[i:])
		}
	}
}

// A server seals what happens, and what is left when it ends. Nothing secret is
// among it.
func TestAServerSealsItsAudit(t *testing.T) {
	folder := t.TempDir()
	settings := inFolder(folder, true)
	s := start(t, settings, 0)
	b := s.browser(t)
	b.signIn("alex")
	secret := b.cookie()
	if n, err := s.sealer.Seal(t.Context()); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	if r, err := audit.Verify(t.Context(), s.store, s.sealer.Keys); err != nil || len(r.Findings) != 0 || r.Sealed == 0 || !r.Sure {
		t.Errorf("%+v, %v", r, err)
	}
	b.submit("Sign out")
	var export bytes.Buffer
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(settings.Database.Path + ".sealed")
	if err != nil || !strings.Contains(string(kept), `"checkpoint":`) {
		t.Errorf("%s, %v", kept, err)
	}

	s = start(t, settings, 0)
	r, err := audit.Verify(t.Context(), s.store, s.sealer.Keys)
	if err != nil || r.Unsealed != 0 || len(r.Findings) != 0 || !r.Sure {
		t.Errorf("%+v, %v", r, err)
	}
	if err := audit.Export(t.Context(), s.store, &export); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(keys)), "\n")
	for _, secret := range []string{secret[len(secret)-20:], directory.DemoPassword, lines[len(lines)-1]} {
		if strings.Contains(export.String()+string(kept), secret) {
			t.Errorf("the audit holds the secret %s", secret)
		}
	}
}

// A person has all that is stored about them from their own page, and nobody
// else's.
func TestAPersonHasAllThatIsStoredAboutThem(t *testing.T) {
	s := demo(t)
	other := s.browser(t)
	other.signIn("robin")
	b := s.browser(t)
	b.open(exportPath)
	if b.page.status != 401 {
		t.Errorf("signed out: %d", b.page.status)
	}
	b.signIn("alex")
	secret := b.cookie()
	b.sees(`href="/reauth?next=/api/export"`)
	p := b.open(exportPath)
	if p.status != 200 || p.header.Get("Content-Disposition") != `attachment; filename="vedfolnir.json"` || p.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v", p.status, p.header)
	}
	var data personal.Data
	if err := json.Unmarshal([]byte(p.body), &data); err != nil {
		t.Fatal(err)
	}
	alex := entry(t, s, "alex")
	if data.Person == nil || data.Person.Email != alex.Email || len(data.Platforms) != alex.Platforms || len(data.Sessions) != 1 || len(data.Audit) == 0 || len(data.Notices) != 1 {
		t.Errorf("%s", p.body)
	}
	robin := entry(t, s, "robin")
	for _, secret := range []string{secret[len(secret)-20:], robin.Email, "argon2", `"user_id": "` + string(robin.ID) + `"`} {
		if strings.Contains(p.body, secret) {
			t.Errorf("it holds %s", secret)
		}
	}
	if told := s.told(t, "person_exported"); len(told) != 1 || told[0].User != alex.ID || told[0].By != string(alex.ID) {
		t.Errorf("%+v", told)
	}
}

// slow is a connection that takes nothing in until it is let.
type slow struct {
	http.ResponseWriter
	writing chan<- struct{}
	let     <-chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.let
	return s.ResponseWriter.Write(b)
}

// Whoever does not take in what they asked for keeps nobody else from it.
func TestASlowReaderHoldsUpNobodysExport(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.signIn("alex")
	writing, let, done := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	r := httptest.NewRequestWithContext(t.Context(), "GET", s.url+exportPath, nil)
	r.RemoteAddr = "127.0.0.1:1234"
	r.AddCookie(&http.Cookie{Name: "vedfolnir", Value: b.cookie()})
	go func() {
		defer close(done)
		s.handler.ServeHTTP(slow{httptest.NewRecorder(), writing, let}, r)
	}()
	<-writing
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	close(let)
	<-done
}

// Somebody signed in over a person's session, at the same browser: who that was is
// not the person's to know.
func TestAnExportNamesNobodyElse(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.signIn("alex")
	alex, robin := entry(t, s, "alex").ID, entry(t, s, "robin").ID
	sessions, err := s.manager.List(t.Context(), alex)
	if err != nil || len(sessions) != 1 {
		t.Fatal(len(sessions), err)
	}
	if err := s.manager.Revoke(t.Context(), sessions[0].ID, session.SignedOut, string(robin)); err != nil {
		t.Fatal(err)
	}
	data, err := personal.Gather(t.Context(), s.people, s.store.Store, alex, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if by := data.Sessions[0].EndedBy; by != "person" {
		t.Errorf("the session was ended by %q", by)
	}
	if by := data.Audit[len(data.Audit)-1].By; by != "person" {
		t.Errorf("the line says by %q", by)
	}
}
