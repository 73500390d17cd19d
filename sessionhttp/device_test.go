package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

const deviceCookie = "__Host-vedfolnir-device"

// devices is a handler that knows them, and one browser.
type devices struct {
	t       *testing.T
	h       *sessionhttp.Handler
	cookies map[string]*http.Cookie
	answer  *httptest.ResponseRecorder // the last one
}

func newDevices(t *testing.T, keys ...string) *devices {
	t.Helper()
	return newDevicesWith(t, sessionhttp.Config{KnownDevices: true, Logger: quietLogger}, keys...)
}

func newDevicesWith(t *testing.T, handler sessionhttp.Config, keys ...string) *devices {
	t.Helper()
	config := session.Config{Logger: quietLogger}
	for _, key := range keys {
		config.Security.Keys = append(config.Security.Keys, []byte(strings.Repeat(key, 32)))
	}
	m, err := session.New(memstore.New(), nil, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	h, err := sessionhttp.New(m, handler)
	if err != nil {
		t.Fatal(err)
	}
	return &devices{t: t, h: h, cookies: map[string]*http.Cookie{}}
}

func (d *devices) request() *http.Request {
	r := httptest.NewRequest("POST", "https://example.com/", nil)
	for _, c := range d.cookies {
		r.AddCookie(c)
	}
	return r
}

func (d *devices) do(f func(http.ResponseWriter, *http.Request) error) {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.answer = w
	if err := f(w, d.request()); err != nil {
		d.t.Fatal(err)
	}
	for _, c := range w.Result().Cookies() {
		if d.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(d.cookies, c.Name)
		}
	}
}

func (d *devices) signIn(user session.UserID) {
	d.t.Helper()
	d.do(func(w http.ResponseWriter, r *http.Request) error {
		_, err := d.h.SignIn(w, r, user)
		return err
	})
}

func (d *devices) knows(user session.UserID, want bool) (id string) {
	d.t.Helper()
	id, known := d.h.KnownDevice(d.request(), user)
	if known != want || known == (id == "") {
		d.t.Errorf("known to %s: %v %q, want %v", user, known, id, want)
	}
	return id
}

func TestADeviceIsKnownOnceItsOwnerHasSignedIn(t *testing.T) {
	d := newDevices(t, "k")
	d.knows("1", false)
	d.signIn("1")
	id := d.knows("1", true)
	d.knows("2", false)
	d.knows("", false)
	c := d.cookies[deviceCookie]
	if c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 400*24*3600 {
		t.Errorf("the cookie: %+v", c)
	}
	d.do(d.h.SignOut)
	if d.cookies["__Host-vedfolnir"] != nil {
		t.Error("signing out left the session's cookie")
	}
	if d.knows("1", true) != id {
		t.Error("signing out made it another device")
	}
	// Others sign in with it too: it is known to the last four.
	for _, user := range []session.UserID{"2", "3", "1", "4"} {
		d.signIn(user)
	}
	if d.knows("1", true) != id {
		t.Error("it is another device after others signed in")
	}
	d.signIn("5")
	for user, want := range map[session.UserID]bool{"1": true, "2": false, "3": true, "4": true, "5": true} {
		d.knows(user, want)
	}
	if n := len(d.cookies[deviceCookie].Value); n > 200 {
		t.Errorf("the cookie has %d bytes", n)
	}
}

func TestADevicesCookieCannotBeMade(t *testing.T) {
	d := newDevices(t, "k")
	d.signIn("1")
	good := d.cookies[deviceCookie].Value
	other := newDevices(t, "k")
	other.signIn("2")
	for what, value := range map[string]string{
		"nothing": "", "one bit flipped": flipped(good, 30), "another id": flipped(good, 3), "cut off": good[:40], "longer": good + "AAAA",
		"no base64": strings.Repeat("!", len(good)), "a great deal": strings.Repeat("A", 4000), "another person's": other.cookies[deviceCookie].Value,
	} {
		d.cookies[deviceCookie] = &http.Cookie{Name: deviceCookie, Value: value}
		if _, known := d.h.KnownDevice(d.request(), "1"); known {
			t.Errorf("%s: the device is known", what)
		}
	}
	// Of another server; and with the key it was made with in second place.
	d.cookies[deviceCookie] = &http.Cookie{Name: deviceCookie, Value: good}
	for keys, want := range map[string]bool{"x": false, "k": true, "xk": true} {
		s := newDevices(t, strings.Split(keys, "")...)
		s.cookies = d.cookies
		s.knows("1", want)
	}
}

func flipped(text string, at int) string {
	b := []byte(text)
	if b[at]++; b[at] == '{' || b[at] == '[' || b[at] == ':' || b[at] == '.' || b[at] == '`' {
		b[at] = 'A'
	}
	return string(b)
}

// Who has not asked for it gets no second cookie.
func TestDevicesAreNotRememberedUnasked(t *testing.T) {
	e := newEdge(t, nil, sessionhttp.Config{})
	r := httptest.NewRequest("POST", "https://example.com/", nil)
	w := httptest.NewRecorder()
	if _, err := e.h.SignIn(w, r, "1"); err != nil {
		t.Fatal(err)
	}
	if set := w.Result().Cookies(); len(set) != 1 || set[0].Name != "__Host-vedfolnir" {
		t.Errorf("Set-Cookie: %v", set)
	}
}

// What SignedIn stores is there before anybody has the token: neither cookie has been
// set when it is told, and the browser is known only by those that it brought.
func TestEverySignInIsToldBeforeItsAnswer(t *testing.T) {
	var d *devices
	var known []bool
	d = newDevicesWith(t, sessionhttp.Config{KnownDevices: true, Logger: quietLogger, SignedIn: func(r *http.Request, c *session.Context) {
		if n := len(d.answer.Header()); n != 0 || c.Session.UserID != "7" {
			t.Errorf("told of %s with %d headers set", c.Session.UserID, n)
		}
		_, is := d.h.KnownDevice(r, c.Session.UserID)
		known = append(known, is)
	}})
	d.signIn("7")
	d.signIn("7")
	if len(known) != 2 || known[0] || !known[1] {
		t.Errorf("%v", known)
	}
}
