package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys/passkeytest"
)

var (
	timed      = regexp.MustCompile(`"(request_id|timestamp)":"[^"]*"`) // differ in every answer
	shownCodes = regexp.MustCompile(`[0-9a-z]{4}(-[0-9a-z]{4}){5}`)
)

// holding is what people of a walk hold: alex passkeys, and robin recovery codes.
type holding struct {
	phone *passkeytest.Device // with one of alex's passkeys
	codes []string
}

// hold gives them some, and alex a few passkeys more, to be renamed and removed.
func (w *walk) hold(t *testing.T) *holding {
	t.Helper()
	w.origin = passkeys.Site{Name: "localhost", Origin: "https://localhost"} // where the walk goes
	h := &holding{phone: passkeytest.New(w.origin.Name, w.origin.Origin)}
	answer := w.do(t, w.person(t), "POST", "/api/passkeys/options", nil)
	v := w.person(t)
	w.keys = h
	if answer := w.do(t, v, "POST", "/api/passkeys", nil); answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	for n := range 10 {
		p := directory.Passkey{ID: []byte(fmt.Sprint("spare ", n)), PublicKey: []byte{1}, Name: fmt.Sprint("Spare ", n), CreatedAt: w.manager.Now()}
		if err := w.people.AddPasskey(t.Context(), w.alex(t), p, directory.Once{Thing: p.ID, Until: p.CreatedAt.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	robin, err := w.people.Find(t.Context(), "robin")
	if err != nil || answer.Code != 200 {
		t.Fatal(answer.Code, err)
	}
	if h.codes, err = w.people.MakeRecoveryCodes(t.Context(), robin.ID, w.manager.Now()); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *holding) knows(path string) bool {
	return slices.Contains([]string{"/passkeys/rename", "/passkeys/remove", "/api/passkeys", "/api/passkeys/sign_in", recoverPath}, path)
}

// fill in the form of a page, or what its script sends.
func (h *holding) fill(t *testing.T, w *walk, v visit, path string) (body, kind string) {
	t.Helper()
	const form = "application/x-www-form-urlencoded"
	switch path {
	case recoverPath:
		again := fmt.Sprint(newPassword, len(h.codes))
		return url.Values{"username": {"robin"}, "code": {h.codes[0]}, "password": {again}, "again": {again}}.Encode(), form
	case "/passkeys/rename", "/passkeys/remove":
		list, err := w.people.Passkeys(t.Context(), w.alex(t))
		if err != nil || len(list) < 2 {
			t.Fatal(len(list), err)
		}
		return url.Values{"passkey": {encodedID(list[len(list)-1].ID)}, "name": {"Another name"}}.Encode(), form
	}
	asked := w.do(t, v, "POST", path+"/options", nil)
	if asked.Code != 200 {
		return "{}", "application/json"
	}
	if path == "/api/passkeys" {
		device := h.phone
		if w.registered(t) {
			device = passkeytest.New(h.phone.At.ID, h.phone.At.Origin)
		}
		return answering(t, device.Attest, asked.Body.Bytes()), "application/json"
	}
	return answering(t, h.phone.Assert, asked.Body.Bytes()), "application/json"
}

func (w *walk) registered(t *testing.T) bool {
	t.Helper()
	list, err := w.people.Passkeys(t.Context(), w.alex(t))
	if err != nil {
		t.Fatal(err)
	}
	return len(list) > 0
}

// answering is what a page's script sends for the options that it was given.
func answering(t *testing.T, answer func([]byte) (string, error), options []byte) string {
	t.Helper()
	var asked struct{ PublicKey json.RawMessage }
	if err := json.Unmarshal(options, &asked); err != nil {
		t.Fatalf("%v: %s", err, options)
	}
	credential, err := answer(asked.PublicKey)
	if err != nil {
		t.Fatalf("%v: %s", err, options)
	}
	return `{"passkey":` + credential + `,"next":"/safety"}`
}

// localhost is a demo as its people should open it.
func localhost(t *testing.T) *site {
	s := demo(t)
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	return s
}

// phone is one whose browser is at the site.
func (s *site) phone() *passkeytest.Device { return passkeytest.New("localhost", s.url) }

// post sends what a script of the last page would.
func (b *browser) post(path, body string) page {
	b.t.Helper()
	if b.page.body == "" {
		b.open("/login")
	}
	return b.do("POST", path, strings.NewReader(body), "Content-Type", "application/json", "Accept", "application/json", "X-CSRFToken", b.token())
}

func (b *browser) token() string {
	b.t.Helper()
	var said struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal([]byte(b.do("GET", "/api/csrf", nil).body), &said); err != nil {
		b.t.Fatal(err)
	}
	return said.Token
}

// register adds a passkey on the device.
func (b *browser) register(d *passkeytest.Device) page {
	b.t.Helper()
	asked := b.post("/api/passkeys/options", "")
	if asked.status != 200 {
		return asked
	}
	return b.post("/api/passkeys", answering(b.t, d.Attest, []byte(asked.body)))
}

// signInBy signs in with the device.
func (b *browser) signInBy(d *passkeytest.Device) page {
	b.t.Helper()
	asked := b.post("/api/passkeys/sign_in/options", "")
	if asked.status != 200 {
		return asked
	}
	return b.post("/api/passkeys/sign_in", answering(b.t, d.Assert, []byte(asked.body)))
}

func (b *browser) signOut() { b.t.Helper(); b.open("/"); b.submit("Sign out") }

// kinds are those of what a person was told, the newest first.
func (s *site) kinds(t *testing.T, user session.UserID) (kinds []string) {
	t.Helper()
	s.soon.settle()
	told, err := s.people.Notices(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range told {
		text := string(n.Kind)
		if n.Detail != "" {
			text += " " + n.Detail
		}
		kinds = append(kinds, text)
	}
	return kinds
}

func TestAPasskeySignsIn(t *testing.T) {
	s := localhost(t)
	phone := s.phone()
	desk := s.browser(t)
	desk.signIn("alex")
	if p := desk.register(phone); p.status != 200 || !strings.Contains(p.body, `"name":"Go-http-client"`) && !strings.Contains(p.body, `"name":"`) {
		t.Fatalf("%d %s", p.status, p.body)
	}
	desk.open("/passkeys?done=passkey-added")
	desk.sees("Your new passkey is good.", "never used", "added <time")

	sofa := s.browser(t)
	sofa.open("/login")
	sofa.sees(`autocomplete="username webauthn"`, "Sign in with a passkey", "/assets/passkeys.")
	p := sofa.signInBy(phone)
	if p.status != 200 || strings.TrimSpace(p.body) != `{"success":true,"next":"/safety"}` || p.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s %v", p.status, p.body, p.header)
	}
	sofa.open("/passkeys")
	sofa.sees("alex@example.com", "last used <time")
	alex := entry(t, s, "alex").ID
	levels := map[session.Level]int{}
	records, err := s.store.EverySession(t.Context(), alex)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		levels[max(r.Proof.Level, 1)]++
	}
	if levels[assurance.OneFactor] != 1 || levels[assurance.TwoFactors] != 1 {
		t.Errorf("sessions by level: %v", levels)
	}
	for remember, want := range map[string]bool{"true": true, "false": false, "null": true} {
		asked := sofa.post("/api/passkeys/sign_in/options", "")
		answer := strings.Replace(answering(t, phone.Assert, []byte(asked.body)), `"next"`, `"remember":`+remember+`,"next"`, 1)
		p := sofa.post("/api/passkeys/sign_in", answer)
		if kept := strings.Contains(strings.Join(p.header.Values("Set-Cookie"), "\n"), "vedfolnir="+sofa.cookie()+"; Path=/; Max-Age="); p.status != 200 || kept != want {
			t.Errorf("remember %s: %d %q", remember, p.status, p.header.Values("Set-Cookie"))
		}
	}
	for _, next := range []string{`"https://evil.example/"`, `"//evil.example"`, `null`} {
		asked := sofa.post("/api/passkeys/sign_in/options", "")
		answer := strings.Replace(answering(t, phone.Assert, []byte(asked.body)), `"/safety"`, next, 1)
		if p := sofa.post("/api/passkeys/sign_in", answer); p.status != 200 || !strings.Contains(p.body, `"next":"/"`) {
			t.Errorf("on to %s: %d %s", next, p.status, p.body)
		}
	}
	if told := s.kinds(t, alex); !slices.Contains(told, string(notice.NewDevice)) || !slices.ContainsFunc(told, func(k string) bool { return strings.HasPrefix(k, "passkey_added ") }) {
		t.Errorf("told of %q", told)
	}
	s.notes.Wait()
	if lines := s.told(t, "passkey_added"); len(lines) != 1 || lines[0].User != alex || lines[0].By != string(alex) {
		t.Errorf("%+v", lines)
	}
}

// Whatever is wrong, the answer is the same, and the attempt is counted and audited.
func TestPasskeysThatAreRefused(t *testing.T) {
	s := localhost(t)
	phone := s.phone()
	desk := s.browser(t)
	desk.signIn("alex")
	desk.register(phone)
	robin := s.phone()
	other := s.browser(t)
	other.signIn("robin")
	other.register(robin)
	if err := s.people.Disable(t.Context(), entry(t, s, "robin").ID); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	b.open("/login")
	asked := b.post("/api/passkeys/sign_in/options", "")
	once := answering(t, phone.Assert, []byte(asked.body))
	if p := b.post("/api/passkeys/sign_in", once); p.status != 200 {
		t.Fatalf("%d %s", p.status, p.body)
	}
	b.signOut()
	bodies := map[string]string{"a second time": once}
	fresh := func(d *passkeytest.Device) string {
		return answering(t, d.Assert, []byte(b.post("/api/passkeys/sign_in/options", "").body))
	}
	bodies["of somebody who was disabled"] = fresh(robin)
	bodies["that nobody has"] = fresh(s.phone())
	evil := *phone
	evil.At.Origin = "https://evil.example"
	bodies["from another site"] = fresh(&evil)
	unverified := *phone
	unverified.Model.Options.UserNotVerified = true
	bodies["without finger, face or PIN"] = fresh(&unverified)
	stranger := s.browser(t)
	stranger.open("/login")
	bodies["of another browser"] = answering(t, phone.Assert, []byte(stranger.post("/api/passkeys/sign_in/options", "").body))
	bodies["nothing"], bodies["no JSON"], bodies["an array"] = "{}", "{", "[]"
	said := map[string]bool{}
	for what, body := range bodies {
		p := b.post("/api/passkeys/sign_in", body)
		if p.status != 401 || !strings.Contains(p.body, `"INVALID_CREDENTIALS"`) || b.cookie() != "" {
			t.Errorf("%s: %d %s", what, p.status, p.body)
		}
		said[timed.ReplaceAllString(p.body, "")] = true
	}
	if len(said) != 1 {
		t.Errorf("the answers differ: %v", said)
	}
	if p := b.signInBy(phone); p.status != 200 {
		t.Errorf("the honest one: %d %s", p.status, p.body)
	}
	s.notes.Wait()
	if lines := s.told(t, "sign_in_refused"); len(lines) != len(bodies) {
		t.Errorf("%d lines of %d refusals", len(lines), len(bodies))
	}
}

// Attempts with a passkey are under the limits, and have none of the password's.
func TestPasskeysAreUnderTheLimits(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	phone := s.phone()
	desk := s.browser(t)
	desk.signIn("alex")
	desk.register(phone)
	b := s.browser(t)
	forged := *phone
	forged.Model.Options.UserNotVerified = true
	for range perAccount {
		b.tryIn("alex", "wrong")
	}
	for range perAccount {
		if p := b.signInBy(&forged); p.status != 401 {
			t.Fatalf("after wrong passwords: %d %s", p.status, p.body)
		}
	}
	p := b.signInBy(phone)
	if p.status != http.StatusTooManyRequests {
		t.Errorf("one more: %d %s", p.status, p.body)
	}
	retryAfter(t, p)
	desk.signOut()
	if p := desk.signInBy(phone); p.status != 200 {
		t.Errorf("on a known device: %d %s", p.status, p.body)
	}
}

func TestRemovingAPasskeyEndsTheOthersAndRotatesThisOne(t *testing.T) {
	s := localhost(t)
	phone, key := s.phone(), s.phone()
	desk, sofa, sam := s.browser(t), s.browser(t), s.browser(t)
	desk.signIn("alex")
	sam.signIn("sam")
	for _, d := range []*passkeytest.Device{phone, key} {
		if p := desk.register(d); p.status != 200 {
			t.Fatalf("%d %s", p.status, p.body)
		}
	}
	if p := desk.register(phone); p.status != 409 {
		t.Errorf("the same again: %d %s", p.status, p.body)
	}
	sofa.open("/login")
	sofa.signInBy(phone)
	id := encodedID(phone.Key.ID)

	sam.open("/passkeys")
	sam.submit("Make recovery codes")
	for path, fields := range map[string][]string{"rename": {"name", "Mine"}, "remove": nil} {
		body := url.Values{"passkey": {id}, "csrf_token": {sam.token()}}
		if fields != nil {
			body.Set(fields[0], fields[1])
		}
		if p := sam.do("POST", "/passkeys/"+path, strings.NewReader(body.Encode()), "Content-Type", "application/x-www-form-urlencoded"); p.status != 404 {
			t.Errorf("%s somebody else's: %d", path, p.status)
		}
	}
	desk.open("/passkeys")
	if p := desk.submit(`value="`+id+`"`, "name", ""); p.status != 422 {
		t.Errorf("no name: %d", p.status)
	}
	desk.open("/passkeys")
	desk.submit(`value="`+id+`"`, "name", "Old <phone>")
	desk.sees("The passkey has its new name.", "Old &lt;phone&gt;")
	before := desk.cookie()
	if p := desk.submit("Remove Old", "passkey", id); p.status != 200 || p.path != "/passkeys" {
		t.Fatalf("%d at %s", p.status, p.path)
	}
	desk.sees("The passkey is removed, and all your other sessions have ended.")
	if desk.cookie() == before || desk.cookie() == "" {
		t.Error("the session has the token that it had")
	}
	if !sofa.signedOut() || sam.signedOut() {
		t.Error("alex's other session lives, or sam's does not")
	}
	if p := sofa.signInBy(phone); p.status != 401 {
		t.Errorf("the one that was removed: %d %s", p.status, p.body)
	}
	if p := sofa.signInBy(key); p.status != 200 {
		t.Errorf("the other one: %d %s", p.status, p.body)
	}
	alex := entry(t, s, "alex").ID
	if told := s.kinds(t, alex); !slices.Contains(told, "passkey_removed Old <phone>") {
		t.Errorf("told of %q", told)
	}
	if _, err := s.store.DB().ExecContext(t.Context(), `UPDATE directory_people SET password = '' WHERE username = 'alex'`); err != nil {
		t.Fatal(err)
	}
	sofa.open("/passkeys")
	if p := sofa.submit("Remove "); p.status != 409 {
		t.Errorf("the last way in: %d", p.status)
	}
	sofa.sees("It is your only way to sign in.")
}

func TestARecoveryCodeSetsANewPassword(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	desk, other := s.browser(t), s.browser(t)
	desk.signIn("alex")
	desk.open("/passkeys")
	if p := desk.submit("Make recovery codes"); p.status != 200 || p.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", p.status, p.header)
	}
	codes := shownCodes.FindAllString(desk.page.body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes on\n%s", len(codes), desk.page.body)
	}
	desk.open("/passkeys")
	desk.sees("10 of 10 are left")
	use := func(name, code, password, again string) page {
		other.open("/recover")
		return other.submit("Set it and sign in", "username", name, "code", code, "password", password, "again", again)
	}
	for what, c := range map[string]struct {
		name, code, password, again string
		status                      int
	}{
		"two that differ": {"alex", codes[0], newPassword, newPassword + "!", 422},
		"a common one":    {"alex", codes[0], "passwordpassword", "passwordpassword", 422},
		"another's code":  {"sam", codes[0], newPassword, newPassword, 403},
		"nobody's code":   {"none", codes[0], newPassword, newPassword, 403},
		"no code":         {"alex", "", newPassword, newPassword, 403},
		"a wrong code":    {"alex", "0000-0000-0000-0000-0000-0000", newPassword, newPassword, 403},
	} {
		if p := use(c.name, c.code, c.password, c.again); p.status != c.status || p.path != "/recover" {
			t.Errorf("%s: %d at %s", what, p.status, p.path)
		}
		if strings.Contains(other.page.body, codes[0]) || strings.Contains(other.page.body, newPassword) {
			t.Errorf("%s: the page shows a secret again", what)
		}
	}
	if desk.signedOut() {
		t.Error("what was refused did something")
	}
	if p := use("alex@example.com", strings.ToUpper(codes[0]), newPassword, newPassword); p.status != 200 || p.path != "/passkeys" {
		t.Fatalf("%d at %s\n%s", p.status, p.path, p.body)
	}
	other.sees("Your new password is set, and all your other sessions have ended.", "9 of 10 are left")
	if !desk.signedOut() {
		t.Error("the old session lives")
	}
	if p := desk.tryIn("alex", newPassword); p.status != 200 {
		t.Errorf("the new password: %d", p.status)
	}
	if p := use("alex", codes[0], newPassword+" x", newPassword+" x"); p.status != 403 {
		t.Errorf("the code again: %d", p.status)
	}
	alex := entry(t, s.site, "alex").ID
	told := s.kinds(t, alex)
	for _, want := range []string{"recovery_code_used 9", "password_changed", "recovery_codes_new", "failed_attempts"} {
		if !slices.Contains(told, want) {
			t.Errorf("nothing of %s among %q", want, told)
		}
	}
	s.notes.Wait()
	for _, action := range []string{"recovery_codes_made", "recovery_code_used", "password_set"} {
		if lines := s.told(t, action); len(lines) != 1 || lines[0].By != string(alex) {
			t.Errorf("%s: %+v", action, lines)
		}
	}
	log := s.log.String()
	for _, code := range codes {
		if strings.Contains(log, code) {
			t.Error("a code is in the log")
		}
	}
	// It is guessed no further than a password.
	stranger := s.browser(t)
	for range 2 * perAccount {
		stranger.open("/recover")
		stranger.submit("Set it and sign in", "username", "sam", "code", "0000", "password", newPassword, "again", newPassword)
	}
	if stranger.page.status != http.StatusTooManyRequests {
		t.Errorf("after so many: %d", stranger.page.status)
	}
	retryAfter(t, stranger.page)
}

// Where browsers would have no passkeys, none is offered, and the way there is shown.
func TestPasskeysAreOfferedWhereTheyWork(t *testing.T) {
	s := demo(t)
	there := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	b := s.browser(t)
	b.open("/login")
	b.sees(`autocomplete="username"`, `<a href="`+there+`/login">`)
	if strings.Contains(b.page.body, "Sign in with a passkey") {
		t.Error("a passkey is offered at an address without a name")
	}
	b.signIn("alex")
	b.open("/passkeys")
	b.sees(`<a href="` + there + `/passkeys">`)
	for _, path := range []string{"/api/passkeys/options", "/api/passkeys/sign_in/options"} {
		if p := b.post(path, ""); p.status != 403 {
			t.Errorf("%s: %d %s", path, p.status, p.body)
		}
	}
	settings := inFolder(t.TempDir(), true)
	settings.Origin = "https://accounts.example.org"
	named := start(t, settings, 0)
	for host, offered := range map[string]bool{"accounts.example.org": true, "Accounts.example.org": true, "localhost": false, "evil.example": false} {
		r, _ := http.NewRequest("GET", "https://"+host+"/login", nil)
		here, elsewhere := named.App.site(r)
		if (here.Name != "") != offered || (elsewhere == "") != offered {
			t.Errorf("%s: here %+v, elsewhere %q", host, here, elsewhere)
		}
	}
}

// prove sends what the dialog does: the passkey's answer to the options that it got.
func (b *browser) prove(d *passkeytest.Device) page {
	b.t.Helper()
	asked := b.post("/api/session/reauth/options", "{}")
	var options struct{ Passkey json.RawMessage }
	if err := json.Unmarshal([]byte(asked.body), &options); err != nil || options.Passkey == nil {
		b.t.Fatalf("%v: %s", err, asked.body)
	}
	credential, err := d.Assert(options.Passkey)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.post("/api/session/reauth", `{"passkey":`+credential+`}`)
}

func TestAPasskeyProvesAnewWhoSomebodyIs(t *testing.T) {
	s := localhost(t)
	phone, others := s.phone(), s.phone()
	desk, sam := s.browser(t), s.browser(t)
	desk.signIn("alex")
	sam.signIn("sam")
	sam.register(others)
	methods := func() string {
		var said struct{ Methods []string }
		if err := json.Unmarshal([]byte(desk.post("/api/session/reauth/options", "{}").body), &said); err != nil || said.Methods == nil {
			t.Fatal(desk.page.body, err)
		}
		return strings.Join(said.Methods, " ")
	}
	if got := methods(); got != "password" {
		t.Errorf("without a passkey: %q", got)
	}
	desk.register(phone)
	if got := methods(); got != "passkey password" {
		t.Errorf("with one: %q", got)
	}
	before := desk.cookie()
	p := desk.prove(phone)
	if p.status != 200 || !strings.Contains(p.body, `"level":2`) || !strings.Contains(p.body, `"username":"alex"`) || desk.cookie() == before {
		t.Errorf("%d %s", p.status, p.body)
	}
	alex := entry(t, s, "alex").ID
	if list, err := s.manager.List(t.Context(), alex); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v: none is left over", len(list), err)
	}
	for what, d := range map[string]*passkeytest.Device{"somebody else's": others, "one that nobody has": s.phone()} {
		before := desk.cookie()
		if p := desk.prove(d); p.status != 401 || !strings.Contains(p.body, "INVALID_CREDENTIALS") || desk.cookie() != before {
			t.Errorf("%s: %d %s", what, p.status, p.body)
		}
	}
	// An answer for a sign-in proves nothing here, and one from here does not sign in.
	signing := strings.Replace(answering(t, phone.Assert, []byte(desk.post("/api/passkeys/sign_in/options", "").body)), `,"next":"/safety"`, "", 1)
	if p := desk.post("/api/session/reauth", signing); p.status != 401 {
		t.Errorf("an answer to sign in by: %d %s", p.status, p.body)
	}
	if _, err := s.store.DB().ExecContext(t.Context(), `UPDATE directory_people SET password = '' WHERE username = 'alex'`); err != nil {
		t.Fatal(err)
	}
	if got := methods(); got != "passkey" {
		t.Errorf("without a password: %q", got)
	}
	if _, err := s.store.DB().ExecContext(t.Context(), `UPDATE directory_passkeys SET site = 'old.example'`); err != nil {
		t.Fatal(err)
	}
	if got := methods(); got != "" {
		t.Errorf("with one of another name only: %q", got)
	}
}

// Whoever finds somebody's browser open adds nothing to it that lasts, and takes
// nothing away.
func TestPasskeysAndCodesWantAFreshProof(t *testing.T) {
	s := limitedIn(t, t.TempDir(), nil)
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	phone, another := s.phone(), s.phone()
	b := s.browser(t)
	b.signIn("alex")
	b.register(phone)
	s.ahead.Add(int64(time.Hour))
	alex := entry(t, s.site, "alex").ID
	for _, path := range []string{"/api/passkeys/options", "/api/passkeys", "/passkeys/rename", "/passkeys/remove", "/recovery-codes"} {
		if p := b.post(path, "{}"); p.status != 403 || !strings.Contains(p.body, `"REAUTH_REQUIRED"`) {
			t.Errorf("%s: %d %s", path, p.status, p.body)
		}
	}
	b.open("/passkeys")
	b.submit("Remove ")
	if b.page.path != "/reauth" {
		t.Errorf("a form leads to %s", b.page.path)
	}
	b.sees("Confirm that it is you", "Use a passkey")
	if list, err := s.people.Passkeys(t.Context(), alex); err != nil || len(list) != 1 {
		t.Errorf("%d passkeys, %v", len(list), err)
	}
	if p := b.prove(phone); p.status != 200 {
		t.Fatalf("%d %s", p.status, p.body)
	}
	if p := b.register(another); p.status != 200 {
		t.Errorf("after a proof: %d %s", p.status, p.body)
	}
}

func TestAPasskeyThatCountsBackIsTold(t *testing.T) {
	s := localhost(t)
	phone := s.phone()
	b := s.browser(t)
	b.signIn("alex")
	b.register(phone)
	for _, counter := range []uint32{6, 2} { // it counts before it answers
		phone.Key.Counter = counter
		if p := b.signInBy(phone); p.status != 200 {
			t.Errorf("from %d on: %d %s", counter, p.status, p.body)
		}
	}
	alex := entry(t, s, "alex").ID
	told := slices.DeleteFunc(s.kinds(t, alex), func(kind string) bool { return !strings.HasPrefix(kind, "passkey_suspected ") })
	if len(told) != 1 || !strings.Contains(s.log.String(), "a passkey's counter went back") {
		t.Errorf("told of %q", told)
	}
	if list, err := s.people.Passkeys(t.Context(), alex); err != nil || list[0].SignCount != 7 {
		t.Errorf("%+v, %v", list, err)
	}
}
