package sessionhttp

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/vedfolnir/session"
)

// ErrPlainHTTP refuses a sign-in that would send the token in clear.
var ErrPlainHTTP = errors.New("sessionhttp: sign-in over plain http on a host that is not loopback: use https, name the proxy in TrustedProxies, or set DangerouslyAllowPlainHTTP")

var errTwoCookies = errors.New("two session cookies of one name")

// secure reports whether the browser reached us over TLS.
func (h *Handler) secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && h.fromTrustedProxy(r)
}

// cookieName has the __Host- prefix over TLS: a browser then takes the cookie from
// this host only, never from a sibling domain.
func (h *Handler) cookieName(r *http.Request, suffix string) string {
	if h.secure(r) {
		return "__Host-" + h.config.CookieName + suffix
	}
	return h.config.CookieName + suffix
}

// cookie finds the one cookie of that name without parsing the others.
func cookie(header http.Header, name string) (value string, err error) {
	found := false
	for _, line := range header["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			got, v, ok := strings.Cut(strings.TrimLeft(part, " \t"), "=")
			if !ok || got != name {
				continue
			}
			if found {
				return "", errTwoCookies
			}
			found, value = true, strings.TrimRight(v, " \t")
		}
	}
	return value, nil
}

// token returns the one in the session cookie of that suffix; presented is false
// without one.
func (h *Handler) token(r *http.Request, suffix string) (t session.Token, presented bool, err error) {
	value, err := cookie(r.Header, h.cookieName(r, suffix))
	if err != nil || value == "" {
		return session.Token{}, err != nil, err
	}
	t, err = session.ParseToken(value)
	return t, true, err
}

// presented returns the token in the session cookie, or why there is none.
func (h *Handler) presented(r *http.Request, suffix string) (session.Token, error) {
	t, presented, err := h.token(r, suffix)
	if err == nil && !presented {
		err = errSessionRequired
	}
	return t, err
}

// setCookie is called by sign-in, rotation and sign-out alone; a zero token clears.
// One that is persistent stays when the browser is closed.
func (h *Handler) setCookie(w http.ResponseWriter, r *http.Request, suffix string, t session.Token, persistent bool) {
	c := h.newCookie(r, suffix)
	if t == (session.Token{}) {
		c.MaxAge = -1
	} else {
		c.Value = t.Reveal()
		if persistent {
			// How long the browser keeps it; how long it is good, the store decides.
			c.MaxAge = int(h.m.Config().Timeout.AbsoluteTimeout / time.Second)
		}
	}
	http.SetCookie(w, c)
	noStore(w.Header())
}

func (h *Handler) newCookie(r *http.Request, suffix string) *http.Cookie {
	c := &http.Cookie{
		Name: h.cookieName(r, suffix), Path: "/", HttpOnly: true, Secure: h.secure(r), SameSite: http.SameSiteLaxMode,
	}
	if h.config.SameSiteStrict {
		c.SameSite = http.SameSiteStrictMode
	}
	return c
}

// mayCarryToken reports whether a token may be sent in answer to r. The host alone
// is the client's own word.
func (h *Handler) mayCarryToken(r *http.Request) bool {
	return h.secure(r) || h.config.DangerouslyAllowPlainHTTP || isLoopback(r.Host) && remoteAddr(r).IsLoopback()
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Client describes who sent r: the connection's address, or what the nearest
// trusted proxies say of it.
func (h *Handler) Client(r *http.Request) session.Client {
	return session.Client{UserAgent: r.UserAgent(), IPAddress: h.address(r), Language: r.Header.Get("Accept-Language")}
}

func (h *Handler) address(r *http.Request) string {
	remote := remoteAddr(r)
	if !remote.IsValid() {
		return ""
	}
	if !h.trusts(remote) {
		// net/http writes it as netip does: a part of it is not copied.
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			return host
		}
		return remote.String()
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parseAddr(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break // what a proxy did not write is nobody's word
		}
		if remote = hop; !h.trusts(remote) {
			break
		}
	}
	return remote.String()
}

// remoteAddr is the zero Addr for a unix socket, which has none.
func remoteAddr(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

// parseAddr reads an address with or without a port: some proxies write one.
// The zone of a link-local one is this machine's own word for it: it is left out.
func parseAddr(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, _ := netip.ParseAddr(text)
	return a.Unmap().WithZone("")
}
