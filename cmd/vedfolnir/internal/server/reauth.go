package server

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

// recently is for what is sensitive: whoever has not proved lately who they are is
// asked to, and then it is done.
func (a *App) recently(serve http.HandlerFunc) http.HandlerFunc {
	return a.sessions.RequireRecent(a.recent, serve).ServeHTTP
}

// reauth shows the form for that, to people who have to fill it in.
func (a *App) reauth(w http.ResponseWriter, r *http.Request) {
	next := cmp.Or(sessionhttp.SafeNext(r.FormValue("next")), "/")
	problem := sessionhttp.LoginProblem(r.Context())
	if problem == nil && sessionhttp.CheckRecent(r.Context(), a.recent) == nil {
		seeOther(w, next)
		return
	}
	how, err := a.howToProve(r.Context(), session.FromContext(r.Context()))
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	page := ui.Reauth{Frame: a.frame(w, r), Next: next, Username: session.FromContext(r.Context()).User().Username}
	status := http.StatusOK
	if problem != nil {
		status, page.Mistake = problem.Status, problem.Message
		if problem.FailedAttempt() { // the name is no matter of theirs here
			page.Mistake = "The password is wrong."
		}
	}
	page.Password, page.Passkey = slices.Contains(how.Methods, "password"), how.Passkey != nil
	links, err := a.links(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	if !links.Linkable { // else nobody there is them
		page.Provider = links.Provider
	}
	a.sent(r, a.pages.Reauth(w, status, page))
}
