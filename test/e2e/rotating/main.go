// Program rotating is an application that gives its people a new token at a button:
// for tests in a real browser of what becomes of their tabs.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// overlap is short, so that a test need not wait for long.
const overlap = time.Second

func main() {
	m, err := session.New(memstore.New(), nil, session.Config{Security: session.Security{RotationOverlap: overlap}})
	if err != nil {
		log.Fatal(err)
	}
	var h *sessionhttp.Handler
	h, err = sessionhttp.New(m, sessionhttp.Config{
		Login: func(context.Context, sessionhttp.Credentials) (session.CreateRequest, error) {
			return session.CreateRequest{UserID: "alex"}, nil
		},
		LoginPage: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			why := ""
			if p := h.WhySignedOut(r); p != nil {
				why = p.Message
			}
			page(w, "", fmt.Sprintf(`<p>%s</p><form method="post"><input type="hidden" name="csrf_token" value="%s">
				<input name="username" value="alex"><input name="password" value="any"><button>Sign in</button></form>`, why, h.CSRFToken(w, r)))
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	meet := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /{$}", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page(w, string(h.Head(w, r)), "<h1>Signed in</h1>")
	})))
	mux.Handle("POST /rotate", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("how") == "together" { // whoever comes first waits for the other
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-r.Context().Done():
			}
		}
		_, err := h.Rotate(w, r)
		if r.FormValue("how") == "cut" {
			panic(http.ErrAbortHandler) // with all that the answer was to say
		}
		if err != nil {
			h.Error(w, r, err)
		}
	})))
	log.Fatal(http.ListenAndServe(os.Args[1], h.Wrap(mux)))
}

func page(w http.ResponseWriter, head, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><head><title>Rotating</title>%s</head><body>%s</body></html>\n", head, body)
}
