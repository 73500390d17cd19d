package dbscope

import (
	"fmt"
	"net/http"
)

// exchange is all that one request needs, in one allocation.
type exchange[T any] struct {
	unit   unit[T]
	writer writer[T]
}

// Wrap gives each request to next one transaction, found with [Scope.Tx] under the
// request's context and ended before the first byte of the answer. Put it inside
// the middleware that compresses, logs or recovers, and outside whatever asks for
// the transaction.
func (s *Scope[T]) Wrap(next http.Handler) http.Handler {
	s.mustBeComplete()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange[T]{}
		x.writer.ResponseWriter, x.writer.request = w, r
		x.writer.cookies = len(w.Header()["Set-Cookie"])
		if outer := s.find(r.Context()); outer != nil {
			x.writer.unit, x.writer.joined = outer, true
		} else {
			x.unit.Context, x.unit.scope = r.Context(), s
			x.writer.unit = &x.unit
			r = r.WithContext(&x.unit)
		}
		x.writer.serve(next, r)
	})
}

// serve does not recover a panic: it goes on with the stack that shows where it
// began.
func (w *writer[T]) serve(next http.Handler, r *http.Request) {
	returned := false
	defer func() {
		if !returned {
			w.panicked()
		}
	}()
	next.ServeHTTP(w.face(), r)
	returned = true
	_ = w.decide(http.StatusOK) // an error has been answered and logged
}

func (w *writer[T]) panicked() {
	if w.joined {
		w.unit.doom(fmt.Errorf("an inner handler failed: %w", errPanicked))
		return
	}
	w.unit.abandon()
}

// decide ends the transaction, once, before the first byte. An error means that
// the request has been refused, and that nothing of the handler's may be sent.
func (w *writer[T]) decide(status int) error {
	if w.decided {
		return w.err
	}
	w.decided = true
	failed := status >= http.StatusBadRequest
	switch {
	case w.joined && failed:
		w.unit.doom(fmt.Errorf("an inner handler answered %d", status))
	case w.joined:
	case failed:
		w.unit.abandon()
	default:
		if w.err = w.unit.commit(); w.err != nil {
			w.refuse()
		}
	}
	return w.err
}
