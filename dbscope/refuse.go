package dbscope

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	sorry = "The change could not be saved. Please try again in a moment."
	// retryAfter is in seconds: a database that restarts is back within a few.
	retryAfter = "1"
)

// promises are the headers that speak of an answer which is not sent, or tell the
// client to act on it.
var promises = []string{
	"Accept-Ranges", "Clear-Site-Data", "Content-Disposition", "Content-Encoding",
	"Content-Language", "Content-Length", "Content-Location", "Content-Range",
	"Content-Type", "Etag", "Expires", "Last-Modified", "Location", "Refresh", "Trailer",
}

// refuse answers in place of the handler.
func (w *writer[T]) refuse() {
	s, ctx := w.unit.scope, w.request.Context()
	if !errors.Is(ctx.Err(), context.Canceled) { // a client that left is no failure
		s.log().ErrorContext(ctx, "a request's transaction was not kept", "error", w.err,
			"method", w.request.Method, "path", w.request.URL.Path)
	}
	w.takeBack()
	if s.Failed != nil {
		s.Failed(w.ResponseWriter, w.request, w.err)
		return
	}
	unavailable(w.ResponseWriter, w.request)
}

// takeBack removes what the handler promised. Cookies that were there before it
// ran stay: a session's rotation is not the transaction's.
func (w *writer[T]) takeBack() {
	h := w.Header()
	for _, name := range promises {
		delete(h, name)
	}
	if cookies := h["Set-Cookie"]; len(cookies) > w.cookies {
		h["Set-Cookie"] = cookies[:w.cookies]
	}
}

func unavailable(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", retryAfter)
	if !wantsJSON(r) {
		http.Error(w, sorry, http.StatusServiceUnavailable)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	// A failure to write is the client's, who has left.
	_ = json.NewEncoder(w).Encode(problem{
		Error:     sorry,
		Code:      "UNAVAILABLE",
		Reason:    "not_committed",
		RequestID: h.Get("X-Request-Id"),
		Timestamp: time.Now().UTC().Truncate(time.Second),
	})
}

// problem is the error body of the session API.
type problem struct {
	Success   bool      `json:"success"`
	Error     string    `json:"error"`
	Code      string    `json:"error_code"`
	Reason    string    `json:"reason"`
	RequestID string    `json:"request_id"`
	Timestamp time.Time `json:"timestamp"`
}

// wantsJSON is the session API's rule.
func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") ||
		strings.Contains(r.Header.Get("Accept"), "application/json") ||
		r.Header.Get("X-Requested-With") == "XMLHttpRequest"
}
