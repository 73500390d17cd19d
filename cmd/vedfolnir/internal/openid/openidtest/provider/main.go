// Program provider is an OpenID provider on this machine, with one person who is always
// signed in: for tests in a real browser. At /sign-out they sign out, and the client at
// the address that it was started with is told so.
//
//	provider 127.0.0.1:9000 http://localhost:8080/backchannel-logout
package main

import (
	"fmt"
	"html"
	"log"
	"net/http"
	"net/url"
	"os"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid/openidtest"
)

func main() {
	address, client := os.Args[1], os.Args[2]
	p := openidtest.New("http://" + address)
	mux := http.NewServeMux()
	mux.Handle("/", p)
	mux.HandleFunc("GET /alive", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /sign-out", func(w http.ResponseWriter, _ *http.Request) {
		answer, err := http.PostForm(client, url.Values{"logout_token": {p.Logout(nil)}})
		said := fmt.Sprint(err)
		if err == nil {
			defer answer.Body.Close()
			said = answer.Status
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>Signed out</title><h1>Signed out</h1><p id=\"said\">%s</p>", html.EscapeString(said))
	})
	log.Fatal(http.ListenAndServe(address, mux))
}
