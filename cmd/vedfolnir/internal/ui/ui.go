// Package ui renders the server's pages. They work without script, in light and
// in dark, and hold no inline style or script, so that they need no exception in
// a content security policy.
//
// What is kept current by the script on the page carries the data-session
// attributes of the SessionSync client.
package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/vedfolnir/session"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Site is what all pages of a server have in common.
type Site struct {
	Version string
	Demo    bool
}

// Pages of one server.
type Pages struct {
	site   Site
	pages  map[string]*template.Template
	assets *Assets
}

// Frame is what every page needs beside its own matter.
type Frame struct {
	Head  template.HTML // what the session client needs in the head; may be empty
	CSRF  string        // for the forms
	User  session.User  // zero: signed out
	Path  string        // of the page
	Stamp session.Stamp // what the page shows is as of
	News  int           // notices that the person has not seen

	Operator    string // who acts as the user; empty: the user does
	Administers bool   // the user sees the pages of operators
	// NoDialog: they have nothing that a dialog could ask for to prove anew who they are;
	// there is a page that sends them elsewhere for it.
	NoDialog bool
}

// New parses the pages that are built in.
func New(site Site) (*Pages, error) {
	assets, err := newAssets()
	if err != nil {
		return nil, err
	}
	p := &Pages{site: site, assets: assets, pages: map[string]*template.Template{}}
	layout, err := template.New("").Funcs(template.FuncMap{"asset": assets.path, "initial": initial}).ParseFS(pageFiles, "pages/layout.html", "pages/icons.html")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	names, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	for _, name := range names {
		page := template.Must(layout.Clone())
		if p.pages[name], err = page.ParseFS(pageFiles, name); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
	}
	return p, nil
}

// Assets serves what the pages refer to.
func (p *Pages) Assets() *Assets { return p.assets }

// SignIn writes the page for people who are not signed in.
func (p *Pages) SignIn(w http.ResponseWriter, status int, data SignIn) error {
	return p.write(w, status, "signin", data)
}

// Leaving writes the page on the way to a provider.
func (p *Pages) Leaving(w http.ResponseWriter, data Leaving) error {
	return p.write(w, http.StatusOK, "leaving", data)
}

// FirstStart writes the page on which the first person is made.
func (p *Pages) FirstStart(w http.ResponseWriter, status int, data FirstStart) error {
	return p.write(w, status, "firststart", data)
}

// Reauth writes the page on which a person proves anew who they are.
func (p *Pages) Reauth(w http.ResponseWriter, status int, data Reauth) error {
	return p.write(w, status, "reauth", data)
}

// Password writes the page on which a person changes theirs.
func (p *Pages) Password(w http.ResponseWriter, status int, data Password) error {
	return p.write(w, status, "password", data)
}

// Passkeys writes the page of how a person signs in beside their password.
func (p *Pages) Passkeys(w http.ResponseWriter, status int, data Passkeys) error {
	return p.write(w, status, "passkeys", data)
}

// RecoveryCodes writes the page that shows them, this once.
func (p *Pages) RecoveryCodes(w http.ResponseWriter, data RecoveryCodes) error {
	return p.write(w, http.StatusOK, "recoverycodes", data)
}

// Recover writes the page on which a recovery code sets a new password.
func (p *Pages) Recover(w http.ResponseWriter, status int, data Recover) error {
	return p.write(w, status, "recover", data)
}

// Safety writes the page of what a person was told of their account.
func (p *Pages) Safety(w http.ResponseWriter, data Safety) error {
	return p.write(w, http.StatusOK, "safety", data)
}

// People writes the page on which an operator finds everybody.
func (p *Pages) People(w http.ResponseWriter, data People) error {
	return p.write(w, http.StatusOK, "people", data)
}

// Home writes the page of a person who is signed in.
func (p *Pages) Home(w http.ResponseWriter, data Home) error {
	return p.write(w, http.StatusOK, "home", data)
}

// Problem writes a page that says what went wrong.
func (p *Pages) Problem(w http.ResponseWriter, data Problem) error {
	return p.write(w, data.Status, "problem", data)
}

// write sends a page once it is complete: a template that fails leaves nothing
// behind.
func (p *Pages) write(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	err := p.pages["pages/"+name+".html"].ExecuteTemplate(&page, "layout", struct {
		Site
		Page any
	}{p.site, data})
	if err != nil {
		return fmt.Errorf("ui: render %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(status)
	_, err = page.WriteTo(w)
	return err
}
