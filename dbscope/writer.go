package dbscope

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer decides about the transaction before it passes anything on. Like every
// ResponseWriter it is for one goroutine at a time.
type writer[T any] struct {
	http.ResponseWriter
	unit    *unit[T]
	request *http.Request
	cookies int // set before the handler ran
	joined  bool
	decided bool
	err     error // why the request was refused
}

// Unwrap lets [http.ResponseController] reach what this writer does not offer
// itself: deadlines and full duplex.
func (w *writer[T]) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer[T]) WriteHeader(status int) {
	informational := status < http.StatusOK && status != http.StatusSwitchingProtocols
	if informational || w.decide(status) == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *writer[T]) Write(p []byte) (int, error) {
	if err := w.decide(http.StatusOK); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// WriteString spares the server's writer the copy that io.WriteString would make.
func (w *writer[T]) WriteString(s string) (int, error) {
	if err := w.decide(http.StatusOK); err != nil {
		return 0, err
	}
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom keeps sendfile for static files.
func (w *writer[T]) ReadFrom(src io.Reader) (int64, error) {
	if err := w.decide(http.StatusOK); err != nil {
		return 0, err
	}
	return io.Copy(w.ResponseWriter, src)
}

func (w *writer[T]) flush() error {
	if err := w.decide(http.StatusOK); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer[T]) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.decide(http.StatusSwitchingProtocols); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// flusher and hijacker are the faces a writer shows beside its plain one. Being a
// single pointer they cost no allocation.
type (
	flusher[T any]  struct{ *writer[T] }
	hijacker[T any] struct{ flusher[T] }
)

func (w flusher[T]) FlushError() error { return w.flush() }

// Flush has no error to return; the next Write returns it.
func (w flusher[T]) Flush() { _ = w.flush() }

func (w hijacker[T]) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// face offers what the writer below has, no more: a handler must not stream into
// a buffer, and a ResponseController must not reach past the commit. What can
// hijack is taken to flush as well.
func (w *writer[T]) face() http.ResponseWriter {
	switch f := (flusher[T]{w}); {
	case has[http.Hijacker](w.ResponseWriter):
		return hijacker[T]{f}
	case has[http.Flusher](w.ResponseWriter), has[interface{ FlushError() error }](w.ResponseWriter):
		return f
	default:
		return w
	}
}

// has looks where [http.ResponseController] would.
func has[I any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(I); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}
