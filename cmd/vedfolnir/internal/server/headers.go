package server

import "net/http"

// Policies for every answer. Scripts, styles and images come from this server
// only, and nothing is inline.
const (
	contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	transportPolicy = "max-age=31536000; includeSubDomains"
)

// guarded sets the headers that every answer has, errors included. What is not
// declared otherwise is not kept by anybody.
func guarded(next http.Handler, https bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if https {
			h.Set("Strict-Transport-Security", transportPolicy)
		}
		next.ServeHTTP(w, r)
	})
}
