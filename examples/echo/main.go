// Command echo is a small app on Echo: each platform of a person has a note.
package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"github.com/labstack/echo/v5"
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

func newApp() *echo.Echo {
	m, err := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login, ShareBasePath: true}) // for /api/note
	if err := errors.Join(err, mistakes); err != nil {
		log.Fatal(err)
	}
	var notes sync.Map // by platform
	show := func(c *echo.Context) error {
		s := session.FromContext(c.Request().Context())
		note, _ := notes.Load(s.Platform().ID)
		return page.Execute(c.Response(), map[string]any{"Head": h.Head(c.Response(), c.Request()), "Token": h.CSRFToken(c.Response(), c.Request()), "Session": s, "Note": note})
	}

	e := echo.New()
	e.Use(echo.WrapMiddleware(h.Wrap))
	e.GET("/login", show)
	e.GET("/", show, echo.WrapMiddleware(h.RequireSession))
	api := e.Group("/api/note", echo.WrapMiddleware(h.RequirePlatform))
	api.GET("", func(c *echo.Context) error {
		note, _ := notes.Load(session.FromContext(c.Request().Context()).Platform().ID)
		return c.JSON(http.StatusOK, map[string]any{"note": note})
	})
	e.POST("/note", func(c *echo.Context) error {
		notes.Store(session.FromContext(c.Request().Context()).Platform().ID, c.FormValue("note"))
		return c.Redirect(http.StatusSeeOther, "/")
	}, echo.WrapMiddleware(h.RequireStatedPlatform))
	return e
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", newApp())) }
