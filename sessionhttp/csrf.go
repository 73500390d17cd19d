package sessionhttp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"mime"
	"net/http"
	"net/url"

	"github.com/vedfolnir/session"
)

// csrf makes and checks the tokens of the synchronizer pattern, after OWASP's
// "HMAC based token" and with a mask against BREACH: a token is an HMAC over a
// purpose and the handle of the login it belongs to, and every answer shows it
// under another mask. It is good as long as the login is, for every tab.
type csrf struct{ keys [][]byte }

// subject is the login that a token belongs to.
type subject struct {
	purpose byte // 's' a session, 'p' a browser before it signs in
	id      [16]byte
}

const csrfLength = 1 + 16 + sha256.Size

var csrfText = base64.RawURLEncoding.Strict()

func (c csrf) mac(key []byte, s subject) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range [][]byte{{s.purpose}, s.id[:]} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// make returns the token of s, different each time.
func (c csrf) make(s subject) string {
	var token [2 * csrfLength]byte
	mask, masked := token[:csrfLength], token[csrfLength:]
	rand.Read(mask)
	plain := append(append([]byte{s.purpose}, s.id[:]...), c.mac(c.keys[0], s)...)
	subtle.XORBytes(masked, mask, plain)
	return csrfText.EncodeToString(token[:])
}

// check returns nil for a token of s, errCSRFStale for one that was made here for
// another login, and errCSRFInvalid for everything else.
func (c csrf) check(text string, s subject) error {
	token, err := csrfText.DecodeString(text)
	if err != nil || len(token) != 2*csrfLength {
		return errCSRFInvalid
	}
	plain := make([]byte, csrfLength)
	subtle.XORBytes(plain, token[:csrfLength], token[csrfLength:])
	of := subject{plain[0], [16]byte(plain[1:17])}
	for _, key := range c.keys {
		if hmac.Equal(plain[17:], c.mac(key, of)) {
			if of != s {
				return errCSRFStale
			}
			return nil
		}
	}
	return errCSRFInvalid
}

// CSRFToken returns a token for a form's csrf_token or the page's meta tag. The
// request must have come through the middleware. For somebody signed out it may
// set the pre-login cookie, so call it before the body is written.
func (h *Handler) CSRFToken(w http.ResponseWriter, r *http.Request) string {
	if c := session.FromContext(r.Context()); c.Live() {
		return h.csrf.make(subject{'s', c.Session.ID})
	}
	visit := visitOf(r.Context())
	if visit.prelogin == ([16]byte{}) {
		id, ok := h.prelogin(r)
		if !ok {
			rand.Read(id[:])
			c := h.newCookie(r, preloginSuffix)
			c.Value = csrfText.EncodeToString(id[:])
			http.SetCookie(w, c)
		}
		visit.prelogin = id
		noStore(w.Header())
	}
	return h.csrf.make(subject{'p', visit.prelogin})
}

// TokenSubject names what the request's CSRF token belongs to: its session, or the
// browser of somebody who is signed out. Whatever takes more than one request before
// it comes to a sign-in is bound to it, so that one browser cannot go on with what
// another began. Empty: neither, and no token of the request is good.
func (h *Handler) TokenSubject(r *http.Request) string {
	if c := session.FromContext(r.Context()); c.Live() {
		return "session " + c.Session.ID.String()
	}
	if id, ok := h.prelogin(r); ok {
		return "browser " + csrfText.EncodeToString(id[:])
	}
	return ""
}

const preloginSuffix = "-prelogin"

// prelogin reads the cookie that the sign-in form's token is bound to. It is
// random, and never becomes a session.
func (h *Handler) prelogin(r *http.Request) (id [16]byte, ok bool) {
	value, err := cookie(r.Header, h.cookieName(r, preloginSuffix))
	if err != nil {
		return id, false
	}
	decoded, err := csrfText.DecodeString(value)
	if err != nil || len(decoded) != len(id) {
		return id, false
	}
	return [16]byte(decoded), true
}

// checkOrigin refuses what another site's page sent.
func (h *Handler) checkOrigin(r *http.Request) error {
	if h.origins.Check(r) != nil {
		return errCrossOrigin
	}
	// A page served over plain http is another origin, whatever its host.
	if origin := r.Header.Get("Origin"); origin != "" && isUnsafe(r.Method) && h.secure(r) {
		if u, err := url.Parse(origin); err != nil || u.Scheme != "https" {
			return errCrossOrigin
		}
	}
	return nil
}

// checkTokenOf demands the token of a live session. What a guest had open from before
// there was one is as good: it is of the same browser.
func (h *Handler) checkTokenOf(r *http.Request, c *session.Context) error {
	err := h.checkToken(r, subject{'s', c.Session.ID})
	if id, ok := h.prelogin(r); err != nil && c.Session.Guest && ok && h.checkToken(r, subject{'p', id}) == nil {
		return nil
	}
	return err
}

// checkToken demands the token of the login: in the header, or in the field of a
// plain form outside of the API.
func (h *Handler) checkToken(r *http.Request, s subject) error {
	token := r.Header.Get("X-CSRFToken")
	if token == "" && isForm(r) && !h.isAPI(r) {
		token = r.PostForm.Get("csrf_token")
	}
	return h.csrf.check(token, s)
}

func isUnsafe(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions && method != http.MethodTrace
}

// shows reports whether a method asks for what is to be seen.
func shows(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// isForm reports whether r is a plain form. (One with files has to send its token
// in the header: it is not read here.)
func isForm(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/x-www-form-urlencoded" && isUnsafe(r.Method)
}

func isJSON(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/json"
}
