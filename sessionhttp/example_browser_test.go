package sessionhttp_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

var exampleDirectory = session.StaticDirectory{{
	User: session.User{ID: "1", Username: "alex"},
	Platforms: []session.Platform{
		{ID: "11", Name: "My Pixelfed", Type: "pixelfed", IsDefault: true},
		{ID: "12", Name: "My Mastodon", Type: "mastodon"},
	},
}}

func exampleHandler() (h *sessionhttp.Handler, end func() error) {
	m, err := session.New(memstore.New(), exampleDirectory, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if h, err = sessionhttp.New(m, sessionhttp.Config{}); err != nil {
		panic(err)
	}
	return h, m.Close
}

// browser is one over TLS, with one cookie. (Package sessiontest has a better one,
// for tests.)
type browser struct {
	served        http.Handler
	cookie, value string
}

func newBrowser(served http.Handler) *browser { return &browser{served: served} }

func (b *browser) signIn(h *sessionhttp.Handler, user session.UserID) *browser {
	w := httptest.NewRecorder()
	if _, err := h.SignIn(w, httptest.NewRequest("POST", "https://example.com/", nil), user); err != nil {
		panic(err)
	}
	b.keep(w)
	return b
}

func (b *browser) keep(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		b.cookie, b.value = c.Name, c.Value
	}
}

func (b *browser) get(path string) string { return b.do("GET", path, "") }

func (b *browser) post(path, body string, headers ...string) string {
	w := b.ask("GET", "/api/csrf", "")
	token := strings.Split(w.Body.String(), `"`)[3]
	return b.do("POST", path, body, append(headers, "X-CSRFToken", token, "Content-Type", "application/json")...)
}

// do returns the status and what matters of the answer.
func (b *browser) do(method, path, body string, headers ...string) string {
	w := b.ask(method, path, body, headers...)
	text := w.Body.String()
	if _, code, ok := strings.Cut(text, `"error_code":"`); ok {
		text, _, _ = strings.Cut(code, `"`)
	} else if strings.HasPrefix(text, "{") {
		text = ""
	}
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("Location"), text))
}

func (b *browser) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://example.com"+path, strings.NewReader(body))
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: b.cookie, Value: b.value})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.served.ServeHTTP(w, r)
	b.keep(w)
	return w
}
