package sessionhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// outage is a store that is away.
type outage struct {
	session.Store
	down *atomic.Bool
}

func (s outage) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if s.down.Load() {
		return session.Record{}, errDown
	}
	return s.Store.Get(ctx, id)
}

func (s outage) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	if s.down.Load() {
		return session.Feed{}, errDown
	}
	return s.Store.Changes(ctx, after, renew)
}

func (s outage) Touch(ctx context.Context, a []session.Activity) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.Touch(ctx, a)
}

// Whoever reads is served in the grace, also where activity would be stored; what may
// change something, an application's own forms above all, is to come back later, and a
// sign-out clears the cookie as it does without a grace.
func TestInTheGraceOfAnOutageReadingIsServedAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		people := session.StaticDirectory{{User: session.User{ID: "1", Username: "alex"}}}
		m, err := session.New(outage{memstore.New(), &down}, people, session.Config{
			Logger:  slog.New(slog.DiscardHandler),
			Timeout: session.Timeout{IdleTimeout: 5 * time.Minute, ActivityWriteInterval: time.Second, WarningThreshold: time.Minute},
			Sync:    session.Sync{OutageGrace: 20 * time.Second},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		h, err := sessionhttp.New(m, sessionhttp.Config{
			Logger: slog.New(slog.DiscardHandler),
			Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
				return session.CreateRequest{UserID: "1"}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		changes := 0
		served := h.Wrap(h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				changes++
			}
			io.WriteString(w, "done")
		})))
		_, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		do := func(method, path string, headers ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "https://example.com"+path, strings.NewReader(""))
			r.Header.Set("Cookie", "__Host-vedfolnir="+token.Reveal())
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			served.ServeHTTP(w, r)
			return w
		}
		synctest.Wait()
		csrf := tokenIn(t, do("GET", "/api/csrf"))
		form := []string{"X-CSRFToken", csrf, "Content-Type", "application/json", "Accept", "application/json"}
		if w := do("POST", "/app", form...); w.Code != 200 || changes != 1 {
			t.Fatalf("before: %d %s", w.Code, w.Body)
		}
		time.Sleep(time.Minute) // so that a page would store activity, and await it
		down.Store(true)
		time.Sleep(10 * time.Second)
		for _, path := range []string{"/app", "/api/session_state"} {
			if w := do("GET", path, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); w.Code != 200 {
				t.Errorf("GET %s in the grace: %d %s", path, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/app", "/api/session/heartbeat", "/logout"} {
			w := do("POST", path, form...)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" || changes != 1 {
				t.Errorf("POST %s in the grace: %d %s", path, w.Code, w.Body)
			}
			if set := w.Header().Get("Set-Cookie"); (path == "/logout") != strings.Contains(set, "Max-Age=0") {
				t.Errorf("POST %s in the grace: Set-Cookie %q", path, set)
			}
		}
		time.Sleep(15 * time.Second)
		if w := do("GET", "/app", "Accept", "application/json"); w.Code != 503 {
			t.Errorf("after the grace: %d %s", w.Code, w.Body)
		}
	})
}
