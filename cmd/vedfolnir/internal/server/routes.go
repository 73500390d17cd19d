package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
)

// requestTimeout is how long a request may take to send its body, and how long its
// answer may wait for the database in all.
const requestTimeout = 30 * time.Second

// serving returns everything that the server serves.
func (a *App) serving() (http.Handler, error) {
	r, err := a.newRouter(a.table())
	if err != nil {
		return nil, err
	}
	h := r.handler(a.sessions)
	if a.demo {
		h = demoOnly(h, http.HandlerFunc(a.notFromHere))
	}
	return a.monitor.Requests(a.sessions.SecureHeaders(patient(withAttempt(h))), a.log, func(r *http.Request) string {
		return a.sessions.Client(r).IPAddress
	}), nil
}

// patient bounds the time in which a body has to arrive, and how long an answer may
// wait for the database. (The server has no timeouts of its own: they would end event
// streams.)
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Not every connection can: a test's recorder.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
		}
		if !lasting[r.URL.Path] {
			ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// lasting are the routes whose answers take as long as they take.
var lasting = map[string]bool{"/api/session/events": true, exportPath: true}

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

// arrival tells whoever asks the address that the server knows them by, so that
// doctor can see what a proxy in front makes of it.
func (a *App) arrival(w http.ResponseWriter, r *http.Request) {
	a.json(w, r, map[string]string{"address": a.sessions.Client(r).IPAddress})
}

// json answers with 200.
func (a *App) json(w http.ResponseWriter, r *http.Request, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		a.sessions.Error(w, r, fmt.Errorf("answer in JSON: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(body)
	a.sent(r, err)
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
