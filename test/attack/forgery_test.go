package attack

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// forgeries make a signed-in person's browser ask for what the person did not.
var forgeries = []attack{
	{
		"forged requests", "has a page, on another site or a sibling domain, send every kind of request with the victim's cookies",
		"403, and the victim's session stays as it is; the victim's own page is not refused", forgedRequests,
	},
	{
		"overridden methods", "dresses a change up as a GET, or a form as JSON",
		"405, 404 or 415; nothing changes", overriddenMethods,
	},
	{
		"forged sign-in", "signs the victim's browser in as the attacker, with the attacker's own token",
		"403, and no session", forgedSignIn,
	},
	{
		"tossed cookies", "sets cookies for the whole domain from a sibling host, as prefix-less, look-alike, or second cookies",
		"none is taken for the session's or the form's; two of the one name are refused", tossedCookies,
	},
	{
		"a host of the attacker's", "asks with a Host, or a way back, of their own",
		"no answer leads there", foreignHosts,
	},
}

func forgedRequests(t *testing.T, w *world) {
	v := w.browser(t).signIn(w.platforms(t, w.account(t)))
	other := w.victim(t)
	list, _ := v.get("/api/user_platforms").field(t, "platforms").([]any)
	second := ""
	for _, p := range list {
		if p := p.(map[string]any); p["is_current"] != true {
			second = strings.Trim(strings.Fields(strings.ReplaceAll(mapText(p["id"]), `"`, ""))[0], " ")
		}
	}
	handle := strings.Split(strings.Trim(v.state().header.Get("ETag"), `"`), ".")[0]
	before := v.state()
	token, stale := v.token(), other.token()
	signedOut := w.browser(t).token()
	type forge func(r *http.Request)
	drop := func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }
	for name, f := range map[string]forge{
		"cross-site":         func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":          func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"a sibling's Origin": func(r *http.Request) { drop(r); r.Header.Set("Origin", "https://"+evil) },
		"the null Origin":    func(r *http.Request) { drop(r); r.Header.Set("Origin", "null") },
		"an http Origin":     func(r *http.Request) { drop(r); r.Header.Set("Origin", "http://"+app) },
		"another port":       func(r *http.Request) { drop(r); r.Header.Set("Origin", "https://"+app+":8443") },
		"no token":           func(r *http.Request) { r.Header.Del("X-CSRFToken") },
		"another's token":    func(r *http.Request) { r.Header.Set("X-CSRFToken", stale) },
		"the form's token":   func(r *http.Request) { r.Header.Set("X-CSRFToken", signedOut) },
		"a flipped bit":      func(r *http.Request) { r.Header.Set("X-CSRFToken", flip(token)) },
		"neither header":     func(r *http.Request) { drop(r); r.Header.Del("X-CSRFToken") },
		"token in the address": func(r *http.Request) {
			r.Header.Del("X-CSRFToken")
			r.URL.RawQuery = "csrf_token=" + url.QueryEscape(token)
		},
		"token in a cookie": func(r *http.Request) {
			r.Header.Del("X-CSRFToken")
			r.AddCookie(&http.Cookie{Name: "csrf_token", Value: token})
		},
	} {
		for _, target := range []string{
			"POST /api/switch_platform/" + second, "POST /api/session/refresh", "POST /api/session/cleanup", "POST /api/session/heartbeat",
			"POST /api/sessions/revoke_others", "DELETE /api/sessions/" + handle, "POST /logout", "POST /login",
			"POST /switch", "POST /sessions/" + handle + "/end", "POST /sessions/end-others",
		} {
			method, path, _ := strings.Cut(target, " ")
			r := v.request(method, path, credentials(other.who))
			r.Header.Set("X-CSRFToken", token)
			f(r)
			if got := v.do(r); got.status != 403 || len(got.header["Set-Cookie"]) > 0 {
				t.Errorf("%s, %s: %d %s", target, name, got.status, got.body)
			}
		}
		v.unharmed(before, name)
	}
	if got := v.post("/api/switch_platform/"+second, ""); got.status != 200 {
		t.Errorf("the page's own switch: %d %s", got.status, got.body)
	}
}

func overriddenMethods(t *testing.T, w *world) {
	v := w.victim(t)
	before := v.state()
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		for _, path := range []string{"/api/session/refresh", "/logout", "/sessions/end-others", "/api/sessions/revoke_others"} {
			r := v.request("GET", path+"?_method=POST", "")
			r.Header.Set(name, "POST")
			r.Header.Set("X-CSRFToken", v.token())
			if got := v.do(r); got.status != 405 && got.status != 404 {
				t.Errorf("GET %s with %s: %d", path, name, got.status)
			}
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"} {
		r := v.tokened("POST", "/api/session/heartbeat", `{"active":true}`)
		r.Header.Set("Content-Type", kind)
		if got := v.do(r); got.status != 415 {
			t.Errorf("JSON as %s: %d", kind, got.status)
		}
	}
	v.unharmed(before, "afterwards")
}

func forgedSignIn(t *testing.T, w *world) {
	attacker := w.account(t)
	hers := w.browser(t)
	token := hers.token() // with the attacker's own pre-login cookie
	for name, forge := range map[string]func(r *http.Request){
		"the attacker's token":     func(r *http.Request) { r.Header.Set("X-CSRFToken", token) },
		"no token":                 func(r *http.Request) {},
		"a form without a script":  func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"a form from another site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		v := w.browser(t)
		own := v.token() // the victim has looked at the sign-in page
		r := v.request("POST", "/login", credentials(attacker))
		if name == "a form from another site" {
			r.Header.Set("X-CSRFToken", own)
		}
		forge(r)
		if got := v.do(r); got.status != 403 || v.cookie(sessionCookie) != "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func tossedCookies(t *testing.T, w *world) {
	attacker := w.victim(t) // has a session of their own to toss
	stolen := attacker.cookie(sessionCookie)
	hers := w.browser(t)
	token := hers.token()
	visit := hers.cookie(sessionCookie + "-prelogin")
	// Without a session of the victim's: none of these signs anybody in.
	for _, tossed := range []string{
		"vedfolnir=" + stolen, "__host-vedfolnir=" + stolen, "__HOST-VEDFOLNIR=" + stolen, "__Secure-vedfolnir=" + stolen,
		"__Host-vedfolnir%00=" + stolen, "$__Host-vedfolnir=" + stolen, "__Host-vedfolnir[]=" + stolen, "x=1, __Host-vedfolnir=" + stolen,
		`x="; __Host-vedfolnir2=` + stolen + `"`,
	} {
		if got := w.browser(t).sending(tossed).state(); got.status != 401 {
			t.Errorf("%.24q signs in: %d %s", tossed, got.status, got.body)
		}
	}
	// Beside the victim's: they are refused, or do not count.
	v := w.victim(t)
	before := v.state()
	for _, both := range []string{v.pair() + "; __Host-vedfolnir=" + stolen, "__Host-vedfolnir=" + stolen + "; " + v.pair(), v.pair() + "; " + v.pair()} {
		if got := v.sending(both).state(); got.status != 400 {
			t.Errorf("two session cookies: %d %s", got.status, got.body)
		}
	}
	for _, beside := range []string{"vedfolnir=" + stolen + "; " + v.pair(), v.pair() + "; vedfolnir=" + stolen} {
		if got := v.sending(beside).state(); got.header.Get("ETag") != before.header.Get("ETag") {
			t.Errorf("a cookie without the prefix counts: %d %s", got.status, got.body)
		}
	}
	// The form's cookie: a token that the attacker knows, with a cookie tossed to it.
	victim := w.browser(t)
	victim.token()
	own := sessionCookie + "-prelogin=" + victim.cookie(sessionCookie+"-prelogin")
	for _, tossed := range []string{"vedfolnir-prelogin=" + visit, own + "; vedfolnir-prelogin=" + visit, own + "; " + sessionCookie + "-prelogin=" + visit} {
		r := victim.request("POST", "/login", credentials(attacker.who))
		r.Header.Set("X-CSRFToken", token)
		if got := victim.sending(tossed).do(r); got.status != 403 || len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("%.40q signs in as the attacker: %d %s", tossed, got.status, got.body)
		}
	}
	v.unharmed(before, "afterwards")
}

func foreignHosts(t *testing.T, w *world) {
	v := w.victim(t)
	for _, path := range []string{"/", "/login", "/nothing", "/api/session_state", "/a/../b", "//" + evil, "/%2f" + evil} {
		for name, forge := range map[string]func(r *http.Request){
			"Host":             func(r *http.Request) { r.Host = evil },
			"X-Forwarded-Host": func(r *http.Request) { r.Header.Set("X-Forwarded-Host", evil) },
			"Forwarded":        func(r *http.Request) { r.Header.Set("Forwarded", "host="+evil) },
		} {
			r := v.request("GET", path, "")
			r.Header.Set("Accept", "text/html")
			forge(r)
			got := v.do(r)
			if strings.Contains(got.body, "https://"+evil) || strings.Contains(got.body, `"//`+evil) || leadsAway(got.header.Get("Location")) {
				t.Errorf("%s with %s: %d %s\n%s", path, name, got.status, got.header.Get("Location"), got.body)
			}
		}
	}
	for _, next := range []string{"//" + evil, `/\` + evil, "https://" + evil, "/\t/" + evil, "javascript:alert(1)", "/\n/" + evil, "\\/" + evil, "https:" + evil} {
		b := w.browser(t)
		form := url.Values{"username": {v.who.name}, "password": {v.who.password}, "next": {next}, "csrf_token": {b.token()}}
		r := b.request("POST", "/login", form.Encode())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		if got := b.do(r); got.status != 303 || got.header.Get("Location") != "/" {
			t.Errorf("next %q leads to %d %q", next, got.status, got.header.Get("Location"))
		}
	}
}

// leadsAway reports whether a browser would leave the origin for it.
func leadsAway(location string) bool {
	location = strings.ReplaceAll(location, `\`, "/")
	return location != "" && (!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//"))
}
