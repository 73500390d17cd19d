package dbscope_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var testFiles = fstest.MapFS{"app.js": {Data: []byte("'use strict'")}}

// serve runs h behind a real server, with HTTP/2 if asked for.
func serve(t *testing.T, h http.Handler, http2 bool) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // panics are on purpose
	if http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, srv *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	resp, err := srv.Client().Get(srv.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// A stream: the first event arrives, with the change committed, while the handler
// still runs; then the handler finds out that its transaction is over.
func TestLesson42_FlushReachesTheClientAfterTheCommit(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			db := &fakeDB{}
			scope, release := newScope(t, db), make(chan struct{})
			stream := adding(t, func(w http.ResponseWriter, r *http.Request) {
				flusher, ok := w.(http.Flusher)
				if !ok {
					t.Error("no Flusher")
					return
				}
				if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("deadline: %v", err)
				}
				fmt.Fprintln(w, "one")
				flusher.Flush()
				<-release
				fmt.Fprintln(w, "two")
			})
			srv := serve(t, scope.Wrap(stream.in(scope)), http2)
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			lines := bufio.NewReader(resp.Body)
			if line, err := lines.ReadString('\n'); line != "one\n" {
				t.Errorf("%q, %v", line, err)
			}
			wantHistory(t, db, "begin commit", "a")
			close(release)
			if line, err := lines.ReadString('\n'); line != "two\n" {
				t.Errorf("%q, %v", line, err)
			}
		})
	}
}

func TestLesson42_HijackSurvivesAndCommitsFirst(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	upgrade := adding(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\n%s", db.history())
		if err := rw.Flush(); err != nil {
			t.Error(err)
		}
	})
	srv := serve(t, scope.Wrap(upgrade.in(scope)), false)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "begin commit") {
		t.Errorf("%q, %v", answer, err)
	}
	wantHistory(t, db, "begin commit", "a")
}

func TestLesson42_AHijackWhoseCommitFailsIsRefused(t *testing.T) {
	scope := newScope(t, &fakeDB{failCommit: errDisk})
	upgrade := adding(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, errDisk) {
			t.Errorf("Hijack: %v", err)
		}
		http.Error(w, "cannot upgrade", http.StatusInternalServerError) // what upgraders do
	})
	resp, body := get(t, serve(t, scope.Wrap(upgrade.in(scope)), false), "/")
	if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "upgrade") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// A handler must see what the writer below has, no less and no more.
func TestLesson42_TheWriterOffersWhatTheOneBelowOffers(t *testing.T) {
	type faces struct{ flusher, hijacker bool }
	of := func(w http.ResponseWriter) faces {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		return faces{f, h}
	}
	for _, tc := range []struct {
		name  string
		http2 bool
		below func(http.Handler) http.Handler
		want  faces
	}{
		{name: "HTTP/1.1", want: faces{true, true}},
		{name: "HTTP/2 cannot be hijacked", http2: true, want: faces{true, false}},
		{
			name: "a buffer cannot be flushed", want: faces{false, false},
			below: func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
		},
		{
			name: "a wrapper that can only be unwrapped", want: faces{true, true},
			below: func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapper{w}, r) })
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scope := newScope(t, &fakeDB{})
			var h http.Handler = scope.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if got := of(w); got != tc.want {
					t.Errorf("%+v, want %+v", got, tc.want)
				}
			}))
			if tc.below != nil {
				h = tc.below(h)
			}
			get(t, serve(t, h, tc.http2), "/")
		})
	}
}

func TestOverAServer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		db     *fakeDB
		answer func(http.ResponseWriter, *http.Request)
		code   int // 0: the connection breaks
		events string
	}{
		{"kept", &fakeDB{}, status(201), 201, "begin commit"},
		{"refused", &fakeDB{}, status(422), 422, "begin rollback"},
		{"not kept", &fakeDB{failCommit: errDisk}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, strings.Repeat("saved!", 100))
		}, 503, "begin commit-failed"},
		{"panic", &fakeDB{}, func(http.ResponseWriter, *http.Request) { panic("boom") }, 0, "begin rollback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scope := newScope(t, tc.db)
			srv := serve(t, scope.Wrap(adding(t, tc.answer).in(scope)), false)
			resp, err := srv.Client().Post(srv.URL, "", nil)
			if tc.code == 0 {
				if err == nil {
					t.Errorf("answered %d", resp.StatusCode)
				}
			} else if err != nil || resp.StatusCode != tc.code {
				t.Errorf("%v, %v", resp, err)
			}
			if err == nil {
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if strings.Contains(string(body), "saved!") {
					t.Errorf("body %q", body)
				}
			}
			if got := tc.db.history(); got != tc.events {
				t.Errorf("transactions: %q, want %q", got, tc.events)
			}
		})
	}
}

func TestAClientThatLeftKeepsNothing(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			db := &fakeDB{}
			scope := newScope(t, db)
			started, finished := make(chan struct{}), make(chan error, 1)
			slow := adding(t, func(w http.ResponseWriter, r *http.Request) {
				close(started)
				<-r.Context().Done()
				_, err := fmt.Fprint(w, "done")
				finished <- err
			})
			srv := serve(t, scope.Wrap(slow.in(scope)), http2)
			ctx, leave := context.WithCancel(t.Context())
			go func() { <-started; leave() }()
			req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := srv.Client().Do(req); err == nil {
				resp.Body.Close()
				t.Error("the client did not leave")
			}
			if err := <-finished; !errors.Is(err, context.Canceled) {
				t.Errorf("Write: %v", err)
			}
			wantHistory(t, db, "begin rollback", "")
		})
	}
}

// A deadline is not a client that left: it must hear that nothing was kept.
func TestADeadlineThatPassedIsA503(t *testing.T) {
	db := &fakeDB{}
	scope := newScope(t, db)
	h := scope.Wrap(adding(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		fmt.Fprint(w, "saved!")
	}).in(scope))
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	}), false)
	if resp, body := get(t, srv, "/"); resp.StatusCode != 503 || strings.Contains(body, "saved!") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	wantHistory(t, db, "begin rollback", "")
}
