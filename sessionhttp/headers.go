package sessionhttp

import "net/http"

// headers are the security headers of every answer, ready to be assigned: an
// answer costs no allocation for them. The slices are shared and never appended to.
type headers []struct {
	name  string // canonical
	value []string
}

const defaultCSP = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"

func newHeaders(csp string) headers {
	if csp == "" {
		csp = defaultCSP
	}
	return headers{
		{"Content-Security-Policy", []string{csp}},
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Referrer-Policy", []string{"same-origin"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
	}
}

var (
	hsts         = []string{"max-age=31536000; includeSubDomains"}
	noStoreValue = []string{"no-store"}
	varyCookie   = []string{"Cookie"}
	jsonType     = []string{"application/json; charset=utf-8"}
)

// SecureHeaders adds the security headers to every answer of next, which may change
// them: Config.ContentSecurityPolicy, nosniff, same-origin as the opener, resource and
// referrer policy, and over TLS a year of Strict-Transport-Security, with the host's
// subdomains. [Handler.Wrap] does so already.
func (h *Handler) SecureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		for _, line := range h.headers {
			header[line.name] = line.value
		}
		if h.secure(r) {
			header["Strict-Transport-Security"] = hsts
		}
		h.lookAtProxy(r)
		next.ServeHTTP(w, r)
	})
}

func noStore(header http.Header) { header["Cache-Control"] = noStoreValue }

// vary adds Cookie to what is there.
func vary(header http.Header) {
	if len(header["Vary"]) == 0 {
		header["Vary"] = varyCookie
		return
	}
	header.Add("Vary", "Cookie")
}
