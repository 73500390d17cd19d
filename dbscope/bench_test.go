package dbscope_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vedfolnir/session/dbscope"
)

// discard is a writer that costs nothing, so that only the scope is measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
func (d discard) Flush()                      {}

var (
	ok                = []byte("ok")
	bare http.Handler = http.HandlerFunc(answerOK) // a variable, so that nothing is inlined away
)

func answerOK(w http.ResponseWriter, _ *http.Request) { w.Write(ok) }

// The two are the request's copy with its context, and the scope with its writer.
func TestARequestThatNeverAsksCostsTwoAllocations(t *testing.T) {
	h := newScope(t, &fakeDB{}).Wrap(http.HandlerFunc(answerOK))
	var w http.ResponseWriter = discard{http.Header{}}
	r := httptest.NewRequest("GET", "/", nil)
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 2 {
		t.Errorf("%v allocations, want 2", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	pool := (&fakeDB{}).open(b)
	scope := dbscope.SQL(pool, nil)
	nothing := &dbscope.Scope[int]{
		Begin:    func(context.Context) (int, error) { return 1, nil },
		Commit:   func(int, context.Context) error { return nil },
		Rollback: func(int, context.Context) error { return nil },
	}
	for _, bc := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", bare},
		{"context value only", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			bare.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), nothing, nothing)))
		})},
		{"never asks", scope.Wrap(bare)},
		{"asks, without a database", nothing.Wrap(asking(nothing))},
		{"asks, database/sql by hand", byHand(pool)},
		{"asks, database/sql", scope.Wrap(asking(scope))},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			var w http.ResponseWriter = discard{http.Header{}}
			ctx, cancel := context.WithCancel(b.Context()) // a server's can end, too
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			for b.Loop() {
				bc.h.ServeHTTP(w, r)
			}
		})
	}
}

func asking[T any](s *dbscope.Scope[T]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.Tx(r.Context()); err != nil {
			panic(err)
		}
		answerOK(w, r)
	})
}

func byHand(db *sql.DB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tx, err := db.BeginTx(r.Context(), nil)
		if err != nil {
			panic(err)
		}
		if err := tx.Commit(); err != nil {
			panic(err)
		}
		answerOK(w, r)
	})
}
