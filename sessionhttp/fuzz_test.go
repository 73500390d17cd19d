package sessionhttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
)

func FuzzCookie(f *testing.F) {
	f.Add("vedfolnir=a")
	f.Add("a=b; vedfolnir=c; vedfolnir=d")
	f.Add("vedfolnir=; ;;=;vedfolnir")
	f.Fuzz(func(t *testing.T, line string) {
		value, err := cookie(http.Header{"Cookie": {line}}, "vedfolnir")
		if err != nil && value != "" {
			t.Errorf("%q is refused and gives %q", line, value)
		}
		if !strings.Contains(line, value) || strings.Contains(value, ";") {
			t.Errorf("%q gives %q", line, value)
		}
		if _, err := session.ParseToken(value); err == nil && len(value) != 76 {
			t.Errorf("%q is a token", value)
		}
		// Whatever else is there: a second one of the name is refused, wherever it
		// stands.
		if value == "" && err == nil {
			return
		}
		for _, both := range [][]string{{line + ";vedfolnir=x"}, {"vedfolnir=x; " + line}, {line, "vedfolnir=x"}} {
			if _, err := cookie(http.Header{"Cookie": both}, "vedfolnir"); err != errTwoCookies {
				t.Errorf("%q: %v", both, err)
			}
		}
	})
}

// A changed token is never good, whatever the change.
func FuzzCSRFToken(f *testing.F) {
	c := csrf{keys: [][]byte{[]byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))}}
	mine, another := subject{'s', [16]byte{1}}, subject{'s', [16]byte{2}}
	f.Add(c.make(mine))
	f.Add(c.make(another))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if c.check(text, mine) != nil {
			return
		}
		// It is good: then it is good for nobody else.
		if err := c.check(text, another); err != errCSRFStale {
			t.Errorf("%q is of two logins: %v", text, err)
		}
		forged := csrf{keys: [][]byte{[]byte(strings.Repeat("x", 32))}}
		if err := forged.check(text, mine); err != errCSRFInvalid {
			t.Errorf("%q is good under any key: %v", text, err)
		}
	})
}

// Whatever a stranger writes into the forwarded headers: from an address that is
// not named it changes nothing, and through a proxy that is, the proxy's own word
// counts.
func FuzzForwardedHeaders(f *testing.F) {
	f.Add("192.0.2.7:1234", "203.0.113.9", "https")
	f.Add("10.0.0.1:1234", "198.51.100.1, 203.0.113.9, 10.0.0.2", "https")
	f.Add("[2001:db8::1]:80", "[2001:db8::2]:4711, unknown", "https, http")
	f.Add("10.0.0.1:1", "10.0.0.2,10.0.0.3", "HTTPS")
	f.Add("@", ",,", "http")
	f.Add("[fe80::1%eth0]:1", "::ffff:10.0.0.9, ::ffff:203.0.113.1", "")
	f.Add("::1", `for="[::1]"`, "https\x00")
	h := &Handler{config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	f.Fuzz(func(t *testing.T, remote, forwarded, proto string) {
		ask := func(remote string, forwarded ...string) *http.Request {
			return &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": forwarded, "X-Forwarded-Proto": {proto}}}
		}
		r, silent := ask(remote, forwarded), &http.Request{RemoteAddr: remote, Header: http.Header{}}
		address := h.address(r)
		if !h.trusts(remoteAddr(r)) {
			if h.secure(r) || address != h.address(silent) {
				t.Errorf("%q counts from %q: %q", forwarded, remote, address)
			}
		} else if _, err := netip.ParseAddr(address); err != nil {
			t.Errorf("%q is no address", address)
		}
		if h.secure(r) && proto != "https" {
			t.Errorf("%q is taken for https", proto)
		}
		// What the proxy adds stands last, in the same line or in one of its own.
		const client = "203.0.113.200"
		for _, r := range []*http.Request{ask("10.0.0.1:80", forwarded+", "+client), ask("10.0.0.1:80", forwarded, client), ask("10.0.0.1:80", forwarded, client+", 10.0.0.7")} {
			if got := h.address(r); got != client {
				t.Errorf("after %q the proxy's own word is read as %q", forwarded, got)
			}
		}
	})
}

// What a reader says it has seen is a stamp of this session, or nothing.
func FuzzStreamParameters(f *testing.F) {
	id := session.ID{1, 2, 3}
	f.Add("1.2.3", "")
	f.Add("", "last_event_id=1.2.3")
	f.Add("", "last_event_id="+id.String()+".1.2.3")
	f.Add("", "last_event_id=00000000000000000000000000000000.1.2.3")
	f.Add("18446744073709551615.0.0", "last_event_id=%00&last_event_id=1.1.1")
	f.Add("+1.2.3", "last_event_id=;")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Last-Event-Id": {header}}}
		seen := lastSeen(r, id)
		if seen == (session.Stamp{}) {
			return
		}
		said := header
		if said == "" {
			said = r.URL.Query().Get("last_event_id")
		}
		if said != seen.String() && said != id.String()+"."+seen.String() {
			t.Errorf("%q is read as %v", said, seen)
		}
		if header != "" && header != seen.String() {
			t.Errorf("the header %q is read as %v", header, seen)
		}
	})
}

// A body is JSON that is said to be so, within the bound, or it is refused; what
// it says is read as encoding/json does, and nothing is made up.
func FuzzJSONBody(f *testing.F) {
	f.Add([]byte(`{"username":"alex","password":"x","platform_id":12}`), "application/json")
	f.Add([]byte(`{"active":true}`), "application/json; charset=utf-8")
	f.Add([]byte(``), "application/json")
	f.Add([]byte(`{}`), "text/plain")
	f.Add([]byte(`{}`), "")
	f.Add([]byte(`{"username":1,"password":["x"]}`), "application/json")
	f.Add([]byte(`{"username":"a","username":"b","password":"p"}`), "APPLICATION/JSON")
	f.Add([]byte(`[[[[[[[[[[{"platform_id":1e400}]]]]]]]]]]`), "application/json")
	f.Add([]byte("\xef\xbb\xbf{}"), "application/json")
	f.Add([]byte(`{"username":"\ud800","password":"\u0000"}`), "application/json")
	f.Fuzz(func(t *testing.T, sent []byte, contentType string) {
		ask := func() *http.Request {
			r := httptest.NewRequest("POST", "/login", bytes.NewReader(sent))
			r.Header.Set("Content-Type", contentType)
			return r
		}
		body, err := readBody(httptest.NewRecorder(), ask())
		var bad *badRequestError
		var tooLarge *http.MaxBytesError
		switch {
		case err == nil:
			if len(body) > 0 && (!bytes.Equal(body, sent) || !isJSON(ask()) || !json.Valid(body)) {
				t.Errorf("%q as %q is read as %q", sent, contentType, body)
			}
			if len(body) == 0 && len(sent) > 0 {
				t.Errorf("%q is read as nothing", sent)
			}
		case body != nil:
			t.Errorf("%q is refused and read: %v", sent, err)
		case errors.As(err, &tooLarge):
			if len(sent) <= maxBody {
				t.Errorf("%d bytes are too many", len(sent))
			}
		case !errors.As(err, &bad) && err != errMediaType:
			t.Errorf("%q: %v", sent, err)
		}
		if status := ProblemOf(err).Status; err != nil && (status < 400 || status > 499) {
			t.Errorf("%q is answered %d", sent, status)
		}
		if isForm(ask()) {
			return
		}
		given, err := readSignIn(httptest.NewRecorder(), ask())
		if err != nil {
			if given.Credentials != (Credentials{}) {
				t.Errorf("%q is refused and gives %v", sent, given)
			}
			return
		}
		if given.Username == "" || given.Password == "" || given.Username != strings.TrimSpace(given.Username) {
			t.Errorf("%q signs in as %q", sent, given.Username)
		}
		var beat struct{ Active bool }
		if (&call{body: sent}).decode(&beat) == nil && beat.Active && !bytes.Contains(bytes.ToLower(sent), []byte("true")) {
			t.Errorf("%q is activity", sent)
		}
	})
}

// A way back leads to a path of this origin, as a browser reads it.
func FuzzSafeNext(f *testing.F) {
	for _, next := range []string{"/", "/queue?page=2#top", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/%2f/evil", "/a\r\nX: y", "", "\x00/"} {
		f.Add(next)
	}
	base := &url.URL{Scheme: "https", Host: "app.example", Path: "/login"}
	f.Fuzz(func(t *testing.T, next string) {
		safe := SafeNext(next)
		if safe == "" {
			return
		}
		if safe != next {
			t.Errorf("%q becomes %q", next, safe)
		}
		// A browser drops tabs and line breaks and reads a backslash as a slash.
		read := strings.ReplaceAll(strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(safe), `\`, "/")
		to, err := base.Parse(read)
		if err == nil && (to.Host != base.Host || to.Scheme != base.Scheme) || strings.HasPrefix(read, "//") {
			t.Errorf("%q leads to %v", next, to)
		}
		w := httptest.NewRecorder()
		seeOther(w, safe)
		var wire bytes.Buffer
		if err := w.Result().Write(&wire); err != nil {
			t.Fatal(err)
		}
		if lines, _ := io.ReadAll(&wire); strings.Count(string(lines), "\r\n") != 4 {
			t.Errorf("%q makes headers: %q", next, lines)
		}
	})
}
