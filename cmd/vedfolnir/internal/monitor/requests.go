package monitor

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session/audit"
)

// Requests counts and times the requests of next, and writes one line for each to
// the log, under the id that the client is told in X-Request-Id. The line has
// the address that from tells, and neither query nor cookies nor bodies. What asks
// all day long (probes, assets) has its line at level Debug.
func (m *Monitor) Requests(next http.Handler, log *slog.Logger, from func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := rand.Text()
		w.Header().Set("X-Request-Id", id)
		seen := &answer{ResponseWriter: w}
		defer func() {
			took := time.Since(start)
			route := Route(r.URL.Path)
			code := strconv.Itoa(seen.code())
			m.requests.WithLabelValues(route, method(r.Method), code).Inc()
			if route != "/api/session/events" {
				m.durations.WithLabelValues(route).Observe(took.Seconds())
			}
			level := slog.LevelInfo
			if route == "probe" || route == "asset" {
				level = slog.LevelDebug
			}
			log.LogAttrs(r.Context(), level, "request", slog.String("request_id", id), slog.String("method", method(r.Method)),
				slog.String("path", r.URL.Path), slog.Int("status", seen.code()), slog.Int64("bytes", seen.bytes),
				slog.Float64("seconds", took.Seconds()), slog.String("from", from(r)))
		}()
		next.ServeHTTP(seen, r.WithContext(audit.WithRequestID(r.Context(), id)))
	})
}

// routes that have a name of their own; all others share one.
var routes = map[string]bool{
	"/": true, "/login": true, "/logout": true, "/switch": true, "/first-start": true, "/password": true, "/reauth": true, "/safety": true, "/api/safety": true, "/sessions/end-others": true, "/people": true,
	"/openid/sign-in": true, "/openid/prove": true, "/openid/link": true, "/openid/unlink": true, "/openid/callback": true, "/backchannel-logout": true,
	"/api/csrf": true, "/api/session_state": true, "/api/session/validate": true, "/api/session/cleanup": true,
	"/api/user_platforms": true, "/api/session/refresh": true, "/api/session/heartbeat": true, "/api/session/events": true,
	"/api/sessions": true, "/api/sessions/revoke_others": true, "/api/session/security": true, "/api/session/reauth": true, "/api/session/reauth/options": true, "/api/admin/metrics": true, "/api/arrival": true, "/api/export": true,
	"/passkeys": true, "/passkeys/rename": true, "/passkeys/remove": true, "/recovery-codes": true, "/recover": true,
	"/api/passkeys": true, "/api/passkeys/options": true, "/api/passkeys/sign_in": true, "/api/passkeys/sign_in/options": true,
}

// Route is the name under which requests of a path are counted, one of a few.
func Route(path string) string {
	switch {
	case routes[path]:
		return path
	case path == "/livez", path == "/readyz":
		return "probe"
	case strings.HasPrefix(path, "/assets/"), strings.HasPrefix(path, "/session-"):
		return "asset"
	case strings.HasPrefix(path, "/api/switch_platform/"):
		return "/api/switch_platform/{id}"
	case strings.HasPrefix(path, "/safety/seen/"):
		return "/safety/seen/{id}"
	case strings.HasPrefix(path, "/api/safety/seen/"):
		return "/api/safety/seen/{id}"
	case strings.HasPrefix(path, "/api/sessions/"):
		return "/api/sessions/{handle}"
	case strings.HasPrefix(path, "/people/"):
		return "/people/{id}/act-as"
	case strings.HasPrefix(path, "/api/admin/impersonate/"):
		return "/api/admin/impersonate/{id}"
	case strings.HasPrefix(path, "/sessions/") && strings.HasSuffix(path, "/end"):
		return "/sessions/{handle}/end"
	}
	return "other"
}

// method bounds what a stranger can make a label of.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// answer sees what is sent.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status < 200 { // what came before was only informational
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status < 200 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
