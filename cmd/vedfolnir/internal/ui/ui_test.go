package ui_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
)

var (
	now   = time.Date(2025, 1, 11, 10, 30, 0, 0, time.UTC)
	frame = ui.Frame{
		Head: `<meta name="csrf-token" content="token">`, CSRF: "token",
		User: session.User{ID: "1", Username: "alex", Email: "alex@example.com"},
	}
)

func at(d time.Duration) ui.Moment { return ui.At(now.Add(d), now) }

// example is a home with everything on it.
func example() ui.Home {
	pixelfed := session.Platform{ID: "1", Name: "My Pixelfed", Type: "pixelfed", InstanceURL: "https://pixelfed.social", Username: "alex"}
	mastodon := session.Platform{ID: "2", Name: "My Mastodon", Type: "mastodon", InstanceURL: "https://mastodon.social", Username: "alex"}
	work := session.Platform{ID: "3", Name: "Work", Type: "mastodon", InstanceURL: "https://example.social", Username: "alex"}
	return ui.Home{
		Frame: frame, Notice: "That session has ended.", Current: pixelfed,
		Platforms: []ui.Platform{{Platform: pixelfed, Current: true, Used: at(-time.Minute)}, {Platform: mastodon}, {Platform: work, Used: at(-26 * time.Hour)}},
		Session:   ui.Session{SignedIn: at(-5 * time.Minute), Idle: at(24 * time.Hour), Expiry: at(48*time.Hour - 5*time.Minute)},
		Devices: []ui.Device{
			{ID: "11", Name: "Firefox on Linux", Address: "127.0.0.1", Platform: "My Pixelfed", Active: at(0), SignedIn: at(-5 * time.Minute), Current: true},
			{ID: "22", Name: "Safari on iPhone", Mobile: true, Address: "127.0.0.1", Platform: "Work", Active: at(-3 * time.Hour), SignedIn: at(-30 * time.Hour)},
		},
	}
}

func pages(t *testing.T) *ui.Pages {
	t.Helper()
	p, err := ui.New(ui.Site{Version: "v0", Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rendered returns every page, by what it shows.
func rendered(t *testing.T) map[string]string {
	t.Helper()
	p := pages(t)
	out := map[string]string{}
	render := func(name string, write func(http.ResponseWriter) error) {
		w := httptest.NewRecorder()
		if err := write(w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = w.Body.String()
	}
	render("sign in", func(w http.ResponseWriter) error {
		return p.SignIn(w, 401, ui.SignIn{
			Frame: ui.Frame{CSRF: "token"}, Next: "/", Username: "kim", Mistake: "Name or password is wrong.", Notice: "Your session has ended.",
			People: []ui.DemoPerson{{Username: "alex", Password: "public", About: "three platforms"}},
		})
	})
	render("first start", func(w http.ResponseWriter) error {
		return p.FirstStart(w, 422, ui.FirstStart{Frame: ui.Frame{CSRF: "token"}, Username: "kim", Mistakes: []string{"A password has at least 15 characters."}})
	})
	render("password", func(w http.ResponseWriter) error {
		return p.Password(w, 403, ui.Password{Frame: frame, Mistake: "The current password is another."})
	})
	passkeys := ui.Passkeys{
		Frame: frame, Notice: "It is done.", Mistake: "It is not.", Here: true, Codes: 10, CodesLeft: 9, CodesMade: at(-time.Hour),
		Keys: []ui.Passkey{{ID: "AAAA", Name: "Phone", Synced: true, Made: at(-time.Hour), Used: at(0)}, {ID: "BBBB", Name: "Key", Site: "old.example", Made: at(-time.Hour)}},
	}
	render("passkeys", func(w http.ResponseWriter) error { return p.Passkeys(w, 409, passkeys) })
	render("no passkeys", func(w http.ResponseWriter) error { return p.Passkeys(w, 200, ui.Passkeys{Frame: frame}) })
	render("passkeys elsewhere", func(w http.ResponseWriter) error {
		return p.Passkeys(w, 200, ui.Passkeys{Frame: frame, Elsewhere: "http://localhost:8080"})
	})
	render("sign in with a passkey", func(w http.ResponseWriter) error {
		return p.SignIn(w, 200, ui.SignIn{Frame: ui.Frame{CSRF: "token"}, Next: "/", Passkeys: true})
	})
	render("sign in elsewhere", func(w http.ResponseWriter) error {
		return p.SignIn(w, 200, ui.SignIn{Frame: ui.Frame{CSRF: "token"}, Next: "/", Elsewhere: "http://localhost:8080"})
	})
	render("recovery codes", func(w http.ResponseWriter) error {
		return p.RecoveryCodes(w, ui.RecoveryCodes{Frame: frame, Codes: []string{"aaaa-bbbb-cccc-dddd-eeee-ffff"}, Made: at(0)})
	})
	for name, page := range map[string]ui.Reauth{
		"confirm":              {Password: true},
		"confirm by a passkey": {Passkey: true, Mistake: "Name or password is wrong."},
		"confirm by whatever":  {Password: true, Passkey: true, Provider: "Example"},
		"confirm by nothing":   {},
	} {
		page.Frame, page.Next, page.Username = frame, "/safety", "alex"
		render(name, func(w http.ResponseWriter) error { return p.Reauth(w, 200, page) })
	}
	render("recover", func(w http.ResponseWriter) error {
		return p.Recover(w, 403, ui.Recover{Frame: ui.Frame{CSRF: "token"}, Username: "kim", Mistake: "Name or code is wrong."})
	})
	render("home", func(w http.ResponseWriter) error { return p.Home(w, example()) })
	render("bare home", func(w http.ResponseWriter) error {
		return p.Home(w, ui.Home{Frame: frame, Devices: example().Devices[:1]})
	})
	for _, status := range []int{400, 403, 404, 429, 500, 503} {
		render(http.StatusText(status), func(w http.ResponseWriter) error {
			return p.Problem(w, ui.Problem{Status: status, RequestID: "r1"})
		})
	}
	return out
}

func TestPagesNeedNoExceptionInTheCSP(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(>|\s[^>]*>[^<])`)
	for name, page := range rendered(t) {
		if found := inline.FindString(page); found != "" {
			t.Errorf("%s: inline %q", name, found)
		}
	}
}

func TestPagesCanBeReadAloud(t *testing.T) {
	ids := regexp.MustCompile(`\sid="([^"]*)"`)
	input := regexp.MustCompile(`<input id="([^"]*)"`)
	referred := regexp.MustCompile(`aria-(?:labelledby|describedby)="([^"]*)"`)
	for name, page := range rendered(t) {
		for _, want := range []string{`<html lang="en">`, "<title>", "<header", "<main", "<footer", "<h1", `href="#main"`} {
			if strings.Count(page, want) != 1 {
				t.Errorf("%s: %d of %s, want one", name, strings.Count(page, want), want)
			}
		}
		seen := map[string]bool{}
		for _, m := range ids.FindAllStringSubmatch(page, -1) {
			if seen[m[1]] {
				t.Errorf("%s: two elements have the id %s", name, m[1])
			}
			seen[m[1]] = true
		}
		for _, m := range input.FindAllStringSubmatch(page, -1) {
			if !strings.Contains(page, `<label for="`+m[1]+`">`) {
				t.Errorf("%s: no label for %s", name, m[1])
			}
		}
		for _, m := range referred.FindAllStringSubmatch(page, -1) {
			if !seen[m[1]] {
				t.Errorf("%s: nothing has the id %s", name, m[1])
			}
		}
	}
}

func TestEveryFormThatPostsCarriesAToken(t *testing.T) {
	form := regexp.MustCompile(`(?s)<form method="post".*?</form>`)
	for name, page := range rendered(t) {
		for _, f := range form.FindAllString(page, -1) {
			if !strings.Contains(f, `name="csrf_token" value="token"`) {
				t.Errorf("%s: a form without a token: %s", name, f)
			}
		}
	}
}

func TestWhatPeopleNamedIsText(t *testing.T) {
	evil := `<img src=x onerror=alert(1)>"'`
	h := example()
	h.User.Username, h.Platforms[1].Name, h.Devices[1].Name, h.Platforms[1].InstanceURL = evil, evil, evil, "javascript:alert(1)"
	w := httptest.NewRecorder()
	if err := pages(t).Home(w, h); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), "<img") {
		t.Error("a name became markup")
	}
}

func TestPlatformWithoutATypeIsShown(t *testing.T) {
	h := example()
	h.Platforms[0].Type = ""
	w := httptest.NewRecorder()
	if err := pages(t).Home(w, h); err != nil {
		t.Errorf("a platform without a type: %v", err)
	}
}

func TestAssetsAreKeptForEverUnderTheirHash(t *testing.T) {
	p := pages(t)
	href := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)
	found := 0
	for _, page := range rendered(t) {
		for _, m := range href.FindAllStringSubmatch(page, -1) {
			w := httptest.NewRecorder()
			p.Assets().ServeHTTP(w, httptest.NewRequest("GET", m[1], nil))
			if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d, %v", m[1], w.Code, w.Header())
			}
			found++
		}
	}
	if found == 0 {
		t.Error("the pages refer to no assets")
	}
	w := httptest.NewRecorder()
	p.Assets().ServeHTTP(w, httptest.NewRequest("GET", "/assets/app.css", nil))
	if w.Code != 404 {
		t.Errorf("without its hash: %d, want 404", w.Code)
	}
}

func TestMoments(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", -59 * time.Second: "just now", -time.Minute: "1 min ago", -90 * time.Minute: "1 h 30 min ago",
		time.Second: "in 1 s", 59 * time.Second: "in 59 s", 24 * time.Hour: "in 24 h", 48*time.Hour - 5*time.Minute: "in 47 h 55 min",
		48 * time.Hour: "in 2 days", 7*24*time.Hour - time.Hour: "in 6 days 23 h", -50 * time.Hour: "2 days 2 h ago",
	} {
		if got := at(d).Relative(); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := at(time.Hour).Clock(); got != "11:30 UTC" {
		t.Errorf("today: %q", got)
	}
	if got := at(24 * time.Hour).Clock(); got != "Sun 12 Jan, 10:30 UTC" {
		t.Errorf("tomorrow: %q", got)
	}
	if got := at(0).Date(); got != "11 January 2025" {
		t.Errorf("on paper: %q", got)
	}
	if at(0).IsZero() || !(ui.Moment{}).IsZero() {
		t.Error("only the zero Moment is zero")
	}
}
