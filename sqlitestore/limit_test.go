package sqlitestore_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sqlitestore"
)

// signInNode is a server with a store of its own on the file.
type signInNode struct {
	store    *sqlitestore.Store
	manager  *session.Manager
	served   http.Handler
	failures sync.Map // of sign-ins: code to whether it was a failed attempt
}

func newSignInNode(t *testing.T, path string, security session.Security) *signInNode {
	t.Helper()
	n := &signInNode{store: open(t, path)}
	var err error
	quiet := slog.New(slog.DiscardHandler)
	if n.manager, err = session.New(n.store, nil, session.Config{Security: security, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.manager.Close() })
	h, err := sessionhttp.New(n.manager, sessionhttp.Config{
		Login: func(ctx context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
			epoch, err := n.manager.SignInEpoch(ctx, "1")
			return session.CreateRequest{UserID: "1", SignInEpoch: epoch}, err
		},
		Logger:  quiet,
		Refused: func(_ *http.Request, p sessionhttp.Problem) { n.failures.Store(p.Code, p.FailedAttempt()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.served = h.Wrap(http.NotFoundHandler())
	return n
}

// ask is one request of a browser with that cookie.
func (n *signInNode) ask(method, path, body, csrf string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.TLS = nil
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-CSRFToken", csrf)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	n.served.ServeHTTP(w, r)
	return w
}

// signIn goes the whole way of a browser: the form's token first.
func (n *signInNode) signIn(t *testing.T) *httptest.ResponseRecorder {
	w := n.ask("GET", "/api/csrf", "", "")
	_, after, found := strings.Cut(w.Body.String(), `"csrf_token":"`)
	csrf, _, _ := strings.Cut(after, `"`)
	if !found {
		t.Errorf("no token: %d %s", w.Code, w.Body)
	}
	return n.ask("POST", "/login", `{"username":"alex","password":"right"}`, csrf, w.Result().Cookies()...)
}

// 200 sign-ins at once, on three nodes with a file between them.
func TestTheLimitHoldsUnderSignInsAtOnce(t *testing.T) {
	const signIns, limit = 200, 5
	for _, policy := range []session.LimitPolicy{session.EvictOldest, session.EvictIdlest, session.DenyNewest} {
		t.Run(string(policy), func(t *testing.T) {
			path := emptyFile(t)
			var nodes [3]*signInNode
			for i := range nodes {
				nodes[i] = newSignInNode(t, path, session.Security{MaxConcurrentPerUser: limit, LimitPolicy: policy})
			}
			watching, looked := make(chan struct{}), make(chan int)
			go func() { // at any instant
				for n := 0; ; n++ {
					select {
					case <-watching:
						looked <- n
						return
					default:
					}
					live, err := nodes[n%3].store.List(t.Context(), "1")
					if err != nil || len(live) > limit {
						t.Errorf("%d live sessions under a limit of %d, %v", len(live), limit, err)
					}
				}
			}()
			answers := make([]*httptest.ResponseRecorder, signIns)
			var group sync.WaitGroup
			for i := range signIns {
				group.Go(func() { answers[i] = nodes[i%3].signIn(t) })
			}
			group.Wait()
			close(watching)
			if n := <-looked; n == 0 {
				t.Error("nobody looked")
			}

			var in, denied, alive, madeWay int
			for i, w := range answers {
				switch {
				case w.Code == 200:
					in++
				case w.Code == 409 && strings.Contains(w.Body.String(), "LIMIT_REACHED") && len(sessionCookies(w)) == 0:
					denied++
					continue
				default:
					t.Fatalf("a sign-in: %d %s", w.Code, w.Body)
				}
				// On another node than the one it came by.
				state := nodes[(i+1)%3].ask("GET", "/api/session_state", "", "", sessionCookies(w)...)
				switch body := state.Body.String(); {
				case state.Code == 200:
					alive++
				case state.Code == 401 && strings.Contains(body, `"reason":"evicted_by_limit"`) && strings.Contains(body, `"ended_from":"Unknown device"`):
					madeWay++
				default:
					t.Errorf("afterwards: %d %s", state.Code, body)
				}
			}
			wantIn := signIns
			if policy == session.DenyNewest {
				wantIn = limit
			}
			if in != wantIn || denied != signIns-wantIn || alive != limit || madeWay != in-limit {
				t.Errorf("%d signed in, %d refused, %d alive, %d made way", in, denied, alive, madeWay)
			}
			for _, n := range nodes {
				if failed, refused := n.failures.Load("LIMIT_REACHED"); refused != (policy == session.DenyNewest) || refused && failed.(bool) {
					t.Errorf("refused %v, as a failed attempt %v", refused, failed)
				}
			}
		})
	}
}

func sessionCookies(w *httptest.ResponseRecorder) (cookies []*http.Cookie) {
	for _, c := range w.Result().Cookies() {
		if c.Name == "vedfolnir" && c.MaxAge >= 0 {
			cookies = append(cookies, c)
		}
	}
	return cookies
}
