package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

func TestAnAdministratorActsAsSomebody(t *testing.T) {
	s := demo(t)
	alex, admin := s.browser(t), s.browser(t)
	alex.signIn("alex")
	admin.signIn("admin")
	admin.sees(`<a href="/people">People</a>`)
	admin.open(peoplePath)
	admin.sees("alex@example.com", `aria-label="Act as robin"`, "admin@example.com, an operator</span>")
	if strings.Contains(admin.page.body, "Act as admin") {
		t.Error("an operator could act as one")
	}
	admin.submit("Act as alex")
	admin.sees("You act as alex.", "under your own name, admin", "by admin, an operator", "My Pixelfed</h1>")
	for _, not := range []string{"Change your password", "JSON file", ">End<", "Sign out<", `href="/people"`} {
		if strings.Contains(admin.page.body, not) {
			t.Errorf("the page of somebody else has %q", not)
		}
	}
	admin.submit("Switch to My Mastodon")
	admin.sees("You act as alex.", "My Mastodon</h1>")

	// What is alex's alone stays so.
	for _, r := range s.table() {
		if r.who != person && r.who != administrator || strings.Contains(r.pattern, "openid") {
			continue
		}
		path := strings.NewReplacer("{id}", "1").Replace(r.pattern)
		if p := admin.do(r.method, path, nil, "X-CSRFToken", admin.token(), "Content-Type", "application/json"); p.status != 403 {
			t.Errorf("%s %s: %d", r.method, path, p.status)
		}
	}
	refused := s.told(t, "request_refused")
	for _, l := range refused { // it was not alex who tried
		if l.User != entry(t, s, "alex").ID || l.By != string(entry(t, s, "admin").ID) {
			t.Errorf("%s of %s by %s", l.Reason, l.User, l.By)
		}
	}
	if len(refused) == 0 {
		t.Error("no line of what was refused")
	}
	alex.open("/")
	alex.sees("by admin, an operator", "My Pixelfed</h1>")
	alex.open(safetyPath)
	alex.sees("An operator acted as you", "admin")

	admin.open("/")
	admin.submit("Be yourself again")
	if admin.page.path != "/" || strings.Contains(admin.page.body, "You act as") {
		t.Errorf("%s", admin.page.path)
	}
	admin.sees("admin@example.com")
	alex.open("/")
	if strings.Contains(alex.page.body, ", an operator") {
		t.Error("it has not ended")
	}
}

func TestAnImpersonationEndsWithTheRole(t *testing.T) {
	s := demo(t)
	admin := s.browser(t)
	admin.signIn("admin")
	admin.open(peoplePath)
	admin.submit("Act as alex")
	e, err := s.people.Lookup(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.people.SetRole(t.Context(), e.ID, directory.Ordinary); err != nil {
		t.Fatal(err)
	}
	admin.open("/")
	admin.sees("admin@example.com")
	if strings.Contains(admin.page.body, "You act as") {
		t.Error("it goes on without the role")
	}
	if p := admin.open(peoplePath); p.status != 403 {
		t.Errorf("the page of operators: %d", p.status)
	}
}

// Who is no administrator sees nobody, and acts as nobody; an administrator needs a
// fresh proof, and a person who is left.
func TestWhoMayNotActAsSomebody(t *testing.T) {
	s := demo(t)
	alex, admin := s.browser(t), s.browser(t)
	alex.signIn("alex")
	admin.signIn("admin")
	robin, err := s.people.Lookup(t.Context(), "robin")
	if err != nil {
		t.Fatal(err)
	}
	self, err := s.people.Lookup(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	act := func(b *browser, id string) int {
		return b.do("POST", "/api/admin/impersonate/"+id, nil, "X-CSRFToken", b.token(), "Content-Type", "application/json").status
	}
	if alex.open(peoplePath).status != 403 || act(alex, string(robin.ID)) != 403 {
		t.Error("alex may")
	}
	if got := act(admin, string(self.ID)); got != 403 {
		t.Errorf("as another operator: %d", got)
	}
	if got := act(admin, "999"); got != 403 {
		t.Errorf("as nobody: %d", got)
	}
	if err := s.people.Disable(t.Context(), robin.ID); err != nil {
		t.Fatal(err)
	}
	if got := act(admin, string(robin.ID)); got != 403 {
		t.Errorf("as somebody disabled: %d", got)
	}
	if err := s.people.Enable(t.Context(), robin.ID); err != nil {
		t.Fatal(err)
	}
	if got := act(admin, string(robin.ID)); got != 200 || !strings.Contains(admin.page.body, `"username":"robin"`) || !strings.Contains(admin.page.body, `"impersonator":`+string(self.ID)) {
		t.Errorf("as robin: %d %s", got, admin.page.body)
	}
	told, err := s.people.Notices(t.Context(), robin.ID)
	if err != nil || len(told) != 1 || told[0].Kind != notice.Impersonated || told[0].Detail != "admin" {
		t.Errorf("robin is told %+v, %v", told, err)
	}
}

// Among any number of people an operator finds the one by a search that needs no script,
// and is shown so many at most.
func TestAnOperatorFindsPeople(t *testing.T) {
	t.Parallel()
	s := demo(t)
	for i := range 60 {
		name := fmt.Sprintf("crowd-%02d", i)
		link := directory.Link{Identity: directory.Identity{Issuer: "https://id.example.org", Subject: name}, LinkedAt: s.manager.Now()}
		if _, err := s.people.Add(t.Context(), directory.Newcomer{Username: name, Email: name + "@example.net", Link: link}); err != nil {
			t.Fatal(err)
		}
	}
	b := s.browser(t)
	b.signIn("admin")
	shown := func(path string) int { b.t.Helper(); return strings.Count(b.open(path).body, `aria-label="Act as `) }
	if n := shown(peoplePath); n != peopleShown-1 { // nobody acts as an operator
		t.Errorf("%d of everybody", n)
	}
	b.sees("The first 50, by name.")
	if n := shown(peoplePath + "?q=EXAMPLE.net"); n != peopleShown {
		t.Errorf("%d of the crowd", n)
	}
	b.sees("These 50 and more", `value="EXAMPLE.net"`)
	if n := shown(peoplePath + "?q=crowd-59"); n != 1 {
		t.Errorf("%d of one", n)
	}
	b.sees("1 found.", "crowd-59@example.net")
	if n := shown(peoplePath + "?q=%3Cb%3E%25"); n != 0 {
		t.Errorf("%d of nobody", n)
	}
	b.sees("Nobody has “&lt;b&gt;%” in their name or address.", `href="/people"`)
	if strings.Contains(s.log.String(), "crowd-59") {
		t.Error("the log holds what was searched for")
	}
}
