package sessionhttp

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// normal writes prefixes of IPv4 addresses that are written as IPv6 ones as what
// they are: addresses are compared so.
func normal(prefixes []netip.Prefix) []netip.Prefix {
	list := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		if list[i] = p; p.Addr().Is4In6() && p.Bits() >= 96 {
			list[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return list
}

func (h *Handler) fromTrustedProxy(r *http.Request) bool {
	return len(h.config.TrustedProxies) > 0 && h.trusts(remoteAddr(r))
}

func (h *Handler) trusts(a netip.Addr) bool {
	for _, p := range h.config.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// hintInterval is how often one and the same fault of the set-up is told.
const hintInterval = 10 * time.Minute

// hints are told to the operator where a proxy breaks sign-in in a way that people
// see and nobody explains. They are bounded, for strangers can cause them.
type hints struct {
	mu   sync.Mutex
	told map[string]time.Time // by message
}

func (h *Handler) hint(r *http.Request, message string, attrs ...slog.Attr) {
	now := h.m.Now()
	h.hints.mu.Lock()
	before, ever := h.hints.told[message]
	due := !ever || now.Sub(before) >= hintInterval
	if due {
		if h.hints.told == nil {
			h.hints.told = map[string]time.Time{}
		}
		h.hints.told[message] = now
	}
	h.hints.mu.Unlock()
	if due {
		h.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, message, append(attrs, slog.String("host", r.Host))...)
	}
}

// The faults, each with its way out.
const (
	hintUnnamed  = "sessionhttp: an address that is not named as a proxy says that people use https. If it is your proxy, name it in Config.TrustedProxies (vedfolnir serve --trusted-proxy ADDRESS): until then nobody can sign in through it. If it is not, somebody makes it up, and it counts for nothing"
	hintProtocol = "sessionhttp: somebody could not sign in, for the named proxy does not say that people use https: let it set X-Forwarded-Proto to https (nginx: proxy_set_header X-Forwarded-Proto $scheme), and redirect plain http"
	hintPlain    = "sessionhttp: somebody could not sign in over plain http: let them use https, by a certificate here or by a proxy that is named in Config.TrustedProxies (vedfolnir serve --tls-cert, or --trusted-proxy ADDRESS)"
	hintHost     = "sessionhttp: the named proxy changes Host, so that browsers which send no Sec-Fetch-Site are refused as another origin: let it hand on Host (nginx: proxy_set_header Host $http_host)"
)

// lookAtProxy tells of a request that came by a proxy which is set up in a way
// that breaks cookies or the check of the origin.
func (h *Handler) lookAtProxy(r *http.Request) {
	if r.TLS != nil {
		return
	}
	trusted := h.fromTrustedProxy(r)
	switch {
	case !trusted && saysHTTPS(r.Header):
		h.hint(r, hintUnnamed, slog.String("address", remoteAddr(r).String()))
	case trusted && changesHost(r):
		h.hint(r, hintHost, slog.String("proxy", remoteAddr(r).String()), slog.String("origin", r.Header.Get("Origin")))
	}
}

// explainPlainHTTP says why nobody can sign in by this request.
func (h *Handler) explainPlainHTTP(r *http.Request) {
	switch {
	case h.fromTrustedProxy(r):
		h.hint(r, hintProtocol, slog.String("proxy", remoteAddr(r).String()), slog.String("x_forwarded_proto", r.Header.Get("X-Forwarded-Proto")))
	case saysHTTPS(r.Header):
		h.lookAtProxy(r) // where SecureHeaders has not
	default:
		h.hint(r, hintPlain, slog.String("address", remoteAddr(r).String()))
	}
}

// saysHTTPS reports whether one of the headers that proxies tell the protocol by
// says https, whoever wrote it.
func saysHTTPS(header http.Header) bool {
	return len(header["X-Forwarded-Proto"]) > 0 && strings.Contains(strings.ToLower(header.Get("X-Forwarded-Proto")), "https") ||
		len(header["Forwarded"]) > 0 && strings.Contains(strings.ToLower(header.Get("Forwarded")), "proto=https") ||
		len(header["X-Forwarded-Ssl"]) > 0 && strings.EqualFold(header.Get("X-Forwarded-Ssl"), "on")
}

// changesHost: the browser says that it is the same origin, and the host is not.
func changesHost(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		return false
	}
	_, host, ok := strings.Cut(r.Header.Get("Origin"), "://")
	return ok && host != r.Host
}
