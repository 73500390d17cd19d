// Command chi is a small app on the chi router: each platform of a person has a note.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

var people = map[string]session.Person{
	"alex": {User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "11", Name: "My Pixelfed", IsDefault: true}, {ID: "12", Name: "My Mastodon"}}},
	"sam":  {User: session.User{ID: "2", Username: "sam"}},
}

func login(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	if p, ok := people[c.Username]; ok && c.Password == "vedfolnir-demo" {
		return session.CreateRequest{UserID: p.User.ID}, nil
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

func newApp() *chi.Mux {
	m, err := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login, ShareBasePath: true}) // for /api/note
	if err := errors.Join(err, mistakes); err != nil {
		log.Fatal(err)
	}
	var notes sync.Map // by platform
	show := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r.Context())
		note, _ := notes.Load(s.Platform().ID)
		page.Execute(w, map[string]any{"Head": h.Head(w, r), "Token": h.CSRFToken(w, r), "Session": s, "Note": note})
	}

	router := chi.NewRouter()
	router.Use(h.Wrap)
	router.Get("/login", show)
	router.With(h.RequireSession).Get("/", show)
	router.Route("/api/note", func(r chi.Router) {
		r.Use(h.RequirePlatform)
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			note, _ := notes.Load(session.FromContext(r.Context()).Platform().ID)
			json.NewEncoder(w).Encode(map[string]any{"note": note})
		})
	})
	router.With(h.RequireStatedPlatform).Post("/note", func(w http.ResponseWriter, r *http.Request) {
		notes.Store(session.FromContext(r.Context()).Platform().ID, r.PostFormValue("note"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return router
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", newApp())) }
