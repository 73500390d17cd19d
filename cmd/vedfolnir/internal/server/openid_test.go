package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid/openidtest"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/personal"
)

type claims = openidtest.Map

// withProvider is a demo beside a provider. edit may change how it uses that.
func withProvider(t *testing.T, edit func(*config.Settings, *openidtest.Provider)) (*site, *openidtest.Provider) {
	t.Helper()
	p := openidtest.Start(t)
	settings := config.Settings{Demo: true, Loopback: true, Plain: true, Database: withPeople(t)}
	server := httptest.NewUnstartedServer(nil)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	settings.Origin = "http://localhost:" + port
	p.Redirect = settings.Origin + config.OpenIDCallbackPath
	settings.OpenID = config.OpenID{
		Client: openid.Config{
			Issuer: p.URL, ClientID: openidtest.ClientID, Secret: openid.NewSecret(openidtest.Secret), RedirectURI: p.Redirect,
			Scopes: []string{"profile", "email"}, Claims: openid.Claims{Name: "preferred_username", Email: "email", Until: "session_expires_at"},
		},
		Name: "Example", Strong: []string{"mfa"}, Create: true,
	}
	if edit != nil {
		edit(&settings, p)
	}
	j := &journal{}
	app, err := New(t.Context(), settings, "test", slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = app.handler
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{app, settings.Origin, j}, p
}

// leave asks to be sent to the provider, and returns where that is.
func (b *browser) leave(button string) string {
	b.t.Helper()
	p := b.submit(button)
	address, ok := strings.CutPrefix(p.header.Get("Refresh"), "0;url=")
	if p.status != 200 || !ok {
		b.t.Fatalf("%d at %s, Refresh %q:\n%s", p.status, p.path, p.header.Get("Refresh"), p.body)
	}
	return address
}

// goTo an address of another server, and on to wherever that sends.
func (b *browser) goTo(address string) page {
	b.t.Helper()
	own := b.url
	b.url = ""
	defer func() { b.url = own }()
	return b.do("GET", address, nil, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site")
}

// signInThere goes the whole way.
func (b *browser) signInThere() page {
	b.t.Helper()
	b.open("/login")
	return b.goTo(b.leave("Sign in with Example"))
}

// answerOf the provider, which the person does not open.
func (b *browser) answerOf(address string) string {
	b.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	w, err := client.Get(address)
	if err != nil {
		b.t.Fatal(err)
	}
	defer w.Body.Close()
	return w.Header.Get("Location")
}

func TestSomebodyNewSignsInThroughAProvider(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	b := s.browser(t)
	if b.open("/password?a=b"); b.page.path != "/login" {
		t.Fatal(b.page.path)
	}
	b.sees("Sign in with Example")
	if page := b.goTo(b.leave("Sign in with Example")); page.status != 200 || page.path != "/password" {
		t.Fatalf("%d at %s:\n%s", page.status, page.path, page.body)
	}
	b.sees("kim@example.org")
	kim := entry(t, s, "kim")
	if kim.Role != directory.Ordinary || kim.Email != "kim@example.org" {
		t.Errorf("%+v", kim)
	}
	// Once more, under another name and address there: it is the same person.
	p.Claims["preferred_username"], p.Claims["email"] = "kimberly", "kimberly@example.org"
	again := s.browser(t)
	if page := again.signInThere(); page.path != "/" {
		t.Fatalf("%d at %s:\n%s", page.status, page.path, page.body)
	}
	again.sees("kim@example.org", "Linked accounts")
	// And who is somebody else there is somebody else here, whatever they are called.
	p.Claims["sub"] = "another"
	other := s.browser(t)
	if page := other.signInThere(); page.path != "/" {
		t.Fatalf("%d at %s:\n%s", page.status, page.path, page.body)
	}
	other.sees("kimberly@example.org")
	p.Claims["sub"], p.Claims["email"] = "a third", "third@example.org"
	third := s.browser(t)
	third.signInThere()
	if third.page.path != "/" || !regexp.MustCompile(`kimberly-[a-z0-9]{6}`).MatchString(third.page.body) {
		t.Errorf("a name that is taken: %d at %s", third.page.status, third.page.path)
	}
	for _, secret := range []string{openidtest.Secret, url.QueryEscape(openidtest.Secret), "code=", "the-provider's-session"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// Who is not let in, and what they are told.
func TestWhoAProviderDoesNotBringIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(*config.Settings, *openidtest.Provider)
		status int
		says   string
	}{
		"who said no":              {func(_ *config.Settings, p *openidtest.Provider) { p.Error = "access_denied" }, 403, "said no"},
		"another refusal":          {func(_ *config.Settings, p *openidtest.Provider) { p.Error = "server_error" }, 403, "did not want to"},
		"nobody knows":             {func(s *config.Settings, _ *openidtest.Provider) { s.OpenID.Create = false }, 403, "no account here is linked"},
		"no address":               {func(_ *config.Settings, p *openidtest.Provider) { delete(p.Claims, "email") }, 403, "is not enough"},
		"an address in doubt":      {func(_ *config.Settings, p *openidtest.Provider) { p.Claims["email_verified"] = false }, 403, "is not enough"},
		"an address that is taken": {func(_ *config.Settings, p *openidtest.Provider) { p.Claims["email"] = "Alex@example.com" }, 403, "somebody here has"},
		"no name at all": {func(_ *config.Settings, p *openidtest.Provider) {
			p.Claims["preferred_username"], p.Claims["email"] = "†", "†@example.org"
		}, 403, "is not enough"},
		"a wrong nonce": {func(_ *config.Settings, p *openidtest.Provider) { p.Claims["nonce"] = "other" }, 401, "was not believed"},
		"a wrong signature": {func(_ *config.Settings, p *openidtest.Provider) {
			p.Token = func(c claims) string { return openidtest.Unsigned(c) }
		}, 401, "was not believed"},
		"a session that ends": {func(_ *config.Settings, p *openidtest.Provider) {
			p.Claims["session_expires_at"] = time.Now().Add(-time.Minute).Unix()
		}, 403, "is over"},
		"tokens that do not come": {func(_ *config.Settings, p *openidtest.Provider) {
			p.Instead["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
		}, 503, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := withProvider(t, c.set)
			people, err := s.people.People(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b := s.browser(t)
			page := b.signInThere()
			if page.status != c.status || page.path != config.OpenIDCallbackPath {
				t.Errorf("%d at %s", page.status, page.path)
			}
			b.sees(c.says, "If you report it, name this request: <code>"+page.header.Get("X-Request-Id"))
			if strings.Contains(page.body, "words of the provider") {
				t.Error("the page shows what the provider wrote")
			}
			if !strings.Contains(s.log.String(), page.header.Get("X-Request-Id")) {
				t.Error("the log does not know that request")
			}
			if b.cookie() != "" || !b.signedOut() {
				t.Error("they are signed in")
			}
			if n, err := s.people.People(t.Context()); err != nil || n != people {
				t.Errorf("%d people, %v", n, err)
			}
			if c.status == 401 && !strings.Contains(s.log.String(), "sign_in_refused") {
				t.Error("the attempt has no audit line")
			}
		})
	}
}

// Only the browser in which a person asked for it gets a session, once, and nobody
// else can make it.
func TestAnAnswerIsGoodInOneBrowserOnce(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	attacker, victim := s.browser(t), s.browser(t)
	refused := func(what string, b *browser) {
		t.Helper()
		if b.page.status != 400 || b.cookie() != "" {
			t.Errorf("%s: %d, cookie %q", what, b.page.status, b.cookie())
		}
	}
	// Login CSRF: a link with the attacker's own answer.
	attacker.open("/login")
	answer := attacker.answerOf(attacker.leave("Sign in with Example"))
	victim.goTo(answer)
	refused("a stranger's answer", victim)
	// The same, while the victim is on the way too.
	victim.open("/login")
	way := victim.leave("Sign in with Example")
	victim.goTo(answer)
	refused("a stranger's answer on the way", victim)
	victim.goTo(victim.answerOf(way)) // that took the cookie with it
	refused("their own, after it", victim)
	// What is no page that a person opens.
	attacker.open("/login")
	answer = attacker.answerOf(attacker.leave("Sign in with Example"))
	path := strings.TrimPrefix(answer, s.url)
	for _, headers := range [][]string{{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, {"Sec-Purpose", "prefetch"}} {
		attacker.do("GET", path, nil, headers...)
		refused(fmt.Sprint(headers), attacker)
	}
	attacker.do("HEAD", path, nil)
	refused("HEAD", attacker)
	if p.Requests("/token") > 0 {
		t.Error("a code was sent on for nothing")
	}
	// By the person themselves it is good, and a copy of the cookie is not.
	u, _ := url.Parse(s.url)
	var copied []*http.Cookie
	for _, c := range attacker.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, tripCookie) {
			copied = append(copied, c)
		}
	}
	if page := attacker.goTo(answer); page.status != 200 || page.path != "/" {
		t.Fatalf("%d at %s", page.status, page.path)
	}
	thief := s.browser(t)
	thief.client.Jar.SetCookies(u, copied)
	thief.goTo(answer)
	if len(copied) != 1 || p.Requests("/token") != 1 {
		t.Errorf("%d cookies, %d codes", len(copied), p.Requests("/token"))
	}
	refused("a copy of the cookie", thief)
	// A seal that was tampered with.
	bent := *copied[0]
	bent.Value = bent.Value[:20] + "AAAA" + bent.Value[24:]
	thief.client.Jar.SetCookies(u, []*http.Cookie{&bent})
	thief.goTo(answer)
	refused("a bent seal", thief)
	// And nothing begins without the page's own form.
	for _, token := range []string{"", "bad"} {
		b := s.browser(t)
		b.open("/login")
		if b.submit("Sign in with Example", "csrf_token", token); b.page.status != 403 || b.page.header.Get("Refresh") != "" {
			t.Errorf("with the token %q: %d", token, b.page.status)
		}
	}
}

func TestAMixUpIsSeen(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, func(_ *config.Settings, p *openidtest.Provider) { p.SaysIss = true })
	b := s.browser(t)
	b.open("/login")
	answer := b.answerOf(b.leave("Sign in with Example"))
	b.goTo(strings.Replace(answer, "iss=", "iss=https%3A%2F%2Fother.example&was=", 1))
	if b.page.status != 401 || b.cookie() != "" || p.Requests("/token") > 0 {
		t.Errorf("%d, %d codes sent on", b.page.status, p.Requests("/token"))
	}
	if page := b.signInThere(); page.path != "/" {
		t.Errorf("and then: %d at %s", page.status, page.path)
	}
}

// Whoever guesses runs out of attempts, and a person who is let in uses up none.
func TestAnswersAreLimited(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, func(c *config.Settings, _ *openidtest.Provider) { c.AttemptsPerAddress = 3 })
	for range 5 {
		if page := s.browser(t).signInThere(); page.path != "/" {
			t.Fatalf("%d at %s", page.status, page.path)
		}
	}
	b := s.browser(t)
	for i := range 5 {
		b.open("/login")
		answer, err := url.Parse(b.answerOf(b.leave("Sign in with Example")))
		if err != nil {
			t.Fatal(err)
		}
		q := answer.Query()
		q.Set("code", "guessed")
		answer.RawQuery = q.Encode()
		want := http.StatusUnauthorized
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if b.goTo(answer.String()); b.page.status != want || want == 429 && b.page.header.Get("Retry-After") == "" {
			t.Errorf("guess %d: %d", i, b.page.status)
		}
	}
}

func TestAProviderThatIsAway(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, func(_ *config.Settings, p *openidtest.Provider) {
		p.Instead["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	})
	b := s.browser(t)
	b.open("/login?next=/password")
	if strings.Contains(b.page.body, "did not answer") {
		t.Error("nobody has asked it yet")
	}
	if b.submit("Sign in with Example"); b.page.status != 503 || b.page.header.Get("Retry-After") == "" {
		t.Errorf("%d", b.page.status)
	}
	b.sees("Example does not answer just now", `name="next" value="/password"`)
	b.open("/login")
	b.sees("Example did not answer a moment ago")
	b.signIn("alex") // as before
	delete(p.Instead, "/.well-known/openid-configuration")
	for patience := time.Now().Add(10 * time.Second); ; {
		other := s.browser(t)
		other.open("/login")
		if other.submit("Sign in with Example"); other.page.status == 200 {
			break
		}
		if time.Now().After(patience) {
			t.Fatal("it is back, and nobody notices")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Signing in over a live session ends that one, whosever it is.
func TestSigningInThereEndsTheSessionThatWas(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, nil)
	b := s.browser(t)
	b.open("/login")
	way := b.leave("Sign in with Example")
	b.signIn("alex")
	before := b.cookie()
	if page := b.goTo(way); page.path != "/" || b.cookie() == before {
		t.Fatalf("%d at %s", page.status, page.path)
	}
	b.sees("kim@example.org")
	token, err := session.ParseToken(before)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.manager.Get(t.Context(), token.ID())
	if reason, ended := session.Ended(err); !ended || reason != session.SignedOut {
		t.Errorf("the old one: %v", err)
	}
}

// The session's limits follow the provider's, and the cookie goes with the browser.
func TestLimitsFollowTheProvider(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(30 * time.Minute).Truncate(time.Second).UTC()
	s, p := withProvider(t, func(c *config.Settings, p *openidtest.Provider) {
		p.Claims["session_expires_at"] = end.Unix()
	})
	b := s.browser(t)
	b.signInThere()
	token, err := session.ParseToken(b.cookie())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.manager.Get(t.Context(), token.ID())
	if err != nil || !c.Session.Limits.Until.Equal(end) || c.Deadlines().Expiry().After(end) || c.Session.Persistent {
		t.Errorf("%+v until %v, %v", c.Session.Limits, c.Deadlines().Expiry(), err)
	}
	proof := func(b *browser) assurance.Proof {
		t.Helper()
		token, err := session.ParseToken(b.cookie())
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.store.Get(t.Context(), token.ID())
		if err != nil {
			t.Fatal(err)
		}
		return r.Proof
	}
	proved := time.Now().Add(-time.Hour).Truncate(time.Second)
	p.Claims["auth_time"], p.Claims["amr"] = proved.Unix(), []string{"pwd", "mfa"}
	strong := s.browser(t)
	strong.signInThere()
	if got := proof(strong); !got.At.Equal(proved) || got.Level != assurance.TwoFactors {
		t.Errorf("what was proved there an hour ago counts as %+v", got)
	}
	if got := proof(b); time.Since(got.At) > 10*time.Minute || got.Level != assurance.OneFactor {
		t.Errorf("what was proved just now counts as %+v", got)
	}
	delete(p.Claims, "session_expires_at")
	p.Claims["auth_time"] = nil
	silent := s.browser(t)
	silent.signInThere()
	if got := proof(silent); time.Since(got.At) < 24*time.Hour {
		t.Errorf("what was proved there, nobody says when, counts as %+v", got)
	}
	if silent.open("/reauth?next=/safety"); silent.page.path != "/reauth" {
		t.Errorf("and as recent: %d at %s", silent.page.status, silent.page.path)
	}
	if silent.goTo(silent.leave("Confirm with Example")); silent.page.status != 403 || !strings.Contains(s.log.String(), "auth_time") {
		t.Errorf("and so does a new proof of no known time: %d at %s", silent.page.status, silent.page.path)
	}
	silent.sees("Example does not say when you last proved there who you are")
	s.notes.Wait()
	if lines := s.told(t, "sign_in_refused"); len(lines) > 0 {
		t.Errorf("it counts as a failed attempt: %+v", lines)
	}
	delete(p.Claims, "auth_time")
	other := s.browser(t)
	other.signInThere()
	if token, err = session.ParseToken(other.cookie()); err != nil {
		t.Fatal(err)
	}
	if c, err = s.manager.Get(t.Context(), token.ID()); err != nil || c.Session.Limits.Until.Before(end.Add(time.Hour)) {
		t.Errorf("%+v, %v", c.Session.Limits, err)
	}
}

func TestAPersonLinksThemselves(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, func(c *config.Settings, _ *openidtest.Provider) { c.OpenID.Create = false })
	desk, phone := s.browser(t), s.browser(t)
	desk.signIn("alex")
	phone.signIn("alex")
	desk.open("/")
	if page := desk.goTo(desk.leave("Link Example")); page.path != "/" {
		t.Fatalf("%d at %s:\n%s", page.status, page.path, page.body)
	}
	desk.sees("It is linked", "Remove the link to Example")
	if strings.Contains(desk.page.body, "Link Example") {
		t.Error("it can be linked once more")
	}
	desk.open("/safety")
	desk.sees("An account was linked")
	other := s.browser(t)
	if page := other.signInThere(); page.path != "/" {
		t.Fatalf("%d at %s", page.status, page.path)
	}
	other.sees("alex@example.com")
	// Another person cannot have it, nor can alex be two there.
	sam := s.browser(t)
	sam.signIn("sam")
	sam.open("/")
	if sam.goTo(sam.leave("Link Example")); sam.page.status != 409 {
		t.Errorf("linked to two: %d", sam.page.status)
	}
	// The session that asked has to be the one that is linked.
	p.Claims["sub"] = "sam there"
	sam.open("/")
	way := sam.leave("Link Example")
	sam.open("/")
	sam.submit("Sign out")
	sam.signIn("robin")
	if sam.goTo(way); sam.page.status != 403 {
		t.Errorf("linked to who signed in meanwhile: %d", sam.page.status)
	}
	sam.sees("Nothing was changed")
	for _, name := range []string{"sam", "robin"} {
		if links, err := s.people.Links(t.Context(), entry(t, s, name).ID); err != nil || len(links) > 0 {
			t.Errorf("%s: %v, %v", name, links, err)
		}
	}
	// Nobody removes another's; its owner does, and whoever came in by it is out.
	alex := entry(t, s, "alex").ID
	links, err := s.people.Links(t.Context(), alex)
	if err != nil || len(links) != 1 {
		t.Fatal(links, err)
	}
	desk.open("/")
	form := regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)
	sam.open("/")
	stolen := url.Values{"csrf_token": {form.FindStringSubmatch(sam.page.body)[1]}, "issuer": {links[0].Issuer}, "subject": {links[0].Subject}}
	if sam.do("POST", "/openid/unlink", strings.NewReader(stolen.Encode()), "Content-Type", "application/x-www-form-urlencoded"); sam.page.status != 403 {
		t.Errorf("another's link: %d", sam.page.status)
	}
	if desk.submit("Remove the link to Example"); desk.page.status != 200 {
		t.Errorf("%d", desk.page.status)
	}
	desk.sees("The link is removed")
	if !phone.signedOut() || !other.signedOut() || desk.signedOut() {
		t.Error("the others live, or this one does not")
	}
	p.Claims["sub"] = "kim-at-the-provider"
	if gone := s.browser(t); gone.signInThere().status != 403 {
		t.Errorf("it still opens: %d", gone.page.status)
	}
}

// A person has what is kept of them, and an erased one leaves nothing.
func TestTheExportTellsOfTheProvider(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	b := s.browser(t)
	b.signInThere()
	b.open(exportPath)
	b.sees(`"issuer": "`+p.URL, `"subject": "kim-at-the-provider"`, `"sid": "the-provider's-session"`, `"linked_at": "2`, `"last_used": "2`)
	kim := entry(t, s, "kim").ID
	if _, err := personal.Erase(t.Context(), s.people, s.store.Store, s.manager, kim, audit.Operator); err != nil {
		t.Fatal(err)
	}
	data, err := personal.Gather(t.Context(), s.people, s.store.Store, kim, s.manager.Now())
	if err != nil || len(data.Links) > 0 {
		t.Errorf("%+v, %v", data.Links, err)
	}
	for _, table := range []string{"directory_openid_links", "directory_openid_sessions"} {
		var n int
		if err := s.store.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n > 0 {
			t.Errorf("%s: %d rows, %v", table, n, err)
		}
	}
}

func TestTheLastWayInStays(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, nil)
	b := s.browser(t)
	b.signInThere()
	if b.submit("Remove the link to Example"); b.page.status != 409 {
		t.Errorf("%d", b.page.status)
	}
	b.sees("This is your only way in")
	if b.signedOut() {
		t.Error("signed out")
	}
}

// Whoever has no password here is told so, and where else to look; whoever has both is
// told of both.
func TestAPersonIsToldWhereTheirPasswordIs(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	kim := s.browser(t)
	kim.signInThere()
	kim.open("/password")
	kim.sees("You have no password here", "You sign in through Example", `href="/recover"`)
	if strings.Contains(kim.page.body, `type="password"`) {
		t.Error("it asks for a password that there is not")
	}
	kim.open("/safety")
	kim.sees("See to your account at Example.", `href="/#linked"`)
	if strings.Contains(kim.page.body, "Change your password.") {
		t.Error("it leads to a password that there is not")
	}
	// A form that is sent all the same changes nothing, and is told why.
	form := regexp.MustCompile(`name="csrf_token" value="([^"]*)"`).FindStringSubmatch(kim.page.body)[1]
	fields := url.Values{"csrf_token": {form}, "current": {""}, "password": {"a few words that fit"}, "again": {"a few words that fit"}}
	if kim.do("POST", "/password", strings.NewReader(fields.Encode()), "Content-Type", "application/x-www-form-urlencoded"); kim.page.status != 403 {
		t.Errorf("%d", kim.page.status)
	}
	kim.sees("You have no password here", "Nothing was changed.")
	// What the page says can be done, can.
	kim.open("/passkeys")
	kim.submit("Make recovery codes")
	code := regexp.MustCompile(`<li><code>([^<]*)`).FindStringSubmatch(kim.page.body)[1]
	kim.open("/recover")
	if kim.submit("Recovery code", "username", "kim", "code", code, "password", "a few words that fit", "again", "a few words that fit"); kim.page.status != 200 {
		t.Fatalf("%d at %s", kim.page.status, kim.page.path)
	}
	kim.open("/password")
	kim.sees("Current password")
	kim.open("/safety")
	kim.sees("Change your password.", "See to your account at Example.")

	p.Claims["sub"] = "alex there"
	alex := s.browser(t)
	alex.signIn("alex")
	alex.open("/safety")
	alex.sees("Change your password.")
	if strings.Contains(alex.page.body, "See to your account") {
		t.Error("alex is linked to nobody")
	}
}

// Nobody is sent to a provider to confirm who they are at which they are nobody.
func TestWhoIsLinkedConfirmsThere(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, func(c *config.Settings, _ *openidtest.Provider) { c.ReauthAfter = time.Nanosecond })
	kim, alex := s.browser(t), s.browser(t)
	kim.signInThere()
	kim.open("/reauth")
	kim.sees("Confirm with Example")
	alex.signIn("alex")
	alex.open("/reauth")
	alex.sees("Confirm that it is you", `type="password"`)
	if strings.Contains(alex.page.body, "Confirm with Example") {
		t.Error("alex is nobody there")
	}
}

// An address opens an account only if the operator has said so, and the provider that
// it is theirs.
func TestAnAddressIsNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		match    bool
		verified any
		in       bool
	}{
		"declared and verified":     {true, true, true},
		"declared, in doubt":        {true, false, false},
		"declared, nothing is said": {true, nil, false},
		"not declared":              {false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := withProvider(t, func(s *config.Settings, p *openidtest.Provider) {
				s.OpenID.MatchEmail = c.match
				p.Claims = claims{"sub": "x", "preferred_username": "sam", "email": "ALEX@example.com"}
				if c.verified != nil {
					p.Claims["email_verified"] = c.verified
				}
			})
			b := s.browser(t)
			page := b.signInThere()
			if in := page.path == "/" && strings.Contains(page.body, "alex@example.com"); in != c.in {
				t.Errorf("%d at %s", page.status, page.path)
			}
			if !c.in {
				return
			}
			p.Claims["email"], p.Claims["email_verified"] = "other@example.org", false
			if b = s.browser(t); !strings.Contains(b.signInThere().body, "alex@example.com") {
				t.Error("the address decides the second time too")
			}
		})
	}
}

// Where an address decides who somebody is, nobody takes another's first: its owner
// would come after, into what somebody else can open.
func TestNobodyWaitsBehindAnAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		match    bool
		verified any
		in       bool
	}{
		"nothing is said": {true, nil, false},
		"verified":        {true, true, true},
		"nothing is said, and it decides nothing": {false, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := withProvider(t, func(s *config.Settings, p *openidtest.Provider) {
				s.OpenID.MatchEmail = c.match
				p.Claims = claims{"sub": "x", "preferred_username": "mallory", "email": "owner@example.org"}
				if c.verified != nil {
					p.Claims["email_verified"] = c.verified
				}
			})
			if page := s.browser(t).signInThere(); (page.path == "/") != c.in {
				t.Errorf("%d at %s", page.status, page.path)
			}
			if a, err := s.people.Find(t.Context(), "owner@example.org"); err != nil || (a.ID != "0") != c.in {
				t.Errorf("the address is of %s, %v", a.ID, err)
			}
		})
	}
}

func TestADisabledPersonIsNotLetIn(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, nil)
	s.browser(t).signInThere()
	if err := s.people.Disable(t.Context(), entry(t, s, "kim").ID); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	if b.signInThere(); b.page.status != 403 || b.cookie() != "" {
		t.Errorf("%d", b.page.status)
	}
	b.sees("can no longer be used")
}

// logout sends a token as the provider does.
func (s *site) logout(t *testing.T, token string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+config.OpenIDLogoutPath, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Body.Close() })
	if w.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control is %q", w.Header.Get("Cache-Control"))
	}
	return w
}

// tab follows a session's events, and returns a channel that hears of its end.
func (b *browser) tab() <-chan string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", b.url+"/api/session/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := b.client.Do(r)
	if err != nil || w.StatusCode != 200 {
		b.t.Fatalf("%v, %v", w, err)
	}
	heard := make(chan string, 1)
	go func() {
		defer w.Body.Close()
		for lines := bufio.NewScanner(w.Body); lines.Scan(); {
			if lines.Text() == "event: ended" && lines.Scan() {
				heard <- lines.Text()
				return
			}
		}
		heard <- "the stream ended without a word"
	}()
	return heard
}

func TestASignOutThereEndsEveryTabHere(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	desk, phone, local := s.browser(t), s.browser(t), s.browser(t)
	desk.signInThere()
	p.Claims["sid"] = "another session there"
	phone.signInThere()
	local.signIn("alex")
	tabs := []<-chan string{desk.tab(), desk.tab(), desk.tab()}
	other := phone.tab()
	start := time.Now()
	// It comes from no page of ours: no cookie, no token, another origin.
	if w := s.logout(t, p.Logout(claims{"sid": "the-provider's-session"}), "Origin", "https://id.example.org", "Sec-Fetch-Site", "cross-site"); w.StatusCode != 200 {
		t.Fatalf("%d", w.StatusCode)
	}
	for _, tab := range tabs {
		select {
		case said := <-tab:
			if !strings.Contains(said, "signed_out") {
				t.Errorf("a tab hears %q", said)
			}
		case <-time.After(2 * time.Second):
			t.Fatal("a tab has heard nothing for two seconds")
		}
	}
	t.Logf("three tabs have heard of it %v after it was sent", time.Since(start).Round(time.Millisecond))
	if !desk.signedOut() || phone.signedOut() || local.signedOut() {
		t.Error("another than that session has ended")
	}
	s.notes.Wait()
	found := false
	for l, err := range s.store.SearchAudit(t.Context(), audit.Filter{User: entry(t, s, "kim").ID}) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || l.Action == "ended" && l.By == audit.Provider && l.Reason == session.SignedOut
	}
	if !found {
		t.Error("no audit line says that the provider ended it")
	}
	// And all of the person's.
	if w := s.logout(t, p.Logout(claims{"sid": nil})); w.StatusCode != 200 {
		t.Fatalf("%d", w.StatusCode)
	}
	if said := <-other; !strings.Contains(said, "signed_out") {
		t.Errorf("%q", said)
	}
	if local.signedOut() {
		t.Error("somebody else has ended too")
	}
}

// The endpoint of a sign-out there: what it takes, and what it does not.
func TestTheSignOutEndpoint(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	b := s.browser(t)
	b.signInThere()
	used := p.Logout(claims{"sub": "nobody", "sid": nil})
	if w := s.logout(t, used); w.StatusCode != 200 {
		t.Fatalf("of nobody who is here: %d", w.StatusCode)
	}
	for name, token := range map[string]string{
		"nothing":          "",
		"used before":      used,
		"alg none":         openidtest.Unsigned(p.LogoutClaims(nil)),
		"an ID token":      p.Sign(p.IDClaims("n")),
		"no events":        p.Logout(claims{"events": nil}),
		"expired":          p.Logout(claims{"exp": time.Now().Add(-time.Hour).Unix()}),
		"another's":        p.Logout(claims{"aud": "other"}),
		"another issuer's": p.Logout(claims{"iss": "https://other.example"}),
	} {
		w := s.logout(t, token)
		var body map[string]string
		if err := json.NewDecoder(w.Body).Decode(&body); err != nil || w.StatusCode != 400 || body["error"] != "invalid_request" || body["error_description"] == "" {
			t.Errorf("%s: %d %v, %v", name, w.StatusCode, body, err)
		}
	}
	if w := s.logout(t, strings.Repeat("a", maxMachine)); w.StatusCode != 400 {
		t.Errorf("a huge one: %d", w.StatusCode)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		if page := s.browser(t).do(method, config.OpenIDLogoutPath+"?logout_token="+url.QueryEscape(p.Logout(nil)), nil); page.status != 405 || page.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d", method, page.status)
		}
	}
	if page := s.browser(t).do("POST", config.OpenIDLogoutPath+"?logout_token="+url.QueryEscape(p.Logout(nil)), nil); page.status != 400 {
		t.Errorf("a token in the query: %d", page.status)
	}
	if b.signedOut() {
		t.Error("one of them did something")
	}
	// While the store does not answer it is not lost: it may come again.
	token := p.Logout(nil)
	s.store.DB().Close()
	w := s.logout(t, token)
	if w.StatusCode != 503 || w.Header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d", w.StatusCode)
	}
}

// A session that began before a sign-out there was obeyed, and is stored after it,
// does not stay: it never gets a cookie.
func TestASignInThatCrossesASignOutThere(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	s.browser(t).signInThere()
	b := s.browser(t)
	b.open("/login")
	way := b.leave("Sign in with Example")
	p.Token = func(c claims) string { // they sign out there while the code is exchanged
		if w := s.logout(t, p.Logout(nil)); w.StatusCode != 200 {
			t.Errorf("%d", w.StatusCode)
		}
		return p.Sign(c)
	}
	if b.goTo(way); b.page.status != 403 || b.cookie() != "" {
		t.Errorf("%d", b.page.status)
	}
	b.sees("is over")
	if live, err := s.manager.List(t.Context(), entry(t, s, "kim").ID); err != nil || len(live) > 0 {
		t.Errorf("%d sessions live, %v", len(live), err)
	}
	p.Token = nil
	if page := b.signInThere(); page.path != "/" {
		t.Errorf("and then: %d at %s", page.status, page.path)
	}
}

// A session that goes on in another one there does not outlive it, though that ended
// before anybody here knew of it.
func TestAProofThatCrossesASignOutThere(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	p.Claims["sid"], p.Claims["auth_time"] = "the first there", time.Now().Add(-2*time.Hour).Unix()
	b := s.browser(t)
	b.signInThere()
	b.open("/reauth?next=/safety")
	way := b.leave("Confirm with Example")
	delete(p.Claims, "auth_time")
	p.Claims["sid"] = "the second there"
	p.Token = func(c claims) string {
		if w := s.logout(t, p.Logout(claims{"sid": "the second there"})); w.StatusCode != 200 {
			t.Errorf("%d", w.StatusCode)
		}
		return p.Sign(c)
	}
	if b.goTo(way); b.page.status != 403 {
		t.Errorf("%d at %s", b.page.status, b.page.path)
	}
	b.sees("is over")
	if live, err := s.manager.List(t.Context(), entry(t, s, "kim").ID); err != nil || len(live) > 0 {
		t.Errorf("%d sessions live, %v", len(live), err)
	}
}

// Whoever takes a link away while somebody signs in by it, and so ends what it let in,
// is not followed by that sign-in. The database does it at the very moment.
func TestASignInThatCrossesTheEndOfItsLink(t *testing.T) {
	t.Parallel()
	for when, ends := range map[string]string{
		"before it is used": `CREATE TRIGGER crossing BEFORE UPDATE ON directory_openid_links BEGIN
			UPDATE session_users SET sign_in_epoch = sign_in_epoch + 1; DELETE FROM directory_openid_links; SELECT RAISE(IGNORE); END`,
		"after it was used": `CREATE TRIGGER crossing AFTER UPDATE ON directory_openid_links BEGIN
			UPDATE session_users SET sign_in_epoch = sign_in_epoch + 1; DELETE FROM directory_openid_links; END`,
	} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			s, _ := withProvider(t, nil)
			s.browser(t).signInThere()
			if _, err := s.store.DB().ExecContext(t.Context(), ends); err != nil {
				t.Fatal(err)
			}
			b := s.browser(t)
			if page := b.signInThere(); page.status < 400 || b.cookie() != "" {
				t.Errorf("%d at %s, cookie %q", page.status, page.path, b.cookie())
			}
			if live, err := s.manager.List(t.Context(), entry(t, s, "kim").ID); err != nil || len(live) != 1 {
				t.Errorf("%d sessions live, want the first one, %v", len(live), err)
			}
		})
	}
}

// Whoever sends something made up writes no warning into the log; a provider that is away
// is one.
func TestAStrangerCausesNoWarning(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	b := s.browser(t)
	for _, query := range []string{"", "?code=a&state=b", "?error=server_error"} {
		if b.open(config.OpenIDCallbackPath + query); b.page.status != 400 {
			t.Errorf("%q: %d", query, b.page.status)
		}
	}
	for _, token := range []string{"", "a.b.c", openidtest.Unsigned(p.LogoutClaims(nil))} {
		if w := s.logout(t, token); w.StatusCode != 400 {
			t.Errorf("%q: %d", token, w.StatusCode)
		}
	}
	log := s.log.String()
	for _, line := range []string{"a sign-in through the OpenID provider ended here", "a sign-out at the OpenID provider ends nothing here"} {
		if n := strings.Count(log, line); n != 3 {
			t.Errorf("%q is in the log %d times", line, n)
		}
	}
	if strings.Contains(log, `"level":"WARN"`) {
		t.Errorf("a warning:\n%s", log)
	}
	p.Instead["/token"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	if b.signInThere(); b.page.status != 503 || !strings.Contains(s.log.String(), `"level":"WARN","msg":"a sign-in through`) {
		t.Errorf("a provider that is away: %d, and no warning", b.page.status)
	}
}

// A route for machines has to be declared so that it is one.
func TestARouteForMachines(t *testing.T) {
	t.Parallel()
	s := demo(t)
	nothing := func(http.ResponseWriter, *http.Request) {}
	for name, r := range map[string]route{
		"a GET":     {"GET", "/a", machine, nothing},
		"a DELETE":  {"DELETE", "/a", machine, nothing},
		"a pattern": {"POST", "/a/{b}", machine, nothing},
	} {
		if _, err := s.newRouter(append(s.table(), r)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	var seen http.Header
	r, err := s.newRouter(append(s.table(), route{"POST", "/a", machine, func(w http.ResponseWriter, r *http.Request) {
		seen = maps.Clone(r.Header)
		if c := session.FromContext(r.Context()); c.SignedIn() {
			t.Error("it sees a session")
		}
	}}))
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{site: s, served: r.handler(s.sessions)}
	if answer := w.do(t, w.person(t), "POST", "/a", nil); answer.Code != 200 || !slices.Contains(answer.Header().Values("Cache-Control"), "no-store") {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
	if seen == nil || seen["Cookie"] != nil {
		t.Errorf("it sees %v", seen["Cookie"])
	}
}

// Somebody who signs in there alone proves anew there, and not by the provider's old
// word, who they are. The session goes on.
func TestAPersonProvesAnewThere(t *testing.T) {
	t.Parallel()
	s, p := withProvider(t, nil)
	old := time.Now().Add(-2 * time.Hour).Unix()
	p.Claims["auth_time"] = old // they were signed in there for long
	b := s.browser(t)
	b.signInThere()
	before := b.cookie()
	if b.open("/reauth?next=/api/export"); b.page.path != "/reauth" {
		t.Fatalf("what was proved two hours ago is recent: %s", b.page.path)
	}
	if b.goTo(b.leave("Confirm with Example")); b.page.status != 401 || b.cookie() != before {
		t.Errorf("the provider's old word: %d", b.page.status)
	}
	if b.open("/"); !strings.Contains(b.page.body, "data-no-dialog") {
		t.Error("a dialog would ask for a password that there is not")
	}
	// What is sensitive leads to the page that sends them there, and back.
	form := regexp.MustCompile(`name="csrf_token" value="([^"]*)"`).FindStringSubmatch(b.page.body)[1]
	b.do("POST", "/sessions/end-others", strings.NewReader(url.Values{"csrf_token": {form}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	if b.page.path != "/reauth" {
		t.Errorf("%d at %s", b.page.status, b.page.path)
	}
	b.sees("Confirm with Example")
	delete(p.Claims, "auth_time")
	p.Claims["sid"] = "a new session there"
	b.open("/reauth?next=/safety")
	way := b.leave("Confirm with Example")
	if b.goTo(way); b.page.status != 200 || b.page.path != "/safety" {
		t.Fatalf("%d at %s", b.page.status, b.page.path)
	}
	first, err := session.ParseToken(before)
	if err != nil {
		t.Fatal(err)
	}
	now, err := session.ParseToken(b.cookie())
	if err != nil || now.ID() != first.ID() || now == first {
		t.Errorf("another session, or the old token: %v", err)
	}
	if b.open("/reauth?next=/safety"); b.page.path != "/safety" {
		t.Errorf("still asked: %s", b.page.path)
	}
	// Somebody else there proves nothing here.
	p.Claims["sub"] = "somebody else"
	for _, name := range []string{"kim", "alex"} {
		other := b
		if name == "alex" { // who is linked to nobody there
			other = s.browser(t)
			other.signIn("alex")
			if strings.Contains(other.page.body, "data-no-dialog") {
				t.Error("alex has a password")
			}
		}
		held := other.cookie()
		other.open("/")
		form := regexp.MustCompile(`name="csrf_token" value="([^"]*)"`).FindStringSubmatch(other.page.body)[1]
		answer := other.do("POST", "/openid/prove", strings.NewReader(url.Values{"csrf_token": {form}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
		if other.goTo(strings.TrimPrefix(answer.header.Get("Refresh"), "0;url=")); other.page.status != 403 || other.cookie() != held {
			t.Errorf("%s, by somebody else's word: %d", name, other.page.status)
		}
	}
	// And a sign-out of the session there in which it goes on ends it.
	if w := s.logout(t, p.Logout(claims{"sub": nil, "sid": "a new session there"})); w.StatusCode != 200 || !b.signedOut() {
		t.Errorf("%d, and it lives", w.StatusCode)
	}
}

// Whoever guesses passwords at an address keeps nobody there from the provider.
func TestGuessedPasswordsKeepNobodyFromTheProvider(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, func(c *config.Settings, _ *openidtest.Provider) { c.AttemptsPerAddress = 2 })
	b := s.browser(t)
	for range 3 {
		b.open("/login")
		b.submit(`type="password"`, "username", "nobody", "password", "wrong")
	}
	if b.page.status != 429 {
		t.Fatalf("%d", b.page.status)
	}
	if page := s.browser(t).signInThere(); page.path != "/" {
		t.Errorf("%d at %s", page.status, page.path)
	}
}

// A way back that no cookie could hold is left out, and the sign-in goes on.
func TestALongWayBack(t *testing.T) {
	t.Parallel()
	s, _ := withProvider(t, nil)
	for next, want := range map[string]string{
		"/safety?" + strings.Repeat("a", 1500): "/safety",
		"/safety?" + strings.Repeat("<&", 800): "/",
	} {
		b := s.browser(t)
		b.open("/login?next=" + url.QueryEscape(next))
		way := b.leave("Sign in with Example")
		for _, c := range b.page.header.Values("Set-Cookie") {
			if len(c) > 4096 {
				t.Errorf("a cookie of %d bytes", len(c))
			}
		}
		if page := b.goTo(way); page.path != want {
			t.Errorf("%d at %s", page.status, page.path)
		}
	}
}
