package server

import (
	"io"
	"net/http"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
)

// bodyTimeout is how long a request may take to send its body.
const bodyTimeout = 30 * time.Second

// routes returns everything the server serves. What stands outside of the session
// handler is the same for everybody and looks at no cookie. The outermost choice
// is no ServeMux, which would redirect unclean paths of the API.
func (a *App) routes() http.Handler {
	pages := a.sessions.Wrap(a.pageRoutes())
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/livez":
			a.live(w, r)
		case path == "/readyz":
			a.ready(w, r)
		case a.pages.Assets().Has(path):
			a.pages.Assets().ServeHTTP(w, r)
		default:
			pages.ServeHTTP(w, r)
		}
	})
	if a.demo {
		h = demoOnly(h, http.HandlerFunc(a.notFromHere))
	}
	return a.monitor.Requests(a.sessions.SecureHeaders(patient(h)), a.log)
}

// pageRoutes are the pages, and what their forms post to. They do what the API
// does, by the same calls.
func (a *App) pageRoutes() http.Handler {
	mux := http.NewServeMux()
	signedIn := func(h http.HandlerFunc) http.Handler { return a.sessions.RequireSession(h) }
	mux.Handle("GET /{$}", signedIn(a.home))
	mux.Handle("POST /switch", signedIn(a.switchPlatform))
	mux.Handle("POST /sessions/{id}/end", signedIn(a.endSession))
	mux.Handle("POST /sessions/end-others", signedIn(a.endOthers))
	mux.Handle("GET /api/admin/metrics", signedIn(a.showMetrics))
	if a.first != nil {
		mux.HandleFunc("GET "+firstStartPath, a.showFirstStart)
		mux.HandleFunc("POST "+firstStartPath, a.makeFirst)
	}
	mux.HandleFunc("/", a.nothingHere)
	return mux
}

// patient bounds the time in which a body has to arrive. (The server has no
// ReadTimeout: it would end event streams.)
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Not every connection can: a test's recorder.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// live says that the process answers.
func (a *App) live(w http.ResponseWriter, r *http.Request) { plain(w, http.StatusOK, "ok\n") }

// ready says whether to send people here: not while the server is ending, nor
// while the store does not answer.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	if a.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "ending\n")
		return
	}
	if err := a.store.ping(r.Context()); err != nil {
		a.log.WarnContext(r.Context(), "not ready: the database does not answer", "error", err)
		plain(w, http.StatusServiceUnavailable, "the database does not answer\n")
		return
	}
	plain(w, http.StatusOK, "ok\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// notFromHere refuses, in a demo, what did not come straight from this machine.
func (a *App) notFromHere(w http.ResponseWriter, r *http.Request) {
	a.problem(w, r, ui.Problem{
		Status: http.StatusMisdirectedRequest,
		Words:  "This is a demo with public passwords. It answers only to browsers on its own machine, at the address it printed when it started.",
	})
}
