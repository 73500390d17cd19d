// Command minimal is a complete app: sign-in, and a page that follows in every tab.
package main

import (
	"context"
	"errors"
	"html/template"
	"log"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

var people = map[string]session.Person{
	"alex": {User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "11", Name: "My Pixelfed", IsDefault: true}, {ID: "12", Name: "My Mastodon"}}},
	"sam":  {User: session.User{ID: "2", Username: "sam"}},
}

var page = template.Must(template.New("").Parse(`<!doctype html><title>Minimal</title>{{.Head}}
{{if .Session.SignedIn}}<p><b data-session-user>{{.Session.User.Username}}</b> acts as <b data-session-platform>{{.Session.Platform.Name}}</b></p>
{{range .Session.Platforms}}<button data-session-switch="{{.ID}}">{{.Name}}</button> {{end}}<button data-session-sign-out>Sign out</button>
{{else}}<form method="post" action="/login"><input type="hidden" name="csrf_token" value="{{.Token}}">
<input name="username" aria-label="Name"><input name="password" type="password" aria-label="Password"><button>Sign in</button></form>{{end}}`))

func login(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	if p, ok := people[c.Username]; ok && c.Password == "vedfolnir-demo" {
		return session.CreateRequest{UserID: p.User.ID}, nil
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

func newApp() http.Handler {
	m, err := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login})
	if err := errors.Join(err, mistakes); err != nil {
		log.Fatal(err)
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, map[string]any{"Head": h.Head(w, r), "Token": h.CSRFToken(w, r), "Session": session.FromContext(r.Context())})
	})
	mux := http.NewServeMux()
	mux.Handle("GET /login", show)
	mux.Handle("GET /{$}", h.RequireSession(show))
	return h.Wrap(mux)
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", newApp())) }
