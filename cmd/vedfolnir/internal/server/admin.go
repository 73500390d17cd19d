package server

import (
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/monitor"
	"github.com/vedfolnir/session/sessionhttp"
)

// adminRoutes are for operators and their tools, on a listener of their own: it
// asks nobody who they are.
func (a *App) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.monitor.Metrics())
	mux.HandleFunc("GET /livez", a.live)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /summary", a.summary)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	return mux
}

// serveAdmin serves them until the server is closed; with no address it does
// nothing.
func (a *App) serveAdmin(s config.Settings, l net.Listener) *http.Server {
	server := &http.Server{Handler: a.adminRoutes(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	if l == nil {
		return server
	}
	if !s.AdminLoopback {
		a.log.Warn("the admin address is reached from other machines, and asks nobody who they are: let only your monitoring through", "address", s.AdminAddr)
	}
	go func() {
		if err := server.Serve(l); err != http.ErrServerClosed {
			a.log.Error("metrics are not served any more", "error", err)
		}
	}()
	a.log.Info("metrics and profiles", "address", l.Addr().String())
	return server
}

func (a *App) summary(w http.ResponseWriter, r *http.Request) {
	text, err := a.monitor.PerformanceSummary(r.Context(), a.manager)
	if err != nil {
		plain(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	plain(w, http.StatusOK, text)
}

// showMetrics is for administrators who are signed in.
func (a *App) showMetrics(w http.ResponseWriter, r *http.Request) {
	metrics, err := a.monitor.CurrentMetrics(r.Context(), a.manager)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.json(w, r, struct {
		Success bool `json:"success"`
		monitor.Metrics
	}{true, metrics})
}

// mustBeAdmin asks the directory: what the session was made with may be old.
func (a *App) mustBeAdmin(r *http.Request) error {
	e, err := a.people.Entry(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		return unavailable(err)
	}
	if e.Role != directory.Admin || e.Disabled {
		return sessionhttp.ErrForbidden
	}
	return nil
}
