// Command gin is a small app on Gin: each platform of a person has a note.
package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
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

func newApp() (*sessionhttp.Handler, *gin.Engine) {
	m, err := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login, ShareBasePath: true}) // for /api/note
	if err := errors.Join(err, mistakes); err != nil {
		log.Fatal(err)
	}
	need := func(check func(context.Context) error) gin.HandlerFunc {
		return func(c *gin.Context) {
			if err := check(c.Request.Context()); err != nil {
				h.Error(c.Writer, c.Request, err)
				c.Abort()
			}
		}
	}
	var notes sync.Map // by platform
	show := func(c *gin.Context) {
		s := session.FromContext(c.Request.Context())
		note, _ := notes.Load(s.Platform().ID)
		c.HTML(http.StatusOK, "page.html", gin.H{"Head": h.Head(c.Writer, c.Request), "Token": h.CSRFToken(c.Writer, c.Request), "Session": s, "Note": note})
	}

	router := gin.New()
	router.SetHTMLTemplate(page)
	router.GET("/login", show)
	router.GET("/", need(sessionhttp.CheckSession), show)
	api := router.Group("/api/note", need(sessionhttp.CheckPlatform))
	api.GET("", func(c *gin.Context) {
		note, _ := notes.Load(session.FromContext(c.Request.Context()).Platform().ID)
		c.JSON(http.StatusOK, gin.H{"note": note})
	})
	router.POST("/note", need(sessionhttp.CheckStatedPlatform), func(c *gin.Context) {
		notes.Store(session.FromContext(c.Request.Context()).Platform().ID, c.PostForm("note"))
		c.Redirect(http.StatusSeeOther, "/")
	})
	return h, router
}

func main() {
	h, router := newApp()
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", h.Wrap(router)))
}
