package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"

	"github.com/vedfolnir/session"
)

//go:embed pages.html
var pagesSource string

var pages = template.Must(template.New("").Parse(pagesSource))

func (a *app) signInPage(w http.ResponseWriter, r *http.Request) { a.page(w, r, "sign-in", nil) }

func (a *app) queuePage(w http.ResponseWriter, r *http.Request) {
	waiting, err := a.queue(r.Context(), session.FromContext(r.Context()).Platform().ID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.page(w, r, "queue", waiting)
}

// page is made whole before it is sent, so that a mistake in it is a 500.
func (a *app) page(w http.ResponseWriter, r *http.Request, name string, waiting []picture) {
	var page bytes.Buffer
	err := pages.ExecuteTemplate(&page, name, map[string]any{
		"Head": a.sessions.Head(w, r), "Token": a.sessions.CSRFToken(w, r),
		"Session": session.FromContext(r.Context()), "Waiting": waiting,
	})
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.WriteTo(w)
}
