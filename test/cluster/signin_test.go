package cluster

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// accept the cookies of an answer; false: there was none of the session.
func (b *browser) accept(a *answer) (session bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
		session = session || strings.Contains(c.Value, ".") && len(c.Value) == 32+1+43
	}
	return session
}

// signIn in a new browser; briefly: on a device that is not to remember it.
func (t *tab) signIn(way int, briefly bool) {
	b := &browser{history: &history{person: t.name}, cookies: map[string]string{}}
	a := t.ask(way, nil, "", request{method: "GET", path: "/api/csrf"})
	if a.status != http.StatusOK {
		return
	}
	b.accept(a)
	b.csrf = csrfOf(a.body)
	t.mu.Lock()
	password, changes, sure := t.passwords[0], t.changes, len(t.passwords) == 1
	t.mu.Unlock()
	body, _ := json.Marshal(map[string]any{"username": t.name, "password": password, "remember": !briefly})
	a = t.ask(way, b.cookies, b.csrf, request{method: "POST", path: "/login", body: string(body)})
	o := a.op(create)
	if o.outcome == refused || o.outcome == nothing {
		t.mu.Lock()
		defer t.mu.Unlock()
		if changes != t.changes {
			return // it was changed at that moment
		}
		if sure {
			t.odd("%s: a sign-in is refused: %d %s", t.name, a.status, a.problem.Code)
		}
		if len(t.passwords) > 1 && t.passwords[0] == password { // it may be the next one
			t.passwords = append(slices.Clone(t.passwords[1:]), password)
		}
		return
	}
	if o.outcome == done && a.status != http.StatusOK {
		t.odd("a sign-in is answered %d %s", a.status, a.problem.Code)
		return
	}
	t.count(o)
	pushed := o
	pushed.kind, pushed.reason = mayEnd, "evicted_by_limit"
	if o.outcome == unknown {
		t.happened(nil, a, pushed)
		return
	}
	s := stateOf(a.body)
	b.handle, b.cookies = s.Session.ID, map[string]string{} // without those of somebody signed out
	if !b.accept(a) || b.handle == "" {
		t.odd("a sign-in is answered without a session")
		return
	}
	t.own(b.handle, t.person)
	t.check(t.person, b.handle, "/login", a.body)
	t.happened(b.history, a, pushed)
	o.platform, o.tab = s.Platform.Name, t.number
	b.add(o)
	if briefly {
		b.add(runsOut(o)...)
	}
	t.mu.Lock()
	t.everything = append(t.everything, b.history)
	t.mu.Unlock()
	for patience := 0; ; patience++ {
		a = t.ask(way, b.cookies, "", request{method: "GET", path: "/api/csrf"})
		if a.status == http.StatusOK && a.header.Get("Set-Cookie") == "" {
			break
		}
		if a.status == http.StatusOK || patience == 3 {
			return // it is over already, or left alone
		}
		way = len(t.cluster.nodes)
	}
	b.csrf = csrfOf(a.body)
	t.mu.Lock()
	t.browsers = append(t.browsers, b)
	t.mu.Unlock()
}

func csrfOf(body []byte) string {
	var a struct {
		Token string `json:"csrf_token"`
	}
	_ = json.Unmarshal(body, &a) // an empty one is refused
	return a.Token
}
