package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

const newPassword = "nine purple kettles whisper"

// change sends the form of the page.
func (b *browser) change(current, password, again string) page {
	b.t.Helper()
	b.open("/password")
	return b.submit("Change it", "current", current, "password", password, "again", again)
}

func TestAChangeOfPasswordEndsTheOthersAndRotatesThisOne(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	desk, phone, attacker := s.browser(t), s.browser(t), s.browser(t)
	desk.signIn("alex")
	phone.signIn("alex")
	attacker.signIn("sam")
	alex := entry(t, s.site, "alex").ID
	before := desk.cookie()
	epoch, err := s.manager.SignInEpoch(t.Context(), alex)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		current, password, again string
		status                   int
		says                     string
	}{
		"two that differ": {directory.DemoPassword, newPassword, newPassword + "!", 422, "not the same"},
		"a common one":    {directory.DemoPassword, "passwordpassword", "passwordpassword", 422, "guessed"},
		"their own name":  {directory.DemoPassword, "alex@example.com", "alex@example.com", 422, "guessed"},
		"a short one":     {directory.DemoPassword, "short", "short", 422, "fewer than 15 characters"},
		"a wrong current": {"wrong", newPassword, newPassword, 403, "The current password is another. Nothing was changed."},
		"no current":      {"", newPassword, newPassword, 403, "The current password is another. Nothing was changed."},
	} {
		if p := desk.change(c.current, c.password, c.again); p.status != c.status || p.path != "/password" {
			t.Errorf("%s: %d at %s", what, p.status, p.path)
		}
		desk.sees(c.says)
		if strings.Contains(desk.page.body, newPassword) {
			t.Errorf("%s: the page shows the password again", what)
		}
	}
	if phone.signedOut() || desk.cookie() != before {
		t.Error("a change that was refused did something")
	}

	if p := desk.change(directory.DemoPassword, newPassword, newPassword); p.status != 200 || p.path != "/" {
		t.Fatalf("%d at %s", p.status, p.path)
	}
	desk.sees("Your password is changed, and all your other sessions have ended.", "Nowhere else")
	if desk.cookie() == before || desk.cookie() == "" {
		t.Error("the session has the token that it had")
	}
	if phone.open("/"); phone.page.path != "/login" {
		t.Errorf("the phone is at %s", phone.page.path)
	}
	phone.sees("Your password was changed")
	if attacker.signedOut() {
		t.Error("somebody else was signed out")
	}
	if p := phone.tryIn("alex", directory.DemoPassword); p.status != 401 {
		t.Errorf("the old password: %d", p.status)
	}
	if p := phone.tryIn("alex", newPassword); p.status != 200 || p.path != "/" {
		t.Errorf("the new password: %d at %s", p.status, p.path)
	}
	s.notes.Wait()
	if lines := s.told(t, "password_set"); len(lines) != 1 || lines[0].User != alex || lines[0].By != string(alex) {
		t.Errorf("password_set: %+v", lines)
	}
	if lines := s.told(t, "ended"); len(lines) != 1 || lines[0].Reason != session.CredentialChanged || lines[0].By != string(alex) {
		t.Errorf("ended: %+v", lines)
	}
	if lines := s.told(t, "reauthenticated"); len(lines) != 1 || lines[0].User != alex {
		t.Errorf("rotated: %+v", lines)
	}
	if lines := s.told(t, "sign_in_refused"); len(lines) != 3 { // two at the page, one at the door
		t.Errorf("sign_in_refused: %+v", lines)
	}
	// A sign-in whose password was looked at before the change does not land after it.
	if _, _, err := s.manager.Create(t.Context(), session.CreateRequest{UserID: alex, SignInEpoch: epoch}); !errors.Is(err, session.ErrConflict) {
		t.Errorf("a sign-in from before: %v", err)
	}
	if log := s.log.String(); strings.Contains(log, newPassword) {
		t.Errorf("the password is in the log:\n%s", log)
	}
}

// Whoever holds a session, and not the password, guesses no further than at the door.
func TestTheCurrentPasswordIsUnderTheSameLimits(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	b := s.browser(t)
	b.signIn("alex")
	for range perAccount {
		if p := b.change("wrong", newPassword, newPassword); p.status != 403 {
			t.Fatalf("a wrong one: %d", p.status)
		}
	}
	p := b.change(directory.DemoPassword, newPassword, newPassword)
	if p.status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", p.status)
	}
	retryAfter(t, p)
	b.sees("Too many attempts. Please try again in 20 minutes.")
	b.open("/")
	b.submit("Sign out")
	if p := b.tryIn("alex", directory.DemoPassword); p.status != 429 {
		t.Errorf("at the door, with the same device: %d", p.status)
	}
}

// A password that somebody else has set meanwhile is not overwritten.
func TestAPasswordThatWasSetMeanwhileStays(t *testing.T) {
	s := demo(t)
	alex := entry(t, s, "alex").ID
	if err := s.people.SetPassword(t.Context(), alex, newPassword); err != nil {
		t.Fatal(err)
	}
	if err := s.people.ChangePassword(t.Context(), alex, directory.DemoPassword, newPassword+" again"); !errors.Is(err, directory.ErrCredentials) {
		t.Errorf("with the one from before: %v", err)
	}
	if err := s.people.ChangePassword(t.Context(), alex, newPassword, newPassword+" again"); err != nil {
		t.Error(err)
	}
}
