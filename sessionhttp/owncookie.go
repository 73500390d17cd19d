package sessionhttp

import "net/http"

// NewCookie returns an empty cookie of the application's own, for the answer to r: with
// the session cookie's name and the suffix behind it, such as "-theme", its prefix and
// all else that keeps it to this host and from scripts. SameSite is Lax. The package's
// own suffixes are "", "-prelogin", "-device" and "-as".
func (h *Handler) NewCookie(r *http.Request, suffix string) *http.Cookie {
	c := h.newCookie(r, suffix)
	c.SameSite = http.SameSiteLaxMode
	return c
}

// CookieValue returns what r holds in the cookie that NewCookie made; empty: there is
// none, or two of that name, of which one was put there by somebody else.
func (h *Handler) CookieValue(r *http.Request, suffix string) string {
	value, err := cookie(r.Header, h.cookieName(r, suffix))
	if err != nil {
		return ""
	}
	return value
}
