package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

const peoplePath = "/people"

// mayImpersonate lets administrators act as whoever is none. It asks the directory
// each time: a role that was taken away counts at once.
func (a *App) mayImpersonate(ctx context.Context, operator, person session.UserID) error {
	for _, one := range []struct {
		id   session.UserID
		role directory.Role
	}{{operator, directory.Admin}, {person, directory.Ordinary}} {
		e, err := a.people.Entry(ctx, one.id)
		if errors.Is(err, session.ErrUnknownUser) || err == nil && (e.Role != one.role || e.Disabled) {
			return sessionhttp.ErrForbidden
		}
		if err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// peopleShown is how many people the page shows at most.
const peopleShown = 50

// showPeople is for administrators.
func (a *App) showPeople(w http.ResponseWriter, r *http.Request) {
	page := ui.People{Frame: a.frame(w, r), Sought: r.URL.Query().Get("q")}
	found, err := a.people.Search(r.Context(), page.Sought, peopleShown+1)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	if page.More = len(found) > peopleShown; page.More {
		found = found[:peopleShown]
	}
	for _, e := range found {
		page.People = append(page.People, ui.Person{
			ID: string(e.ID), Username: e.Username, Email: e.Email, Operator: e.Role == directory.Admin, Disabled: e.Disabled,
		})
	}
	a.sent(r, a.pages.People(w, page))
}

// actAs has the administrator act as the person, who is told.
func (a *App) actAs(w http.ResponseWriter, r *http.Request) (*session.Context, error) {
	operator := session.FromContext(r.Context()).User()
	c, err := a.sessions.Impersonate(w, r, session.UserID(r.PathValue("id")))
	if err != nil {
		return nil, err
	}
	a.tell(r.Context(), c.Session.UserID, notice.Notice{Kind: notice.Impersonated, Detail: operator.Username})
	return c, nil
}

func (a *App) actAsByForm(w http.ResponseWriter, r *http.Request) {
	if _, err := a.actAs(w, r); err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	seeOther(w, "/")
}

func (a *App) actAsByAPI(w http.ResponseWriter, r *http.Request) {
	c, err := a.actAs(w, r)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	body, err := json.Marshal(struct {
		Success bool            `json:"success"`
		State   json.RawMessage `json:"state"`
	}{true, c.ClientView()})
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, err = w.Write(body)
	a.sent(r, err)
}

// operatorOf is the name of who acts in the session; empty: the person does.
func (a *App) operatorOf(r *http.Request, s session.Session) string {
	if s.Impersonator == "" {
		return ""
	}
	e, err := a.people.Entry(r.Context(), s.Impersonator)
	if err != nil {
		a.log.WarnContext(r.Context(), "the name of an operator cannot be read", "user_id", s.Impersonator, "error", err)
	}
	return cmp.Or(e.Username, string(s.Impersonator))
}
