package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/sessionhttp"
)

// settle tells at once what is gathered.
func (s *soon) settle() {
	s.mu.Lock()
	stopped := s.timer != nil && s.timer.Stop()
	s.mu.Unlock()
	if stopped {
		s.flush()
	}
	s.telling.Wait()
}

// told returns what a person was told, the oldest first.
func (s *site) toldTo(t *testing.T, name string) []notice.Notice {
	t.Helper()
	s.soon.settle()
	lines, err := s.people.Notices(t.Context(), s.person(t, name))
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(lines)
	return lines
}

func (s *site) person(t *testing.T, name string) session.UserID {
	t.Helper()
	e, err := s.people.Lookup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func kinds(lines []notice.Notice) (names []string) {
	for _, n := range lines {
		names = append(names, string(n.Kind))
	}
	return names
}

const firefox, phone = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"

// A device is new once for each person, and nobody else's business.
func TestANewDeviceIsTold(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.agent = firefox
	b.signIn("alex")
	b.submit("Sign out")
	b.signIn("alex") // on a device that is known by now
	other := s.browser(t)
	other.agent = phone
	other.signIn("alex")
	lines := s.toldTo(t, "alex")
	if got := kinds(lines); !slices.Equal(got, []string{"new_device", "new_device"}) {
		t.Fatalf("told: %v", got)
	}
	if n := lines[1]; n.Device != "Safari on iPhone" || n.Address != "127.0.0.1" || !n.New || n.Times != 1 {
		t.Errorf("%+v", n)
	}
	if got := s.toldTo(t, "sam"); got != nil {
		t.Errorf("somebody else was told: %v", got)
	}
}

// Neither an operator who acts as somebody nor a guest is a device of that person's.
func TestWhoIsNotThePersonIsNoNewDevice(t *testing.T) {
	s := demo(t)
	alex := s.person(t, "alex")
	for _, held := range []session.Session{{UserID: alex, Impersonator: "4"}, {UserID: alex, Guest: true}} {
		s.signedIn(httptest.NewRequest("POST", "/login", nil), &session.Context{Session: held})
	}
	if lines := s.toldTo(t, "alex"); lines != nil {
		t.Errorf("%+v", lines)
	}
}

// The notice of a sign-in is stored before anybody holds the session's token.
func TestANewDeviceIsToldBeforeTheAnswer(t *testing.T) {
	s := demo(t)
	s.browser(t).signIn("alex")
	lines, err := s.people.Notices(t.Context(), s.person(t, "alex")) // without waiting for anything
	if err != nil || len(lines) != 1 {
		t.Errorf("%d notices, %v", len(lines), err)
	}
}

// Failed attempts are one line, however many and from wherever they are, and the
// owner's page says how many.
func TestFailedAttemptsAreGathered(t *testing.T) {
	s := limitedIn(t, t.TempDir(), func(s *config.Settings) { s.AttemptsPerAccount, s.AttemptsPerAddress = 9, 20 })
	owner := s.browser(t)
	owner.signIn("alex")
	stranger := s.browser(t)
	stranger.agent = phone
	stranger.burn("alex", 4)
	s.soon.settle()
	stranger.agent = firefox
	stranger.burn("alex@example.com", 3)
	s.soon.settle()
	stranger.burn("nobody", 1)
	lines := s.toldTo(t, "alex")
	if got := kinds(lines); !slices.Equal(got, []string{"new_device", "failed_attempts"}) {
		t.Fatalf("told: %v", got)
	}
	if n := lines[1]; n.Times != 7 || !n.Several || n.Device != "Firefox on Linux" || !n.First.Before(n.Last) {
		t.Errorf("%+v", n)
	}
	owner.open("/safety")
	owner.sees("7 failed attempts to sign in as you", "from several places, the last Firefox on Linux at 127.0.0.1", `2 <span class="word">new</span>`)

	// Seen is seen; what comes after is a line of its own.
	owner.submit("Mark all as seen")
	if strings.Contains(owner.page.body, `class="news"`) || strings.Contains(owner.page.body, ">New<") {
		t.Errorf("still new:\n%s", owner.page.body)
	}
	stranger.burn("alex", 1)
	lines = s.toldTo(t, "alex")
	if n := lines[len(lines)-1]; len(lines) != 3 || n.Times != 1 || !n.New {
		t.Errorf("%+v", lines)
	}
}

// What was refused without a look at the password is no attempt that failed.
func TestARefusalAtTheLimitIsNotTold(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	stranger := s.browser(t)
	stranger.burn("alex", perAccount)
	for range 5 {
		if p := stranger.tryIn("alex", "wrong"); p.status != 429 {
			t.Fatal(p.status)
		}
	}
	if lines := s.toldTo(t, "alex"); len(lines) != 1 || lines[0].Times != perAccount {
		t.Errorf("%+v", lines)
	}
}

func TestWhatHappensToAnAccountIsTold(t *testing.T) {
	s := demo(t)
	ctx := t.Context()
	alex := s.person(t, "alex")
	b := s.browser(t)
	b.signIn("alex")
	for range 2 {
		s.browser(t).signIn("alex")
	}
	b.open("/safety")
	b.submit("End all others")
	if b.page.path != "/safety" {
		t.Errorf("led to %s", b.page.path)
	}
	b.sees("All your other sessions have ended.")
	b.open("/password")
	b.submit("New password", "current", directory.DemoPassword, "password", newPassword, "again", newPassword)
	c, _, err := s.manager.Create(ctx, session.CreateRequest{UserID: alex})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.manager.Revoke(ctx, c.Session.ID, session.RevokedByAdmin, "operator"); err != nil {
		t.Fatal(err)
	}
	lines := s.toldTo(t, "alex")
	want := map[string]string{
		"new_device": "Signed in on a new device, 3 times", "password_changed": "Your password was changed",
	}
	var ended []string
	for _, n := range lines {
		if n.Kind == notice.SessionsEnded {
			ended = append(ended, n.Title())
		} else if n.Title() != want[string(n.Kind)] {
			t.Errorf("%s: %q", n.Kind, n.Title())
		}
	}
	if !slices.Equal(ended, []string{"2 of your sessions were ended", "1 of your sessions was ended by an operator"}) {
		t.Errorf("%q", ended)
	}
}

// A person is told what they should see without an audit too.
func TestPeopleAreToldWithoutAnAudit(t *testing.T) {
	settings := config.Settings{Demo: true, Loopback: true, Plain: true, Database: config.Database{Memory: true}}
	settings.Session.Security.NoAuditLogging = true
	s := start(t, settings, 0)
	b := s.browser(t)
	b.signIn("alex")
	s.browser(t).signIn("alex")
	b.open("/")
	b.submit("End all others")
	if got := kinds(s.toldTo(t, "alex")); !slices.Contains(got, "sessions_ended") {
		t.Errorf("told: %v", got)
	}
	if strings.Contains(s.log.String(), "session audit") {
		t.Error("there is an audit")
	}
}

func TestTheAPIOfNotices(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.agent = firefox
	b.signIn("alex")
	var answer struct {
		Success bool
		New     int
		Notices []struct {
			ID     int64
			Kind   string
			Text   string
			At     time.Time
			Device string
			IP     string `json:"ip_address"`
			IsNew  bool   `json:"is_new"`
		}
	}
	read := func() {
		t.Helper()
		answer.Notices = nil
		p := b.do("GET", "/api/safety", nil, "Accept", "application/json")
		if err := json.Unmarshal([]byte(p.body), &answer); err != nil || p.status != 200 || len(answer.Notices) != 1 {
			t.Fatalf("%d %s %v", p.status, p.body, err)
		}
	}
	read()
	n := answer.Notices[0]
	if !answer.Success || answer.New != 1 || n.Kind != "new_device" || n.Device != "Firefox on Linux" || n.IP != "127.0.0.1" || !n.IsNew || time.Since(n.At) > time.Minute {
		t.Errorf("%+v", answer)
	}
	id, _ := json.Marshal(n.ID)
	csrf := strings.Split(strings.Split(b.open("/").body, `name="csrf-token" content="`)[1], `"`)[0]
	post := func(id string) page {
		return b.do("POST", "/api/safety/seen/"+id, nil, "Accept", "application/json", "X-CSRFToken", csrf)
	}
	if p := post("x"); p.status != 400 {
		t.Errorf("no id: %d %s", p.status, p.body)
	}
	if p := post(string(id)); p.status != 200 || p.body != `{"success":true}` {
		t.Errorf("%d %s", p.status, p.body)
	}
	if read(); answer.New != 0 || answer.Notices[0].IsNew {
		t.Errorf("%+v", answer)
	}
	if p := s.browser(t).do("GET", "/api/safety", nil, "Accept", "application/json"); p.status != 401 {
		t.Errorf("signed out: %d", p.status)
	}
}

// An operator who acts as somebody does not see for them what they were told.
func TestAnOperatorSeesNothingForAPerson(t *testing.T) {
	s := demo(t)
	alex := s.person(t, "alex")
	s.tell(t.Context(), alex, notice.Notice{Kind: notice.Impersonated, Detail: "admin"})
	seen := func(who session.Session) error {
		r := httptest.NewRequest("POST", "/", nil)
		r.SetPathValue("id", strconv.FormatInt(s.toldTo(t, "alex")[0].ID, 10))
		return s.see(r.WithContext(session.NewContext(r.Context(), &session.Context{Session: who})))
	}
	c, _, err := s.manager.Create(t.Context(), session.CreateRequest{UserID: alex})
	if err != nil {
		t.Fatal(err)
	}
	own := c.Session
	acting := own
	acting.Impersonator = "4"
	if err := seen(acting); !errors.Is(err, sessionhttp.ErrForbidden) {
		t.Errorf("an operator: %v", err)
	}
	if n := s.toldTo(t, "alex")[0]; !n.New || n.Title() != "An operator acted as you: admin" {
		t.Errorf("%+v", n)
	}
	if err := seen(own); err != nil || s.toldTo(t, "alex")[0].New {
		t.Errorf("the person: %v", err)
	}
}

func TestOldNoticesAreForgotten(t *testing.T) {
	s := demo(t)
	s.current.noticesKept.Store(int64(24 * time.Hour))
	alex := s.person(t, "alex")
	now := s.manager.Now()
	for i, at := range []time.Time{now.Add(-25 * time.Hour), now.Add(-23 * time.Hour)} {
		for j := range 2 * forgetBatch / 3 { // more than are removed at once
			n := notice.At(at, notice.Kinds[j%len(notice.Kinds)])
			n.Detail = strings.Repeat("x", i*100+j)
			if err := s.people.Tell(t.Context(), alex, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.forget(ctx) })
	for patience := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		lines := s.toldTo(t, "alex")
		if len(lines) == 2*forgetBatch/3 && lines[0].Last.After(now.Add(-24*time.Hour)) {
			break
		}
		if time.Now().After(patience) {
			t.Fatalf("%d notices", len(lines))
		}
	}
	stop()
	running.Wait()
}
