package cluster

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// called asks by the browser's cookies. An answer that is neither expected nor one of
// those that every request may get is odd.
func (t *tab) called(b *browser, way int, q request, expected ...int) *answer {
	a := t.ask(way, b.jar(), b.csrf, q)
	if a.status != 0 && a.status < 500 && a.status != http.StatusUnauthorized && !slices.Contains(expected, a.status) {
		t.odd("%s %s: %d %s %s", q.method, q.path, a.status, a.problem.Code, a.problem.Reason)
	}
	if a.status == http.StatusOK {
		t.check(t.person, b.handle, q.path, a.body)
	}
	return a
}

func (t *tab) look(b *browser, way, _ int) {
	a := t.called(b, way, request{method: "GET", path: "/api/session_state"}, 200)
	o := a.op(look)
	if o.outcome == done {
		s := stateOf(a.body)
		o.version, o.platform = s.Session.Version, s.Platform.Name
	}
	t.note(b, a, o)
}

func (t *tab) list(b *browser, way, which int) {
	path := []string{"/api/sessions", "/api/user_platforms"}[which%2]
	a := t.called(b, way, request{method: "GET", path: path}, 200)
	if o := a.op(look); o.outcome == refused {
		t.note(b, a, o)
	}
}

func (t *tab) switchPlatform(b *browser, way, which int) {
	ids := t.platformIDs()
	id := ids[which%len(ids)]
	a := t.called(b, way, request{method: "POST", path: "/api/switch_platform/" + id, body: "{}"}, 200)
	o := a.op(switchTo)
	o.platform = t.platforms[id]
	t.note(b, a, o)
}

func (t *tab) refresh(b *browser, way, _ int) {
	a := t.called(b, way, request{method: "POST", path: "/api/session/refresh", body: "{}"}, 200, 409)
	t.note(b, a, a.op(refresh))
}

func (t *tab) signOut(b *browser, way, _ int) {
	a := t.called(b, way, request{method: "POST", path: "/logout", body: "{}"}, 200)
	o := a.op(end)
	o.reason = "signed_out"
	t.note(b, a, o)
}

// endAnother of the person's sessions, by the list of devices.
func (t *tab) endAnother(b *browser, way, which int) {
	other := t.choose(which, false)
	if other == nil || other == b {
		return
	}
	a := t.called(b, way, request{method: "DELETE", path: "/api/sessions/" + other.handle}, 200, 404)
	if o := a.op(look); o.outcome == refused {
		t.note(b, a, o)
		return
	}
	o := a.op(end)
	o.reason = "revoked_by_user"
	if a.status == http.StatusNotFound {
		o.outcome = gone
	}
	t.note(other, a, o)
}

func (t *tab) endOthers(b *browser, way, _ int) {
	a := t.called(b, way, request{method: "POST", path: "/api/sessions/revoke_others", body: "{}"}, 200)
	o := a.op(end)
	if o.outcome == refused {
		t.note(b, a, o)
		return
	}
	o.reason = "revoked_by_user"
	t.happened(b.history, a, o)
}

// changePassword ends all other sessions, and gives this one a new token.
func (t *tab) changePassword(b *browser, way, _ int) {
	b.mu.Lock()
	early := b.rotated != 0 && t.now()-b.rotated < between
	b.mu.Unlock()
	if early || !t.changing.TryLock() {
		return
	}
	defer t.changing.Unlock()
	t.mu.Lock()
	before := t.passwords
	t.changes++
	current, fresh := before[0], fmt.Sprintf("secret words no. %d of %s", t.changes, t.name)
	t.passwords = append(slices.Clone(before), fresh) // until it is known
	t.mu.Unlock()
	settle := func(passwords ...string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.passwords = passwords
	}
	b.mu.Lock()
	b.rotated = t.now()
	b.mu.Unlock()
	a := t.called(b, way, request{method: "POST", path: "/password", form: url.Values{
		"current": {current}, "password": {fresh}, "again": {fresh}, "csrf_token": {b.csrf},
	}}, http.StatusSeeOther, http.StatusForbidden)
	o := a.op(rotate)
	switch {
	case o.outcome == refused:
		settle(before...)
		t.note(b, a, o)
		return
	case a.status == http.StatusForbidden: // after a change without an answer it may be another
		if a.tried > 0 {
			return // or the one before has done it
		}
		if len(before) == 1 {
			t.odd("the current password is refused: %s", a.problem.Code)
		}
		settle(append(slices.Clone(before[1:]), current)...)
		return
	case o.outcome == done:
		settle(fresh)
	}
	others := o
	others.kind, others.reason = end, "credential_changed"
	if o.outcome == done && !b.accept(a) {
		o.outcome = nothing // another tab changed the session at that moment
	}
	if strings.Contains(a.header.Get("Location"), "password-only") {
		o.outcome, others.outcome = unknown, unknown
	}
	t.happened(b.history, a, others)
	t.note(b, a, o)
}
