package attack

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// impersonations are attacks on the cookie in which an operator acts as somebody, and by
// operators who want more than that is for.
var impersonations = []attack{
	{
		"a stolen cookie of an impersonation", "uses the cookie in which an operator acts as the victim alone, as a session's own, twice, beside their own session, another operator's or the victim's, or plants it in another operator's browser",
		"it opens nothing, and whoever sends it beside a session of theirs is themself", stolenActing,
	},
	{
		"an impersonation that is over", "keeps both cookies of an operator who acts as the victim, until the operator or the victim ends it, the operator's session is ended, or they are an operator no more, or disabled, or the victim becomes one",
		"they open nothing of the victim's, soon and after a restart, and what ended is not the victim's own session", overActing,
	},
	{
		"an operator who wants what is the person's alone", "acts as the victim and goes for their password, passkeys, recovery codes, sessions, data and what they were told, with a step-up by what they know",
		"403 each time; nothing of the victim's is changed, and the operator has proved nothing", beyondActing,
	},
	{
		"acting as whoever one likes", "acts as somebody without being an operator, as another operator, as themself or nobody, out of an impersonation, by a link, or by a form of another site",
		"403, or nothing at that address, and there is no session and no notice", anyActing,
	},
}

const actingCookie = sessionCookie + "-as"

func (w *world) operator(t *testing.T) *browser {
	t.Helper()
	a := w.account(t)
	w.command(t, "", "user", "role", a.name, "admin")
	return w.browser(t).signIn(a)
}

// user is who somebody is to the server; nobody: an empty name.
func (b *browser) user() (id, name string) {
	b.t.Helper()
	got := b.state()
	if got.status == 401 || got.status == 400 {
		return "", ""
	}
	u, _ := got.field(b.t, "user").(map[string]any)
	name, _ = u["username"].(string)
	return fmt.Sprint(u["id"]), name
}

// is fails the test unless that is who somebody is.
func (b *browser) is(name, what string) {
	b.t.Helper()
	if _, got := b.user(); got != name {
		b.t.Errorf("%s: signed in as %q, want %q", what, got, name)
	}
}

// actAs has the operator act as the person.
func (b *browser) actAs(person *browser) *browser {
	b.t.Helper()
	id, name := person.user()
	if got := b.post("/api/admin/impersonate/"+id, ""); got.status != 200 {
		b.t.Fatalf("acting as %s: %d %s", name, got.status, got.body)
	}
	b.is(name, "the operator who acts")
	return b
}

func (b *browser) acting() string { return actingCookie + "=" + b.cookie(actingCookie) }

func stolenActing(t *testing.T, w *world) {
	v := w.victim(t)
	before := v.state()
	operator := w.operator(t).actAs(v)
	thief, other, second := w.victim(t), w.operator(t), w.operator(t).actAs(v)
	stolen := operator.cookie(actingCookie)
	for what, sent := range map[string]struct{ cookies, is string }{
		"alone":                                 {operator.acting(), ""},
		"as a session's own cookie":             {sessionCookie + "=" + stolen, ""},
		"as both":                               {sessionCookie + "=" + stolen + "; " + operator.acting(), ""},
		"beside the thief's session":            {thief.pair() + "; " + operator.acting(), thief.who.name},
		"beside another operator's session":     {other.pair() + "; " + operator.acting(), other.who.name},
		"beside one who acts as the same":       {second.pair() + "; " + operator.acting(), second.who.name},
		"beside the victim's session":           {v.pair() + "; " + operator.acting(), v.who.name},
		"without its prefix":                    {operator.pair() + "; vedfolnir-as=" + stolen, operator.who.name},
		"with its prefix in other letters":      {operator.pair() + "; __host-vedfolnir-as=" + stolen, operator.who.name},
		"with a bit of it changed":              {operator.pair() + "; " + actingCookie + "=" + flip(stolen), operator.who.name},
		"the operator's own session in it":      {operator.pair() + "; " + actingCookie + "=" + operator.cookie(sessionCookie), operator.who.name},
		"the victim's own session in it":        {operator.pair() + "; " + actingCookie + "=" + v.cookie(sessionCookie), operator.who.name},
		"tossed twice, by a host of the domain": {other.pair() + "; " + operator.acting() + "; " + second.acting(), ""},
	} {
		b := w.browser(t).sending(sent.cookies)
		b.is(sent.is, what)
		if got := b.get("/api/sessions"); strings.Contains(got.body, v.who.name) && sent.is != v.who.name {
			t.Errorf("%s: it shows %s", what, got.body)
		}
	}
	operator.is(v.who.name, "whose cookie was stolen")
	second.is(v.who.name, "the other operator")
	v.unharmed(before, "afterwards")
}

func overActing(t *testing.T, w *world) {
	v := w.victim(t)
	promoted := w.victim(t)
	before := v.state()
	type kept struct {
		cookies string
		person  *browser
	}
	copies := map[string]kept{}
	end := func(what string, person *browser, how func(operator *browser)) {
		t.Helper()
		operator := w.operator(t).actAs(person)
		copies[what] = kept{operator.pair() + "; " + operator.acting(), person}
		w.browser(t).sending(copies[what].cookies).is(person.who.name, "the copy, before")
		how(operator)
	}
	end("by the operator, who is themself again", v, func(o *browser) {
		o.post("/logout", "")
		o.is(o.who.name, "whoever has ended it")
	})
	end("by the operator's sign-out", v, func(o *browser) {
		o.post("/logout", "")
		o.post("/logout", "")
	})
	end("by the victim", v, func(*browser) {
		list, _ := v.get("/api/sessions").field(t, "sessions").([]any)
		for _, s := range list {
			if s := s.(map[string]any); s["impersonator"] != nil {
				if got := v.do(v.tokened("DELETE", fmt.Sprintf("/api/sessions/%v", s["session_id"]), "")); got.status != 200 {
					t.Errorf("the victim ends it: %d %s", got.status, got.body)
				}
			}
		}
	})
	end("with the operator's session", v, func(o *browser) { w.command(t, "", "session", "revoke", "--user", o.who.name) })
	end("with the role", v, func(o *browser) { w.command(t, "", "user", "role", o.who.name, "person") })
	end("with the operator's account", v, func(o *browser) { w.command(t, "", "user", "disable", o.who.name) })
	end("by the person's promotion", promoted, func(*browser) { w.command(t, "", "user", "role", promoted.who.name, "admin") })
	check := func(when string) {
		t.Helper()
		for what, k := range copies {
			b := w.browser(t).sending(k.cookies)
			name := func() string { _, n := b.user(); return n }
			for deadline := time.Now().Add(bound); name() == k.person.who.name && time.Now().Before(deadline); {
				time.Sleep(20 * time.Millisecond) // a command ends it for the server within the lease
			}
			if name() == k.person.who.name {
				t.Errorf("%s, %s: it opens the victim's account", what, when)
			}
			for _, path := range []string{"/", "/api/sessions", "/api/user_platforms", "/safety"} {
				if got := b.get(path); strings.Contains(got.body, k.person.who.name) {
					t.Errorf("%s, %s, GET %s: %d %s", what, when, path, got.status, got.body)
				}
			}
		}
	}
	check("soon")
	v.unharmed(before, "the victim's own session")
	again := *w
	again.server = start(t, w.folder, w.out)
	w = &again
	check("at a server that has just started")
	again.stop()
}

func beyondActing(t *testing.T, w *world) {
	v := w.browser(t).signIn(w.platforms(t, w.account(t)))
	before := v.state()
	handle := strings.Split(strings.Trim(before.header.Get("ETag"), `"`), ".")[0]
	operator := w.operator(t).actAs(v)
	token := operator.cookie(actingCookie)
	want := func(when string) {
		t.Helper()
		for _, path := range []string{
			"POST /api/session/reauth", "GET /password", "POST /password", "GET /passkeys", "POST /passkeys/rename", "POST /passkeys/remove",
			"POST /api/passkeys/options", "POST /api/passkeys", "POST /recovery-codes", "GET /safety", "GET /api/safety", "POST /api/safety/seen/1", "POST /safety/seen/1",
			"GET /api/export", "POST /api/sessions/revoke_others", "DELETE /api/sessions/" + handle, "POST /sessions/" + handle + "/end", "POST /sessions/end-others",
			"GET /people", "GET /api/admin/metrics",
		} {
			method, path, _ := strings.Cut(path, " ")
			for _, password := range []string{operator.who.password, v.who.password} { // they may have been told it
				body := mapText(map[string]string{"password": password, "current_password": password, "new_password": "what they want it to be", "username": v.who.name})
				got := operator.do(operator.tokened(method, path, body))
				if got.status != 403 {
					t.Errorf("%s, %s %s: %d %s", when, method, path, got.status, got.body)
				}
				if operator.cookie(actingCookie) != token {
					t.Fatalf("%s, %s %s gives another token", when, method, path)
				}
				if method == "GET" {
					break
				}
			}
		}
	}
	want("at first")
	if got := operator.post("/api/session/refresh", ""); got.status == 200 {
		want("when it was refreshed")
	}
	operator.is(v.who.name, "the operator")
	v.unharmed(before, "afterwards")
	w.browser(t).signIn(v.who) // by the password that they had
	operator.post("/logout", "")
	operator.is(operator.who.name, "the operator in the end")
}

func anyActing(t *testing.T, w *world) {
	v, attacker, other := w.victim(t), w.victim(t), w.operator(t)
	operator := w.operator(t)
	before := v.state()
	id, _ := v.user()
	otherID, _ := other.user()
	ownID, _ := operator.user()
	seen := w.victim(t)
	acting := w.operator(t).actAs(seen)
	for what, try := range map[string]struct {
		by     *browser
		method string
		path   string
		forge  func(*http.Request)
		want   int
	}{
		"by a person":                       {attacker, "POST", "/api/admin/impersonate/" + id, nil, 403},
		"by a person's form":                {attacker, "POST", "/people/" + id + "/act-as", nil, 403},
		"by the victim":                     {v, "POST", "/api/admin/impersonate/" + id, nil, 403},
		"as another operator":               {operator, "POST", "/api/admin/impersonate/" + otherID, nil, 403},
		"as themself":                       {operator, "POST", "/api/admin/impersonate/" + ownID, nil, 403},
		"as nobody":                         {operator, "POST", "/api/admin/impersonate/999999", nil, 403},
		"by a link":                         {operator, "GET", "/api/admin/impersonate/" + id, nil, 404},
		"by a link to the form":             {operator, "GET", "/people/" + id + "/act-as", nil, 404},
		"without a token":                   {operator, "POST", "/api/admin/impersonate/" + id, func(r *http.Request) { r.Header.Del("X-CSRFToken") }, 403},
		"with the victim's token":           {operator, "POST", "/api/admin/impersonate/" + id, func(r *http.Request) { r.Header.Set("X-CSRFToken", v.token()) }, 403},
		"by another site":                   {operator, "POST", "/api/admin/impersonate/" + id, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"by another host of the domain":     {operator, "POST", "/people/" + id + "/act-as", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"by a GET that says that it is one": {operator, "GET", "/api/admin/impersonate/" + id, func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "POST") }, 404},
		"out of an impersonation":           {acting, "POST", "/api/admin/impersonate/" + id, nil, 403},
	} {
		r := try.by.tokened(try.method, try.path, "")
		if try.forge != nil {
			try.forge(r)
		}
		got := try.by.do(r)
		if got.status != try.want {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
		if len(got.header["Set-Cookie"]) > 0 {
			t.Errorf("%s: a cookie is set", what)
		}
	}
	acting.is(seen.who.name, "who acts as somebody else")
	v.unharmed(before, "afterwards")
	if got := v.get("/safety"); strings.Contains(got.body, "acted as you") {
		t.Error("the victim is told of an operator")
	}
}
