package attack

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

// tokens are attacks on the cookie's content.
var tokens = []attack{
	{
		"session fixation", "plants a token of their choice, or one from before the sign-in, in the victim's browser",
		"the session gets another token, and the planted one opens nothing", fixation,
	},
	{
		"replayed cookies", "keeps a copy of the cookie and uses it after the session has ended: by signing out, by an operator, a new password, a disabled account",
		"401 within the lease, at once where the server itself ended it, and after a restart too", replays,
	},
	{
		"a copied cookie for what is sensitive", "uses a copy of the cookie in their own browser to end the owner's other sessions and to take what is stored, also once the owner has proved anew who they are",
		"403 each time, and the owner is asked once and goes on", copiedCookie,
	},
	{
		"guessed tokens", "changes the cookie bit by bit, or makes one of the public handle",
		"401 or 400, and the session lives on", guessedTokens,
	},
	{
		"a stolen database", "makes cookies from what the database and the keys hold",
		"none opens a session", stolenDatabase,
	},
	{
		"another's session", "ends, switches or looks for what is another person's, by its id",
		"the very answer that an unknown id gets, and nothing changes", anothersSession,
	},
}

func mapText(v any) string { text, _ := json.Marshal(v); return string(text) }

// flip one bit in the middle.
func flip(text string) string {
	b := []byte(text)
	b[len(b)/2] ^= 1
	return string(b)
}

func fixation(t *testing.T, w *world) {
	attacker := w.victim(t)
	chosen := strings.Repeat("0123456789abcdef", 2) + "." + strings.Repeat("A", 43)
	for name, planted := range map[string]string{
		"a token of their choice":       chosen,
		"their own session's token":     attacker.cookie(sessionCookie),
		"the sign-in form's own cookie": "",
	} {
		a := w.account(t)
		v := w.browser(t)
		token := v.token()
		visit := v.cookie(sessionCookie + "-prelogin")
		cookies := sessionCookie + "-prelogin=" + visit
		if planted == "" {
			planted = visit
		} else if planted == chosen {
			cookies += "; " + sessionCookie + "=" + planted
		}
		r := v.request("POST", "/login", credentials(a))
		r.Header.Set("X-CSRFToken", token)
		got := v.sending(cookies).do(r)
		if got.status != 200 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		given, _, _ := strings.Cut(strings.TrimPrefix(got.header.Get("Set-Cookie"), sessionCookie+"="), ";")
		if given == "" || given == planted || strings.Contains(got.header.Get("Set-Cookie"), planted[:16]) {
			t.Errorf("%s: the session got %s", name, got.header.Get("Set-Cookie"))
		}
		if planted != attacker.cookie(sessionCookie) {
			if got := w.browser(t).sending(sessionCookie + "=" + planted).state(); got.status != 401 && got.status != 400 {
				t.Errorf("%s opens a session: %d %s", name, got.status, got.body)
			}
		}
	}
	// Signing in over the attacker's planted session ends that one.
	planted := w.victim(t)
	pair, token := planted.pair(), planted.token()
	v := w.browser(t)
	r := v.request("POST", "/login", credentials(w.account(t)))
	r.Header.Set("X-CSRFToken", token)
	if got := v.sending(pair).do(r); got.status != 200 {
		t.Fatalf("signing in over another session: %d %s", got.status, got.body)
	}
	if got := v.sending(pair).state(); got.status != 401 {
		t.Errorf("the planted session opens: %d %s", got.status, got.body)
	}
}

func replays(t *testing.T, w *world) {
	a := w.account(t)
	copies := map[string]string{}
	steal := func(what string) *browser {
		v := w.browser(t).signIn(a)
		copies[what] = v.pair()
		if got := w.browser(t).sending(copies[what]).state(); got.status != 200 {
			t.Fatalf("%s: the copy opens nothing yet: %d", what, got.status)
		}
		return v
	}
	steal("signed out").post("/logout", "")
	if got := w.browser(t).sending(copies["signed out"]).state(); got.status != 401 {
		t.Errorf("the very next request after signing out: %d %s", got.status, got.body)
	}
	v := steal("ended on the page of devices")
	handle := strings.Split(strings.Trim(v.state().header.Get("ETag"), `"`), ".")[0]
	other := w.browser(t).signIn(a)
	other.do(other.tokened("DELETE", "/api/sessions/"+handle, ""))
	other.post("/logout", "")
	steal("ended by an operator")
	w.command(t, "", "session", "revoke", "--user", a.name)
	steal("from before a new password")
	w.command(t, "other words for "+a.name+"\n", "user", "passwd", a.name, "--password-stdin")
	w.secret.add("a password", "other words for "+a.name)
	a.password = "other words for " + a.name
	steal("of a disabled account")
	w.command(t, "", "user", "disable", a.name)
	check := func(when string) {
		for what, pair := range copies {
			b := w.browser(t).sending(pair)
			for deadline := time.Now().Add(bound); b.state().status == 200 && time.Now().Before(deadline); {
				time.Sleep(20 * time.Millisecond) // a command ends it for the server within the lease
			}
			for _, path := range []string{"/api/session_state", "/api/sessions", "/api/user_platforms"} {
				if got := b.get(path); got.status != 401 || len(got.header["Set-Cookie"]) > 0 || strings.Contains(got.body, a.name) {
					t.Errorf("%s, %s, GET %s: %d %s", what, when, path, got.status, got.body)
				}
			}
			if got := b.get("/"); got.status != 303 && got.status != 401 {
				t.Errorf("%s, %s, GET /: %d", what, when, got.status)
			}
		}
	}
	check("soon")
	// A second server on the same database remembers nothing.
	again := *w
	again.server = start(t, w.folder, w.out)
	w = &again
	check("at a server that has just started")
	again.stop()
}

func copiedCookie(t *testing.T, w *world) {
	a := w.account(t)
	owner, elsewhere := w.browser(t).signIn(a), w.browser(t).signIn(a)
	copied := w.browser(t).sending(owner.pair())
	ask := func(method, path, body string, forge func(*http.Request)) answer {
		r := copied.tokened(method, path, body)
		r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1")
		r.Header.Set("Accept-Language", "ru")
		if forge != nil {
			forge(r)
		}
		return copied.do(r)
	}
	for range 10 { // they try what they can
		ask("POST", "/api/session/cleanup", "", func(r *http.Request) { r.Header.Del("X-CSRFToken") })
	}
	refused := func(when string) {
		t.Helper()
		for _, sensitive := range []struct{ method, path string }{{"POST", "/api/sessions/revoke_others"}, {"GET", "/api/export"}} {
			if got := ask(sensitive.method, sensitive.path, "", nil); got.status != 403 || !strings.Contains(got.body, `"REAUTH_REQUIRED"`) {
				t.Errorf("%s, %s %s: %d %s", when, sensitive.method, sensitive.path, got.status, got.body)
			}
		}
		if got := ask("POST", "/api/session/reauth", `{"password":"a guess"}`, nil); got.status != 401 || len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("%s, a guess: %d %s", when, got.status, got.body)
		}
	}
	refused("at first")
	proof := mapText(map[string]string{"password": a.password})
	if got := owner.post("/api/session/reauth", proof); got.status != 200 {
		t.Fatalf("the owner: %d %s", got.status, got.body)
	}
	refused("after the owner's proof")
	if got := owner.get("/api/export"); got.status != 200 {
		t.Errorf("the owner: %d %s", got.status, got.body)
	}
	refused("when the owner has used it")
	if got := elsewhere.state(); got.status != 200 {
		t.Errorf("the owner's other session: %d %s", got.status, got.body)
	}
}

func guessedTokens(t *testing.T, w *world) {
	v := w.victim(t)
	before, token := v.state(), v.cookie(sessionCookie)
	handle, secret, _ := strings.Cut(token, ".")
	guesses := []string{handle, handle + ".", handle + "." + strings.Repeat("A", len(secret)), "." + secret, secret, handle + "." + handle, token + "A", token[:len(token)-1]}
	for range 200 {
		changed := []byte(token)
		changed[rand.IntN(len(changed))] ^= 1 << rand.IntN(6)
		if string(changed) != token && !strings.ContainsAny(string(changed), "\"\\;,\x7f") && strings.IndexFunc(string(changed), unicode.IsControl) < 0 {
			guesses = append(guesses, string(changed))
		}
	}
	for _, guess := range guesses {
		got := w.browser(t).sending(sessionCookie + "=" + guess).state()
		if got.status != 401 && got.status != 400 {
			t.Errorf("a guess opens: %d %s", got.status, got.body)
		}
		// What became of the session is for the holder of its secret.
		if strings.Contains(got.body, v.who.name) || got.status == 401 && got.code(t) != "SESSION_INVALID" && got.code(t) != "SESSION_REQUIRED" {
			t.Errorf("a guess is told %s", got.body)
		}
	}
	v.unharmed(before, "after the guesses")
}

func stolenDatabase(t *testing.T, w *world) {
	v := w.victim(t)
	before := v.state()
	token := v.cookie(sessionCookie)
	handle, _, _ := strings.Cut(token, ".")
	path := filepath.Join(t.TempDir(), "stolen.db")
	w.command(t, "", "backup", path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(handle)
	if err != nil {
		t.Fatal(err)
	}
	// A secret's hash lies near the handle in the row: every 32 bytes around it,
	// in the form of a secret.
	tried := 0
	for at := 0; ; {
		i := strings.Index(string(content[at:]), string(raw))
		if i < 0 {
			break
		}
		at += i
		for from := max(0, at-80); from < min(at+120, len(content)-32); from++ {
			tried++
			guess := handle + "." + base64.RawURLEncoding.EncodeToString(content[from:from+32])
			if got := v.sending(sessionCookie + "=" + guess).state(); got.status == 200 {
				t.Fatalf("what lies %d bytes from the handle opens the session", from-at)
			}
		}
		at += len(raw)
		if tried > 600 {
			break
		}
	}
	if tried == 0 {
		t.Error("the handle is not in the database: this attack looks in the wrong place")
	}
	v.unharmed(before, "afterwards")
}

func anothersSession(t *testing.T, w *world) {
	v := w.browser(t).signIn(w.platforms(t, w.account(t)))
	before := v.state()
	handle := strings.Split(strings.Trim(before.header.Get("ETag"), `"`), ".")[0]
	list, _ := v.get("/api/user_platforms").field(t, "platforms").([]any)
	platform := strings.Trim(mapText(list[0].(map[string]any)["id"]), `"`)
	attacker := w.victim(t)
	for _, pair := range [][2]string{
		{"DELETE /api/sessions/" + handle, "DELETE /api/sessions/" + strings.Repeat("0", 32)},
		{"POST /api/switch_platform/" + platform, "POST /api/switch_platform/999999"},
		{"POST /sessions/" + handle + "/end", "POST /sessions/" + strings.Repeat("0", 32) + "/end"},
	} {
		var got [2]answer
		for i, target := range pair {
			method, path, _ := strings.Cut(target, " ")
			got[i] = attacker.do(attacker.tokened(method, path, ""))
		}
		if got[0].status != 404 || alike(got[0]) != alike(got[1]) {
			t.Errorf("%s\n%s\nis not\n%s", pair[0], alike(got[0]), alike(got[1]))
		}
	}
	// A token that the victim's page would have is of no use with another cookie.
	r := attacker.request("GET", "/api/session_state", "")
	r.Header.Set("X-Platform-Id", platform)
	if got := attacker.do(r); got.status != 403 {
		t.Errorf("acting as the victim's platform: %d %s", got.status, got.body)
	}
	v.unharmed(before, "afterwards")
}
