package server

import (
	"regexp"
	"strings"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

func TestPagesWorkWithoutScript(t *testing.T) {
	s := demo(t)
	desk, phone, other := s.browser(t), s.browser(t), s.browser(t)

	if !desk.signedOut() {
		t.Fatal("home is shown to nobody")
	}
	desk.signIn("alex")
	desk.sees("My Pixelfed</h1>", "alex@example.com", "This one", "Nowhere else")

	desk.submit("Switch to My Mastodon")
	desk.sees("My Mastodon</h1>", "You switched the platform")

	phone.signIn("ALEX@example.com")
	other.signIn("alex")
	if desk.open("/"); strings.Count(desk.page.body, ">End</button>") != 2 {
		t.Errorf("not two other sessions:\n%s", desk.page.body)
	}
	desk.submit(">End</button>")
	desk.sees("That session has ended")
	if !phone.signedOut() && !other.signedOut() {
		t.Error("neither of the other sessions has ended")
	}
	desk.submit("End all others")
	desk.sees("All your other sessions have ended", "Nowhere else")
	if !phone.signedOut() || !other.signedOut() {
		t.Error("the other sessions live")
	}

	if p := desk.submit("Sign out"); p.path != "/login" {
		t.Errorf("after signing out: %s", p.path)
	}
	if !desk.signedOut() {
		t.Error("signing out did not sign out")
	}
}

// Whoever is sent to the sign-in page is told why, by the cookie that they hold.
func TestTheSignInPageSaysWhyTheSessionEnded(t *testing.T) {
	s := demo(t)
	desk, phone, stranger := s.browser(t), s.browser(t), s.browser(t)
	desk.open("/login")
	if strings.Contains(desk.page.body, `class="notice"`) {
		t.Error("a notice for somebody who never was signed in")
	}
	desk.signIn("alex")
	phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
	phone.signIn("alex")
	phone.submit(">End</button>")
	if !desk.signedOut() {
		t.Fatal("the session lives")
	}
	desk.sees("You ended this session from Safari on iPhone today at ")
	stranger.open("/login")
	if strings.Contains(stranger.page.body, "You ended") {
		t.Error("it is told to anybody")
	}
	desk.signIn("alex")
	desk.submit("Sign out")
	if strings.Contains(desk.page.body, `class="notice"`) {
		t.Errorf("after signing out:\n%s", desk.page.body)
	}
	for range 5 { // the limit
		another := s.browser(t)
		another.agent = phone.agent
		another.signIn("alex")
	}
	if !phone.signedOut() {
		t.Fatal("the oldest lives past the limit")
	}
	phone.sees("You signed in on Safari on iPhone today at ", "and this session made way.")
}

// A form that is sent from a page whose session has ended meanwhile leads to the same
// words, and not to some about an old page.
func TestAFormOfAnEndedSessionIsToldWhy(t *testing.T) {
	s := demo(t)
	desk, phone := s.browser(t), s.browser(t)
	desk.signIn("alex")
	phone.signIn("alex")
	phone.submit(">End</button>")
	desk.submit("Switch to")
	if desk.page.path != "/login" {
		t.Errorf("it is at %s", desk.page.path)
	}
	desk.sees("You ended this session from ")
}

// The person's page, the API and the audit say the same of a session that another
// browser uses too.
func TestWhatWasNoticedIsSaidAlikeEverywhere(t *testing.T) {
	s := demo(t)
	desk, phone := s.browser(t), s.browser(t)
	desk.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	desk.signIn("alex")
	if strings.Contains(desk.page.body, "noticed") {
		t.Errorf("of a session of which nothing was noticed:\n%s", desk.page.body)
	}
	phone.signIn("alex")
	desk.do("GET", "/api/session_state", nil, "User-Agent", "curl/8.5.0") // with the desk's cookie
	const explained = "user_agent_changed 40, platform_changed 25, score 65: note"
	for name, b := range map[string]*browser{"desk": desk, "phone": phone} {
		b.open("/")
		b.sees("Is this you?", "Another browser has used it.", "It was used on another kind of device.")
		if n := strings.Count(b.page.body, "Is this you?"); n != 1 {
			t.Errorf("%s: %d sessions are suspicious", name, n)
		}
	}
	if p := desk.do("GET", "/api/session/security", nil); !strings.Contains(p.body, `"explanation":"`+explained+`"`) || !strings.Contains(p.body, `"is_suspicious":true`) {
		t.Errorf("the API: %s", p.body)
	}
	if lines := s.told(t, "noticed"); len(lines) != 1 || lines[0].Reason != explained || lines[0].Client.UserAgent != "curl/8.5.0" {
		t.Errorf("the audit: %+v", lines)
	}
}

func TestOneClickSignsInAsAnyDemoPerson(t *testing.T) {
	s := demo(t)
	for _, p := range directory.DemoPeople {
		b := s.browser(t)
		b.open("/login")
		b.submit(`value="` + p.Username + `"`)
		b.sees(">" + p.Username + "</strong>")
		if len(p.Platforms) == 0 {
			b.sees("You have no platforms yet")
		}
	}
}

// Lesson 1: signing in did not survive the request that followed it.
func TestLesson1_SignInLasts(t *testing.T) {
	b := demo(t).browser(t)
	b.signIn("alex")
	for range 5 {
		if b.signedOut() {
			t.Fatal("signed out by the next request")
		}
		if p := b.do("GET", "/api/session_state", nil); p.status != 200 || !strings.Contains(p.body, `"username":"alex"`) {
			t.Fatalf("%d %s", p.status, p.body)
		}
	}
}

func TestSigningInLeadsBack(t *testing.T) {
	s := demo(t)
	for next, want := range map[string]string{
		"/?done=ended": "/", "https://evil.example/": "/", "//evil.example": "/", "/nothing": "/nothing",
	} {
		b := s.browser(t)
		b.open("/login")
		if p := b.submit(`type="password"`, "username", "sam", "password", directory.DemoPassword, "next", next); p.path != want {
			t.Errorf("next=%s led to %s, want %s", next, p.path, want)
		}
	}
	b := s.browser(t)
	b.signIn("sam")
	if p := b.open("/login?next=/nothing"); p.path != "/nothing" {
		t.Errorf("the sign-in page is shown to somebody signed in: %s", p.path)
	}
}

// What differs from one answer to the next anyway.
var passing = regexp.MustCompile(`(name="csrf_token" value=")[^"]*|(name="username" type="text" value=")[^"]*`)

func TestUnknownPersonAndWrongPasswordAreAlike(t *testing.T) {
	s := demo(t)
	var answers []string
	for _, name := range []string{"alex", "nobody", "alex@example.com", "nobody@example.com"} {
		b := s.browser(t)
		b.open("/login")
		p := b.submit(`type="password"`, "username", name, "password", "wrong")
		if p.status != 401 || p.path != "/login" {
			t.Errorf("%s: %d at %s", name, p.status, p.path)
		}
		b.sees("Name or password is wrong.", `value="`+name+`"`)
		answers = append(answers, passing.ReplaceAllString(p.body, "$1$2"))
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			t.Errorf("the answers differ:\n%s\n%s", answers[0], a)
		}
	}
}

func TestDemoPeopleAreStrangersWithoutDemo(t *testing.T) {
	folder := t.TempDir()
	s := start(t, inFolder(folder, true), 0)
	b := s.browser(t)
	b.signIn("alex")
	if err := s.App.Close(); err != nil {
		t.Fatal(err)
	}
	earnest := start(t, inFolder(folder, false), 0)
	b.url = earnest.url
	if !b.signedOut() {
		t.Error("a session of the demo is good without it")
	}
	if strings.Contains(b.page.body, directory.DemoPassword) {
		t.Error("the demo's password is on the page")
	}
	if p := b.submit(`type="password"`, "username", "alex", "password", directory.DemoPassword); p.status != 401 {
		t.Errorf("signing in: %d", p.status)
	}
}

func TestFormsNeedTheirToken(t *testing.T) {
	s := demo(t)
	b, other := s.browser(t), s.browser(t)
	b.signIn("alex")
	other.signIn("sam")
	stolen := hidden.FindStringSubmatch(other.page.body)[2]
	for _, token := range []string{"", "x", stolen} {
		for _, form := range []string{"Switch to Work", "Sign out"} {
			b.open("/")
			if p := b.submit(form, "csrf_token", token); p.status != 403 {
				t.Errorf("%s with the token %q: %d", form, token, p.status)
			}
		}
	}
	if b.open("/"); b.page.path != "/" {
		t.Error("signed out without a token")
	}
	b.sees("My Pixelfed</h1>")
}

func TestOthersSessionsAndPlatformsCannotBeTouched(t *testing.T) {
	s := demo(t)
	alex, sam := s.browser(t), s.browser(t)
	alex.signIn("alex")
	sam.signIn("sam")
	theirs := regexp.MustCompile(`data-session-id="([0-9a-f]+)"`).FindStringSubmatch(sam.page.body)[1]
	token := hidden.FindStringSubmatch(alex.page.body)[2]
	for path, fields := range map[string]string{
		"/sessions/" + theirs + "/end":                   "",
		"/sessions/00000000000000000000000000000000/end": "",
		"/sessions/x/end":                                "",
		"/switch":                                        "&to=4",
	} {
		p := alex.do("POST", path, strings.NewReader("csrf_token="+token+fields), "Content-Type", "application/x-www-form-urlencoded")
		if p.status != 404 {
			t.Errorf("%s: %d", path, p.status)
		}
	}
	if sam.signedOut() {
		t.Error("somebody else ended the session")
	}
}

// The box is not checked unless somebody checks it, and stays checked when the
// password was wrong; the person's page says which devices are remembered.
func TestTheBoxOnTheSignInPage(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.open("/login")
	b.sees(`<input type="hidden" name="remember" value="0">`, `<input type="checkbox" name="remember" value="1"><span>Remember this device`)
	b.submit(`type="password"`, "username", "alex", "password", "wrong", "remember", "1")
	b.sees(`name="remember" value="1" checked>`)
	if b.submit(`type="password"`, "username", "alex", "password", directory.DemoPassword, "remember", "1"); b.page.path != "/" {
		t.Fatal(b.page.path)
	}
	b.sees("remembered</span>")
	other := s.browser(t)
	other.signIn("alex") // with the box as it comes
	other.sees("remembered</span>", "until the browser is closed</span>")
}

// What can be tried is advised to whoever can.
func TestThePageSaysWhatThereIsToDo(t *testing.T) {
	t.Parallel()
	s := demo(t)
	const switches, signOut, ask = "A switch reaches every tab", "second tab and sign out in one of them", "Whoever runs this server can add one."
	for name, want := range map[string][3]bool{"alex": {true, false, false}, "sam": {false, true, false}, "robin": {false, true, true}} {
		b := s.browser(t)
		b.signIn(name)
		for i, text := range []string{switches, signOut, ask} {
			if strings.Contains(b.page.body, text) != want[i] {
				t.Errorf("%s is told %q: %t", name, text, !want[i])
			}
		}
	}
}
