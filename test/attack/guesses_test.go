package attack

import (
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// guesses are attacks that learn who is there.
var guesses = []attack{
	{
		"enumeration by answers", "compares the answers to an unknown name and to a wrong password",
		"the same status, headers and bytes, by JSON and by the form", enumeration,
	},
	{
		"enumeration by time", "times the same two, many times over (ATTACK_SAMPLES of each)",
		"no difference: Welch's t under 4.5, or less than a tenth of an answer's time", timing,
	},
	{
		"burning every limit", "uses up the attempts of a person's name, of their e-mail address and of the network's address, and guesses on from many names",
		"429 with Retry-After, for the right password too, also after a kill; the owner gets in on a device that they signed in with before, and a device's cookie cannot be made", burning,
	},
}

const deviceCookie = sessionCookie + "-device"

// burning has a server of its own, whose limits are those of a server that nobody
// set, or smaller.
func burning(t *testing.T, w *world) {
	own := *w
	own.folder = t.TempDir()
	for _, name := range []string{"cert.pem", "key.pem"} {
		content, err := os.ReadFile(filepath.Join(w.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(own.folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own.server = &server{folder: own.folder, out: w.out}
	victim := own.account(t)
	limits := []string{"--attempts-per-account=10", "--attempts-per-address=25"}
	own.server = start(t, own.folder, w.out, limits...)
	device := own.browser(t).signIn(victim)
	device.post("/logout", "")

	attacker := own.browser(t)
	token := attacker.token()
	refused := 0
	try := func(b *browser, name, password string) answer {
		r := b.request("POST", "/login", credentials(account{name, password}))
		r.Header.Set("X-CSRFToken", token)
		got := b.do(r)
		if got.status == 429 {
			if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 3600 || got.code(t) != "RATE_LIMITED" {
				t.Fatalf("429 without a word: %v %s", got.header, got.body)
			}
			refused++
		}
		return got
	}
	checked := 0
	for i := range 60 {
		name := []string{victim.name, victim.name + "@example.org", "somebody" + strconv.Itoa(i)}[i%3]
		if got := try(attacker, name, "guess "+strconv.Itoa(i)); got.status == 401 {
			checked++
		}
	}
	if checked > 26 || refused < 34 { // one may come back meanwhile
		t.Errorf("%d guesses of 60 were checked, and %d refused", checked, refused)
	}
	if got := try(attacker, victim.name, victim.password); got.status != 429 {
		t.Errorf("the right password, from a stranger: %d", got.status)
	}
	// A device that was made up, or altered.
	value := device.cookie(deviceCookie)
	for what, forged := range map[string]string{"made up": strings.Repeat("A", 64), "with a bit flipped": flip(value), "cut": value[:22]} {
		prelogin := sessionCookie + "-prelogin=" + attacker.cookie(sessionCookie+"-prelogin")
		if got := try(attacker.sending(prelogin+"; "+deviceCookie+"="+forged), victim.name, victim.password); got.status != 429 {
			t.Errorf("a device's cookie, %s: %d %s", what, got.status, got.body)
		}
	}
	if err := own.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = own.cmd.Wait()
	own.server = start(t, own.folder, w.out, limits...)
	again := own.browser(t)
	token = again.token()
	if got := try(again, victim.name, victim.password); got.status != 429 {
		t.Errorf("after a kill: %d", got.status)
	}
	back := own.browser(t)
	back.http.Jar = device.http.Jar
	back.signIn(victim)
}

var passing = regexp.MustCompile(`"(request_id|timestamp|csrf_token)":"[^"]*"|name="csrf_token" value="[^"]*"|content="[\w-]{100,}"`)

// alike is what two answers have to have in common: everything but what is of one
// request.
func alike(a answer) string {
	h := a.header.Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Set-Cookie"} {
		h.Del(name)
	}
	var text strings.Builder
	_ = h.Write(&text)
	return http.StatusText(a.status) + "\n" + text.String() + "\n" + passing.ReplaceAllString(a.body, "$1")
}

func enumeration(t *testing.T, w *world) {
	there := w.account(t)
	disabled := w.account(t)
	w.command(t, "", "user", "disable", disabled.name)
	b := w.browser(t)
	token := b.token()
	ask := func(name, kind string) string {
		body := credentials(account{name, "a wrong password"})
		if kind != "application/json" {
			body = "username=" + name + "&password=a+wrong+password&csrf_token=" + token
		}
		r := b.request("POST", "/login", body)
		r.Header.Set("Content-Type", kind)
		r.Header.Set("X-CSRFToken", token)
		got := b.do(r)
		if got.status != 401 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		return strings.ReplaceAll(alike(got), name, "NAME")
	}
	for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
		// Names of one length: the form shows again what was typed.
		want := ask(there.name, kind)
		for what, name := range map[string]string{"an unknown name": "nobody" + strings.Repeat("x", len(there.name)-6), "a disabled account": disabled.name} {
			if got := ask(name, kind); len(name) == len(there.name) && got != want {
				t.Errorf("%s, %s:\n%s\nis not\n%s", kind, what, got, want)
			}
		}
	}
}

func timing(t *testing.T, w *world) {
	samples := 60
	if n, err := strconv.Atoi(os.Getenv("ATTACK_SAMPLES")); err == nil {
		samples = n
	}
	there := w.account(t)
	b := w.browser(t)
	token := b.token()
	names := []string{there.name, "nobodyx" + there.name[min(7, len(there.name)):]}
	var took [2][]float64
	for i := range 2 * samples {
		which := i % 2
		if i%4 >= 2 {
			which = 1 - which // in changing order
		}
		name := names[which]
		r := b.request("POST", "/login", credentials(account{name, "wrong words " + strconv.Itoa(rand.IntN(10))}))
		r.Header.Set("X-CSRFToken", token)
		start := time.Now()
		got := b.do(r)
		took[which] = append(took[which], float64(time.Since(start))/float64(time.Millisecond))
		if got.status != 401 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	// The slowest tenth is what else the machine does.
	for i := range took {
		slices.Sort(took[i])
		took[i] = took[i][:len(took[i])*9/10]
	}
	known, unknown := moments(took[0]), moments(took[1])
	welch := (known.mean - unknown.mean) / math.Sqrt(known.variance/known.n+unknown.variance/unknown.n)
	t.Logf("%d samples of each: a wrong password %.2f ms, an unknown name %.2f ms, t = %.2f", samples, known.mean, unknown.mean, welch)
	if apart := math.Abs(known.mean-unknown.mean) / known.mean; math.Abs(welch) > 4.5 && apart > 0.1 {
		t.Errorf("they differ by %.0f%%, t = %.2f", 100*apart, welch)
	}
}

type sample struct{ n, mean, variance float64 }

func moments(values []float64) (s sample) {
	s.n = float64(len(values))
	for _, v := range values {
		s.mean += v / s.n
	}
	for _, v := range values {
		s.variance += (v - s.mean) * (v - s.mean) / (s.n - 1)
	}
	return s
}

func addressOf(t *testing.T, page, form string) string {
	t.Helper()
	found := regexp.MustCompile(form).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("nothing like %s in\n%s", form, page)
	}
	return found[1]
}
