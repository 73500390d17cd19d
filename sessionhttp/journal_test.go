package sessionhttp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// visit opens the site signed out: it holds the pre-login cookie, and returns the
// token that goes with it.
func (e *edge) visit(t *testing.T) string {
	t.Helper()
	e.cookie = ""
	w := e.do("GET", "/api/csrf", "")
	e.cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return tokenIn(t, w)
}

func tokenIn(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Token == "" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return body.Token
}

// sprint writes the values in every way.
func sprint(values ...any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%v %+v %#v %s\n", v, v, v, v)
	}
	return b.String()
}

// quietLogger is for tests that do not look at it.
var quietLogger = slog.New(slog.DiscardHandler)
