package passkeys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys/passkeytest"
)

var (
	home  = passkeys.Site{Name: "accounts.example.org", Origin: "https://accounts.example.org"}
	other = passkeys.Site{Name: "evil.example", Origin: "https://evil.example"}
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// scene is a server, a person, and what they hold.
type scene struct {
	t     *testing.T
	now   time.Time
	does  *passkeys.Ceremonies
	kim   directory.Holder
	phone *passkeytest.Device // Kim's
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, now: noon}
	s.does = passkeys.New([][]byte{[]byte("a key of thirty-two bytes or so.")}, func() time.Time { return s.now })
	s.kim = directory.Holder{Handle: bytes.Repeat([]byte{7}, 64), Username: "kim"}
	s.phone = passkeytest.New(home.Name, home.Origin)
	return s
}

// register asks as a session, and answers with the key.
func (s *scene) register() (directory.Passkey, error) {
	s.t.Helper()
	options, err := s.does.Register(home, "session", s.kim)
	if err != nil {
		s.t.Fatal(err)
	}
	p, _, err := s.does.Registered(home, "session", s.kim, []byte(s.attested(options)))
	return p, err
}

func (s *scene) attested(options json.RawMessage) string {
	s.t.Helper()
	answer, err := s.phone.Attest(options)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func (s *scene) registered() *scene {
	s.t.Helper()
	p, err := s.register()
	if err != nil {
		s.t.Fatal(err)
	}
	s.kim.Passkeys = append(s.kim.Passkeys, p)
	return s
}

// asked for a sign-in.
func (s *scene) asked(holder string) []byte {
	s.t.Helper()
	options, err := s.does.SignIn(home, holder)
	if err != nil {
		s.t.Fatal(err)
	}
	return options
}

// answers with the key that the phone holds.
func (s *scene) answers(options []byte) string {
	s.t.Helper()
	answer, err := s.phone.Assert(options)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// challenged puts a challenge in the place of one that was given.
func challenged(challenge []byte) []byte {
	return []byte(`{"challenge":"` + base64.RawURLEncoding.EncodeToString(challenge) + `"}`)
}

func (s *scene) signIn(holder, answer string) (passkeys.Use, error) {
	a, err := passkeys.Read([]byte(answer))
	if err != nil {
		return passkeys.Use{}, err
	}
	return s.does.SignedIn(home, holder, s.kim, a)
}

func TestRegisterAndSignIn(t *testing.T) {
	s := newScene(t)
	options, err := s.does.Register(home, "session", s.kim)
	if err != nil {
		t.Fatal(err)
	}
	var wants struct {
		RP        struct{ ID string }
		User      struct{ ID, Name string }
		Challenge string
		Selection struct{ ResidentKey, UserVerification string } `json:"authenticatorSelection"`
		Attest    string                                         `json:"attestation"`
		Timeout   int
	}
	if err := json.Unmarshal(options, &wants); err != nil {
		t.Fatal(err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(wants.User.ID)
	if err != nil || !bytes.Equal(handle, s.kim.Handle) || wants.User.Name != "kim" || wants.RP.ID != home.Name {
		t.Errorf("%s", options)
	}
	if wants.Selection.ResidentKey != "required" || wants.Selection.UserVerification != "required" || wants.Attest != "none" || wants.Timeout != 300_000 {
		t.Errorf("%s", options)
	}
	s.phone.Model.Aaguid = [16]byte{0xba, 0xda, 0x55, 0x66, 0xa7, 0xaa, 0x40, 0x1f, 0xbd, 0x96, 0x45, 0x61, 0x9a, 0x55, 0x12, 0x0d}
	p, once, err := s.does.Registered(home, "session", s.kim, []byte(s.attested(options)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.ID, s.phone.Key.ID) || p.Name != "1Password" || p.Site != home.Name || !p.BackupEligible || p.BackedUp || !p.CreatedAt.Equal(noon) || len(once.Thing) == 0 || !once.Until.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("%+v, %+v", p, once)
	}
	s.kim.Passkeys = []directory.Passkey{p}
	if options, err := s.does.Register(home, "session", s.kim); err != nil || !strings.Contains(string(options), base64.RawURLEncoding.EncodeToString(p.ID)) {
		t.Errorf("the one they have is not excluded: %s, %v", options, err)
	}

	s.now = noon.Add(time.Hour)
	s.phone.Model.Options.BackupState = true
	asked := s.asked("browser")
	if text := string(asked); strings.Contains(text, "allowCredentials") || !strings.Contains(text, `"rpId":"accounts.example.org"`) || !strings.Contains(text, `"userVerification":"required"`) {
		t.Error(text)
	}
	use, err := s.signIn("browser", s.answers(asked))
	if err != nil {
		t.Fatal(err)
	}
	if !use.Passkey.LastUsed.Equal(s.now) || !use.Passkey.BackedUp || use.CountedBack || !use.Answered.Until.Equal(s.now.Add(5*time.Minute)) {
		t.Errorf("%+v", use)
	}
}

// Each is one of the ways to get in without the person's authenticator, or without
// the person.
func TestWhatIsRefused(t *testing.T) {
	tampered := func(name string, change func(response map[string]any)) func(s *scene) string {
		return func(s *scene) string {
			var answer map[string]any
			if err := json.Unmarshal([]byte(s.answers(s.asked("browser"))), &answer); err != nil {
				t.Fatal(name, err)
			}
			change(answer["response"].(map[string]any))
			text, err := json.Marshal(answer)
			if err != nil {
				t.Fatal(name, err)
			}
			return string(text)
		}
	}
	for what, attack := range map[string]func(s *scene) string{
		"a page of another site": func(s *scene) string {
			s.phone.At.Origin = other.Origin
			return s.answers(s.asked("browser"))
		},
		"a page of another port": func(s *scene) string {
			s.phone.At.Origin += ":8443"
			return s.answers(s.asked("browser"))
		},
		"a page without TLS": func(s *scene) string {
			s.phone.At.Origin = "http://accounts.example.org"
			return s.answers(s.asked("browser"))
		},
		"a key of another site": func(s *scene) string {
			s.phone.At.ID = other.Name
			return s.answers(s.asked("browser"))
		},
		"somebody else's key": func(s *scene) string {
			id := s.phone.Key.ID
			s.phone = passkeytest.New(home.Name, home.Origin)
			s.phone.Key.ID, s.phone.Model.Options.UserHandle = id, s.kim.Handle
			return s.answers(s.asked("browser"))
		},
		"a key that nobody knows": func(s *scene) string {
			s.phone = passkeytest.New(home.Name, home.Origin)
			s.phone.Model.Options.UserHandle = s.kim.Handle
			return s.answers(s.asked("browser"))
		},
		"for somebody else": func(s *scene) string {
			s.phone.Model.Options.UserHandle = bytes.Repeat([]byte{8}, 64)
			return s.answers(s.asked("browser"))
		},
		"for nobody": func(s *scene) string {
			s.phone.Model.Options.UserHandle = nil
			return s.answers(s.asked("browser"))
		},
		"without the person's finger or PIN": func(s *scene) string {
			s.phone.Model.Options.UserNotVerified = true
			return s.answers(s.asked("browser"))
		},
		"without anybody there": func(s *scene) string {
			s.phone.Model.Options.UserNotPresent = true
			return s.answers(s.asked("browser"))
		},
		"a key that was not to be copied": func(s *scene) string {
			s.phone.Model.Options.BackupEligible = false
			return s.answers(s.asked("browser"))
		},
		"a challenge that somebody made": func(s *scene) string {
			return s.answers(challenged(bytes.Repeat([]byte{1}, 56)))
		},
		"a challenge of another length": func(s *scene) string {
			return s.answers(challenged(bytes.Repeat([]byte{1}, 32)))
		},
		"another browser's challenge": func(s *scene) string { return s.answers(s.asked("another")) },
		"a challenge of another server": func(s *scene) string {
			mine := s.does
			s.does = passkeys.New([][]byte{[]byte("another key of thirty-two bytes.")}, func() time.Time { return s.now })
			asked := s.asked("browser")
			s.does = mine
			return s.answers(asked)
		},
		"a challenge to register by": func(s *scene) string {
			options, err := s.does.Register(home, "browser", s.kim)
			if err != nil {
				t.Fatal(err)
			}
			return s.answers(options)
		},
		"a challenge to prove by": func(s *scene) string {
			options, err := s.does.Prove(home, "browser", s.kim)
			if err != nil {
				t.Fatal(err)
			}
			return s.answers(options)
		},
		"a signature with a flipped bit": tampered("signature", func(r map[string]any) {
			signature, err := base64.RawURLEncoding.DecodeString(r["signature"].(string))
			if err != nil {
				t.Fatal(err)
			}
			signature[len(signature)-1] ^= 1
			r["signature"] = base64.RawURLEncoding.EncodeToString(signature)
		}),
		"client data that were changed": tampered("client data", func(r map[string]any) {
			data, err := base64.RawURLEncoding.DecodeString(r["clientDataJSON"].(string))
			if err != nil {
				t.Fatal(err)
			}
			r["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(bytes.Replace(data, []byte("{"), []byte(`{"crossOrigin":false,`), 1))
		}),
		"a page in a frame": tampered("frame", func(r map[string]any) {
			data, err := base64.RawURLEncoding.DecodeString(r["clientDataJSON"].(string))
			if err != nil {
				t.Fatal(err)
			}
			r["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(bytes.Replace(data, []byte("{"), []byte(`{"crossOrigin":true,`), 1))
		}),
		"no JSON":    func(*scene) string { return "{" },
		"an array":   func(*scene) string { return "[]" },
		"nothing":    func(*scene) string { return "" },
		"null":       func(*scene) string { return "null" },
		"an id only": func(*scene) string { return `{"id":"AAAA","rawId":"AAAA","type":"public-key"}` },
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t).registered()
			if use, err := s.signIn("browser", attack(s)); !errors.Is(err, passkeys.ErrRefused) {
				t.Errorf("%+v, %v", use, err)
			}
			fresh := newScene(t).registered()
			if _, err := fresh.signIn("browser", fresh.answers(fresh.asked("browser"))); err != nil {
				t.Errorf("the honest one: %v", err)
			}
		})
	}
}

func TestAChallengeWaitsFiveMinutes(t *testing.T) {
	s := newScene(t).registered()
	asked := s.asked("browser")
	s.now = noon.Add(5*time.Minute - time.Millisecond)
	if _, err := s.signIn("browser", s.answers(asked)); err != nil {
		t.Errorf("the last instant: %v", err)
	}
	s.now = noon.Add(5 * time.Minute)
	if _, err := s.signIn("browser", s.answers(asked)); !errors.Is(err, passkeys.ErrStale) {
		t.Errorf("the next: %v", err)
	}
	options, err := s.does.Register(home, "session", s.kim)
	if err != nil {
		t.Fatal(err)
	}
	answer := s.attested(options)
	s.now = s.now.Add(5 * time.Minute)
	if _, _, err := s.does.Registered(home, "session", s.kim, []byte(answer)); !errors.Is(err, passkeys.ErrStale) {
		t.Errorf("to register by: %v", err)
	}
}

// Two answers to one challenge spend the same thing.
func TestOneChallengeIsSpentByEachOfItsAnswers(t *testing.T) {
	s := newScene(t).registered()
	asked := s.asked("browser")
	first, err := s.signIn("browser", s.answers(asked))
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.signIn("browser", s.answers(asked))
	if err != nil || !bytes.Equal(first.Answered.Thing, second.Answered.Thing) {
		t.Errorf("%x and %x, %v", first.Answered.Thing, second.Answered.Thing, err)
	}
	third, err := s.signIn("browser", s.answers(s.asked("browser")))
	if err != nil || bytes.Equal(first.Answered.Thing, third.Answered.Thing) {
		t.Errorf("another challenge: %x, %v", third.Answered.Thing, err)
	}
}

func TestACounterThatGoesBackIsTold(t *testing.T) {
	for _, c := range []struct {
		stored, shown uint32
		told          bool
		kept          uint32
	}{{0, 0, false, 0}, {5, 6, false, 6}, {5, 5, true, 5}, {5, 4, true, 5}, {5, 0, true, 5}, {0, 9, false, 9}} {
		s := newScene(t).registered()
		s.kim.Passkeys[0].SignCount, s.phone.Key.Counter = c.stored, c.shown-1 // it counts before it answers
		use, err := s.signIn("browser", s.answers(s.asked("browser")))
		if err != nil || use.CountedBack != c.told || use.Passkey.SignCount != c.kept {
			t.Errorf("%+v: %+v, %v", c, use, err)
		}
	}
}

func TestProvingIsByOnesOwn(t *testing.T) {
	s := newScene(t).registered()
	options, err := s.does.Prove(home, "session", s.kim)
	if err != nil {
		t.Fatal(err)
	}
	if id := base64.RawURLEncoding.EncodeToString(s.phone.Key.ID); strings.Count(string(options), `"type":"public-key"`) != 1 || !strings.Contains(string(options), id) {
		t.Fatalf("%s", options)
	}
	prove := func(holder string, by directory.Holder, answer string) error {
		a, err := passkeys.Read([]byte(answer))
		if err != nil {
			return err
		}
		_, err = s.does.Proven(home, holder, by, a)
		return err
	}
	if err := prove("session", s.kim, s.answers(options)); err != nil {
		t.Error(err)
	}
	s.phone.Model.Options.UserHandle = nil // authenticators leave it out where they were told which key
	if err := prove("session", s.kim, s.answers(options)); err != nil {
		t.Error(err)
	}
	lee := newScene(t).registered().kim
	lee.Handle = bytes.Repeat([]byte{9}, 64)
	for what, err := range map[string]error{
		"another session":           prove("another", s.kim, s.answers(options)),
		"another person":            prove("session", lee, s.answers(options)),
		"a challenge to sign in by": prove("session", s.kim, s.answers(s.asked("session"))),
	} {
		if !errors.Is(err, passkeys.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	for what, change := range map[string]func(s *scene){
		"another site's page":     func(s *scene) { s.phone.At.Origin = other.Origin },
		"another site's key":      func(s *scene) { s.phone.At.ID = other.Name },
		"without a finger or PIN": func(s *scene) { s.phone.Model.Options.UserNotVerified = true },
		"copied, and not to be":   func(s *scene) { s.phone.Model.Options.BackupEligible, s.phone.Model.Options.BackupState = false, true },
		"nobody there":            func(s *scene) { s.phone.Model.Options.UserNotPresent = true },
	} {
		s := newScene(t)
		change(s)
		if p, err := s.register(); !errors.Is(err, passkeys.ErrRefused) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	s := newScene(t)
	options, err := s.does.Register(home, "session", s.kim)
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte(s.attested(options))
	lee := directory.Holder{Handle: bytes.Repeat([]byte{9}, 64), Username: "lee"}
	if _, _, err := s.does.Registered(home, "another", lee, answer); !errors.Is(err, passkeys.ErrRefused) {
		t.Errorf("another session: %v", err)
	}
	if _, _, err := s.does.Registered(home, "session", s.kim, []byte("{}")); !errors.Is(err, passkeys.ErrRefused) {
		t.Errorf("nothing: %v", err)
	}
}

// A key that is being rotated still accepts what it made.
func TestChallengesOutliveARotationOfKeys(t *testing.T) {
	s := newScene(t).registered()
	asked := s.asked("browser")
	now := func() time.Time { return s.now }
	s.does = passkeys.New([][]byte{[]byte("the new key of thirty-two bytes."), []byte("a key of thirty-two bytes or so.")}, now)
	if _, err := s.signIn("browser", s.answers(asked)); err != nil {
		t.Error(err)
	}
}

func TestSites(t *testing.T) {
	if s, err := passkeys.SiteAt("https://accounts.example.org:8443"); err != nil || s != (passkeys.Site{Name: "accounts.example.org", Origin: "https://accounts.example.org:8443"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := passkeys.SiteAt("https://192.0.2.1"); err == nil {
		t.Errorf("an address: %+v", s)
	}
	for _, c := range []struct{ host, from, origin string }{
		{"localhost:8080", "127.0.0.1:1234", "http://localhost:8080"},
		{"localhost", "[::1]:1234", "http://localhost"},
		{"127.0.0.1:8080", "127.0.0.1:1234", ""},
		{"accounts.example.org", "127.0.0.1:1234", ""},
		{"localhost:8080", "192.0.2.1:1234", ""},
		{"localhost.evil.example", "127.0.0.1:1234", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.RemoteAddr = c.host, c.from
		if s := passkeys.SiteOf(r); s.Origin != c.origin {
			t.Errorf("%+v: %+v", c, s)
		}
	}
}
