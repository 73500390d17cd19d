package server

import (
	"net/http"

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
	next := sessionhttp.SafeNext(r.FormValue("next"))
	if next == "" {
		next = "/"
	}
	problem := sessionhttp.LoginProblem(r.Context())
	if problem == nil && sessionhttp.CheckRecent(r.Context(), a.recent) == nil {
		seeOther(w, next)
		return
	}
	page := ui.Reauth{Frame: a.frame(w, r), Next: next, Username: session.FromContext(r.Context()).User().Username}
	status := http.StatusOK
	if problem != nil {
		status, page.Mistake = problem.Status, problem.Message
	}
	if a.provider != nil {
		page.Provider = a.provider.Name
	}
	a.sent(r, a.pages.Reauth(w, status, page))
}
