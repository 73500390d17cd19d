package server

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

var printedLink = regexp.MustCompile(`(http://\S+/first-start)#(\S+)`)

// firstServer is one without people, and the code that it prints.
func firstServer(t *testing.T) (s *site, code string) {
	t.Helper()
	s = start(t, inFolder(t.TempDir(), false), slog.LevelDebug)
	var out bytes.Buffer
	s.welcome(&out, s.url+"/")
	link := printedLink.FindStringSubmatch(out.String())
	if link == nil || link[1] != s.url+firstStartPath {
		t.Fatalf("no link in:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "vedfolnir user add") {
		t.Errorf("not the other way:\n%s", out.String())
	}
	return s, link[2]
}

const firstPassword = "correct horse battery staple"

func become(b *browser, name, password, code string) page {
	b.open(firstStartPath)
	return b.submit("Begin", "username", name, "email", name+"@example.org", "password", password, "code", code)
}

func TestFirstStartMakesAnAdministratorOnce(t *testing.T) {
	s, code := firstServer(t)
	late := s.browser(t)
	late.open(firstStartPath)
	b := s.browser(t)
	if p := become(b, "kim", "short", code); p.status != 422 {
		t.Errorf("a short password: %d", p.status)
	}
	b.sees(`value="kim"`, "15")
	if p := become(b, "kim", firstPassword, code); p.status != 200 || p.path != "/" {
		t.Fatalf("%d at %s", p.status, p.path)
	}
	b.sees("kim@example.org")
	if e, err := s.people.Lookup(t.Context(), "kim"); err != nil || e.Role != directory.Admin {
		t.Errorf("%+v, %v", e, err)
	}
	if p := late.submit("Begin", "username", "eve", "email", "eve@example.org", "password", firstPassword, "code", code); p.status != 403 {
		t.Errorf("the code a second time: %d", p.status)
	}
	if p := s.browser(t).open(firstStartPath); p.path != "/login" {
		t.Errorf("the page once somebody is there: %s", p.path)
	}
	if n, err := s.people.People(t.Context()); n != 1 || err != nil {
		t.Errorf("%d people, %v", n, err)
	}
	if log := s.log.String(); strings.Contains(log, code) || strings.Contains(log, firstPassword) {
		t.Errorf("a secret in the log:\n%s", log)
	}
}

func TestFirstStartIsDeadOnceAPersonExists(t *testing.T) {
	s, code := firstServer(t)
	b := s.browser(t)
	b.open(firstStartPath)
	if _, err := s.people.Add(t.Context(), directory.Newcomer{Username: "sam", Email: "sam@example.org", Password: firstPassword}); err != nil {
		t.Fatal(err)
	}
	if p := b.submit("Begin", "username", "eve", "email", "eve@example.org", "password", firstPassword, "code", code); p.path != "/login" {
		t.Errorf("%d at %s", p.status, p.path)
	}
	if _, err := s.people.Lookup(t.Context(), "eve"); err == nil {
		t.Error("somebody was made all the same")
	}
}

func TestFirstStartRefusesOtherCodes(t *testing.T) {
	s, code := firstServer(t)
	for _, wrong := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAAAAA", strings.ToLower(code), code + "A"} {
		if p := become(s.browser(t), "eve", firstPassword, wrong); p.status != 403 {
			t.Errorf("code %q: %d", wrong, p.status)
		}
	}
	now := time.Now()
	f, code := newFirstStart(now)
	if !f.opens(code, now.Add(firstStartTime-1)) {
		t.Error("not good for 15 minutes")
	}
	if f.opens(code, now.Add(firstStartTime)) {
		t.Error("good after 15 minutes")
	}
}
