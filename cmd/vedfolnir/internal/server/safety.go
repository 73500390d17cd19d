package server

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

const safetyPath = "/safety"

// showSafety is the page of what a person was told.
func (a *App) showSafety(w http.ResponseWriter, r *http.Request) {
	c := session.FromContext(r.Context())
	told, err := a.people.Notices(r.Context(), c.Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	sessions, err := a.manager.List(r.Context(), c.Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	ways, err := a.waysIn(r.Context(), c.Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	now := a.manager.Now()
	page := ui.Safety{Frame: a.frame(w, r), WaysIn: ways, Notice: notices[r.URL.Query().Get("done")], Others: len(sessions) - 1}
	for _, n := range told {
		page.Told = append(page.Told, ui.Told{Notice: n, At: ui.At(n.Last, now), Since: ui.At(n.First, now)})
	}
	a.sent(r, a.pages.Safety(w, page))
}

// seen notes that the person has seen what the page showed.
func (a *App) seen(w http.ResponseWriter, r *http.Request) {
	if err := a.see(r); err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	seeOther(w, safetyPath)
}

// see takes the id of the newest notice that was seen from the path. An operator who
// acts as the person has not seen it for them, above all not that one did so.
func (a *App) see(r *http.Request) error {
	s := session.FromContext(r.Context()).Session
	if s.Impersonator != "" {
		return sessionhttp.ErrForbidden
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return fmt.Errorf("which notice: %w", session.ErrMalformed)
	}
	if err := a.people.SeeNotices(r.Context(), s.UserID, id); err != nil {
		return unavailable(err)
	}
	return a.manager.DirectoryChanged(r.Context(), s.UserID)
}

// told is a notice as the API tells it.
type told struct {
	ID int64 `json:"id"`
	notice.View
	New bool `json:"is_new"`
}

// safety is the page for a program.
func (a *App) safety(w http.ResponseWriter, r *http.Request) {
	lines, err := a.people.Notices(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	answer := struct {
		Success bool   `json:"success"`
		Notices []told `json:"notices"`
		New     int    `json:"new"`
	}{Success: true, Notices: []told{}}
	for _, n := range lines {
		answer.Notices = append(answer.Notices, told{n.ID, n.View(), n.New})
		if n.New {
			answer.New++
		}
	}
	a.json(w, r, answer)
}

// safetySeen is the page's form for a program.
func (a *App) safetySeen(w http.ResponseWriter, r *http.Request) {
	if err := a.see(r); err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.json(w, r, map[string]bool{"success": true})
}
