package dbscope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/dbscope"
)

type handle func(w http.ResponseWriter, r *http.Request, s *sqlScope)

// adding is a handler that adds "a" and then answers.
func adding(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) handle {
	return func(w http.ResponseWriter, r *http.Request, s *sqlScope) {
		mustAdd(t, r.Context(), s, "a")
		answer(w, r)
	}
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (h handle) in(s *sqlScope) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(w, r, s) })
}

func TestTheStatusDecides(t *testing.T) {
	for code, kept := range map[int]bool{
		200: true, 201: true, 204: true, 302: true, 303: true, 304: true,
		400: false, 401: false, 404: false, 409: false, 422: false, 500: false, 503: false,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			db := &fakeDB{}
			scope := newScope(t, db)
			rec := httptest.NewRecorder()
			scope.Wrap(adding(t, status(code)).in(scope)).ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))
			if rec.Code != code {
				t.Errorf("answered %d", rec.Code)
			}
			if kept {
				wantHistory(t, db, "begin commit", "a")
			} else {
				wantHistory(t, db, "begin rollback", "")
			}
		})
	}
}

// watched fails the test if a byte leaves while a transaction is open.
type watched struct {
	http.ResponseWriter
	db *fakeDB
	t  *testing.T
}

func (w watched) check() {
	if w.db.count("begin") != w.db.count("commit") {
		w.t.Errorf("a byte left before the commit: %s", w.db.history())
	}
}

func (w watched) WriteHeader(code int)        { w.check(); w.ResponseWriter.WriteHeader(code) }
func (w watched) Write(p []byte) (int, error) { w.check(); return w.ResponseWriter.Write(p) }
func (w watched) FlushError() error {
	w.check()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func TestTheCommitComesBeforeTheFirstByte(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"WriteHeader":   status(201),
		"an upgrade":    status(http.StatusSwitchingProtocols),
		"Write":         func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") },
		"WriteString":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") },
		"ReadFrom":      func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(strings.NewReader("x"), 1)) },
		"Flush":         func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"controller":    func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() },
		"several":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); fmt.Fprint(w, "x", "y") },
		"wrapped again": func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(unwrapper{w}).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			db := &fakeDB{}
			scope := newScope(t, db)
			rec := httptest.NewRecorder()
			h := scope.Wrap(adding(t, answer).in(scope))
			h.ServeHTTP(watched{rec, db, t}, httptest.NewRequest("POST", "/", nil))
			wantHistory(t, db, "begin commit", "a")
		})
	}
}

type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestInformationalAnswersDecideNothing(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	h := func(w http.ResponseWriter, r *http.Request, s *sqlScope) {
		mustAdd(t, r.Context(), s, "a")
		w.WriteHeader(http.StatusEarlyHints)
		mustAdd(t, r.Context(), s, "b")
		w.WriteHeader(http.StatusConflict)
	}
	scope.Wrap(handle(h).in(scope)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	wantHistory(t, db, "begin rollback", "")
}

func TestAFailedCommitIsNeverASuccess(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"nothing written": func(http.ResponseWriter, *http.Request) {},
		"a body":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "saved!") },
		"a status":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); fmt.Fprint(w, "saved!") },
		"a redirect":      func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/saved!", http.StatusSeeOther) },
		"a flush":         func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); fmt.Fprint(w, "saved!") },
		"a copy":          func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("saved!")) },
		"early hints":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "saved!"); w.WriteHeader(103) },
	} {
		t.Run(name, func(t *testing.T) {
			scope := newScope(t, &fakeDB{failCommit: errDisk})
			rec := httptest.NewRecorder()
			rec.Header().Add("Set-Cookie", "outer=1")
			rec.Header().Set("Vary", "Cookie")
			scope.Wrap(adding(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "6")
				w.Header().Set("Etag", `"saved!"`)
				http.SetCookie(w, &http.Cookie{Name: "inner", Value: "saved!"})
				answer(w, r)
			}).in(scope)).ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))

			if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
				t.Errorf("answered %d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
			}
			if all := fmt.Sprint(rec.Header(), rec.Body); strings.Contains(all, "saved!") {
				t.Errorf("a part of the handler's answer was sent: %s", all)
			}
			if got := rec.Header()["Set-Cookie"]; len(got) != 1 || rec.Header().Get("Vary") != "Cookie" {
				t.Errorf("what was set outside is gone: %v", rec.Header())
			}
		})
	}
}

func TestTheHandlerLearnsOfAFailedCommit(t *testing.T) {
	scope := newScope(t, &fakeDB{failCommit: errDisk})
	h := adding(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			if n, err := fmt.Fprint(w, "x"); n != 0 || !errors.Is(err, errDisk) {
				t.Errorf("Write: %d, %v", n, err)
			}
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, errDisk) {
			t.Errorf("Flush: %v", err)
		}
	})
	scope.Wrap(h.in(scope)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
}

func TestARefusalSpeaksTheLanguageOfTheClient(t *testing.T) {
	for _, tc := range []struct {
		name, path, header, value string
		json                      bool
	}{
		{name: "a page", path: "/notes"},
		{name: "the API", path: "/api/notes", json: true},
		{name: "a client that accepts JSON", path: "/notes", header: "Accept", value: "application/json", json: true},
		{name: "a script", path: "/notes", header: "X-Requested-With", value: "XMLHttpRequest", json: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scope := newScope(t, &fakeDB{failCommit: errDisk})
			rec, req := httptest.NewRecorder(), httptest.NewRequest("POST", tc.path, nil)
			req.Header.Set(tc.header, tc.value)
			rec.Header().Set("X-Request-Id", "r1")
			scope.Wrap(adding(t, status(200)).in(scope)).ServeHTTP(rec, req)

			if strings.Contains(rec.Body.String(), errDisk.Error()) {
				t.Errorf("the client was told of the database: %s", rec.Body)
			}
			if !tc.json {
				if got := rec.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
					t.Errorf("Content-Type %q", got)
				}
				return
			}
			var body map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body["success"] != false || body["error_code"] != "UNAVAILABLE" || body["request_id"] != "r1" {
				t.Errorf("body %v", body)
			}
			if _, err := time.Parse(time.RFC3339, fmt.Sprint(body["timestamp"])); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFailedAnswersInsteadAndTheLogIsTold(t *testing.T) {
	var log bytes.Buffer
	scope := newScope(t, &fakeDB{failCommit: errDisk})
	scope.Log = slog.New(slog.NewTextHandler(&log, nil))
	scope.Failed = func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
		w.WriteHeader(599)
	}
	rec := httptest.NewRecorder()
	scope.Wrap(adding(t, status(200)).in(scope)).ServeHTTP(rec, httptest.NewRequest("POST", "/n", nil))
	if rec.Code != 599 {
		t.Errorf("answered %d", rec.Code)
	}
	if !strings.Contains(log.String(), "disk full") || !strings.Contains(log.String(), "path=/n") {
		t.Errorf("log: %q", log.String())
	}
}

func TestAPanicRollsBackAndGoesOn(t *testing.T) {
	for _, v := range []any{"boom", http.ErrAbortHandler} {
		db := &fakeDB{}
		scope := newScope(t, db)
		func() {
			defer func() {
				if got := recover(); got != v {
					t.Errorf("recovered %v, want %v", got, v)
				}
			}()
			h := adding(t, func(http.ResponseWriter, *http.Request) { panic(v) })
			scope.Wrap(h.in(scope)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
		}()
		wantHistory(t, db, "begin rollback", "")
	}
}

func TestWhatWasAnsweredIsKeptInSpiteOfALaterPanic(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		wantHistory(t, db, "begin commit", "a")
	}()
	h := adding(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("boom") })
	scope.Wrap(h.in(scope)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
}

func TestNestedWrapsAreOneTransaction(t *testing.T) {
	errInner := errors.New("inner")
	recovering := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { _ = recover() }()
			next.ServeHTTP(w, r)
		})
	}
	for _, tc := range []struct {
		name   string
		inner  handle
		code   int
		events string
		words  string
	}{
		{
			name: "both are kept", code: 200, events: "begin commit", words: "outer inner",
			inner: func(_ http.ResponseWriter, r *http.Request, s *sqlScope) { mustAdd(t, r.Context(), s, "inner") },
		},
		{
			name: "the inner one answers", code: 201, events: "begin commit", words: "outer",
			inner: func(w http.ResponseWriter, _ *http.Request, _ *sqlScope) { w.WriteHeader(201) },
		},
		{
			name: "the inner one refuses", code: 404, events: "begin rollback",
			inner: func(w http.ResponseWriter, _ *http.Request, _ *sqlScope) { w.WriteHeader(404) },
		},
		{
			name: "a panic that somebody between swallows", code: 503, events: "begin rollback",
			inner: func(http.ResponseWriter, *http.Request, *sqlScope) { panic("boom") },
		},
		{
			name: "an error of Run that the handler swallows", code: 503, events: "begin rollback",
			inner: func(_ http.ResponseWriter, r *http.Request, s *sqlScope) {
				_ = s.Run(r.Context(), func(context.Context) error { return errInner })
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := &fakeDB{}
			scope := newScope(t, db)
			inner := recovering(scope.Wrap(tc.inner.in(scope)))
			outer := scope.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mustAdd(t, r.Context(), scope, "outer")
				inner.ServeHTTP(w, r)
			}))
			rec := httptest.NewRecorder()
			outer.ServeHTTP(rec, httptest.NewRequest("POST", "/", nil))
			if rec.Code != tc.code {
				t.Errorf("answered %d, want %d", rec.Code, tc.code)
			}
			wantHistory(t, db, tc.events, tc.words)
		})
	}
}

func TestAWrapWithinARunMarksItByItsStatus(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	h := scope.Wrap(adding(t, status(500)).in(scope))
	err := scope.Run(t.Context(), func(ctx context.Context) error {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "POST", "/", nil))
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "answered 500") {
		t.Errorf("got %v", err)
	}
	wantHistory(t, db, "begin rollback", "")
}

// An answer that has begun cannot be taken back, so nothing may be begun either.
func TestLesson20_AskingAfterTheFirstByteIsAClearError(t *testing.T) {
	for _, asked := range []bool{true, false} {
		scope := newScope(t, &fakeDB{})
		h := func(w http.ResponseWriter, r *http.Request, s *sqlScope) {
			if asked {
				mustAdd(t, r.Context(), s, "a")
			}
			fmt.Fprint(w, "x")
			if _, err := s.Tx(r.Context()); !errors.Is(err, dbscope.ErrDone) {
				t.Errorf("asked=%v: %v", asked, err)
			}
		}
		scope.Wrap(handle(h).in(scope)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
}

func TestLesson20_AStaticFileTakesNoConnection(t *testing.T) {
	db := &fakeDB{}
	pool := db.open(t)
	files := dbscope.SQL(pool, nil).Wrap(http.FileServerFS(testFiles))
	for range 100 {
		rec := httptest.NewRecorder()
		files.ServeHTTP(rec, httptest.NewRequest("GET", "/app.js", nil))
		if rec.Code != http.StatusOK || rec.Body.Len() == 0 {
			t.Fatalf("answered %d", rec.Code)
		}
	}
	if s := pool.Stats(); s.OpenConnections != 0 || db.history() != "" {
		t.Errorf("%d connections, %q", s.OpenConnections, db.history())
	}
}

func TestLesson20_EveryEndGivesTheConnectionBack(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"commit": status(200), "rollback": status(500), "panic": func(http.ResponseWriter, *http.Request) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			pool := (&fakeDB{}).open(t)
			pool.SetMaxOpenConns(1) // a leak would hang the second request
			scope := dbscope.SQL(pool, nil)
			h := scope.Wrap(adding(t, answer).in(scope))
			for range 3 {
				func() {
					defer func() { _ = recover() }()
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
				}()
			}
			if n := pool.Stats().InUse; n != 0 {
				t.Errorf("%d connections in use", n)
			}
		})
	}
}
