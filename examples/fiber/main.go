// Command fiber is a small app on Fiber: each platform of a person has a note.
package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/recover"
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

func newApp() *fiber.App {
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

	app := fiber.New(fiber.Config{Immutable: true}) // a note is kept, and Fiber uses a request's memory again
	app.Use(recover.New())                          // fasthttp has none, and a panic would end the process
	app.Use(adaptor.HTTPMiddleware(h.Wrap))
	app.Get("/login", adaptor.HTTPHandlerFunc(show))
	app.Get("/", adaptor.HTTPMiddleware(h.RequireSession), adaptor.HTTPHandlerFunc(show))
	api := app.Group("/api/note", adaptor.HTTPMiddleware(h.RequirePlatform))
	api.Get("/", func(c fiber.Ctx) error {
		note, _ := notes.Load(session.FromContext(c).Platform().ID)
		return c.JSON(fiber.Map{"note": note})
	})
	app.Post("/note", adaptor.HTTPMiddleware(h.RequireStatedPlatform), func(c fiber.Ctx) error {
		notes.Store(session.FromContext(c).Platform().ID, c.FormValue("note"))
		return c.Redirect().Status(http.StatusSeeOther).To("/")
	})
	return app
}

func main() { log.Fatal(newApp().Listen("127.0.0.1:8080")) }
