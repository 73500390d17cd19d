package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

func (a *App) showPassword(w http.ResponseWriter, r *http.Request) {
	a.passwordPage(w, r, http.StatusOK, "")
}

func (a *App) passwordPage(w http.ResponseWriter, r *http.Request, status int, mistake string) {
	ways, err := a.waysIn(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.sent(r, a.pages.Password(w, status, ui.Password{Frame: a.frame(w, r), WaysIn: ways, Mistake: mistake}))
}

// waysIn are those of the person.
func (a *App) waysIn(ctx context.Context, user session.UserID) (w ui.WaysIn, err error) {
	if w.Password, err = a.people.HasPassword(ctx, user); err != nil {
		return w, unavailable(err)
	}
	links, err := a.links(ctx, user)
	if len(links.Links) > 0 {
		w.Provider = links.Links[0].Name
	}
	return w, err
}

// changePassword ends the person's other sessions and gives this one a new token:
// whoever else knew the password, or has a copy of the cookie, is out.
func (a *App) changePassword(w http.ResponseWriter, r *http.Request) {
	c := session.FromContext(r.Context())
	if r.PostFormValue("password") != r.PostFormValue("again") {
		a.passwordPage(w, r, http.StatusUnprocessableEntity, "The two new passwords are not the same. Nothing was changed.")
		return
	}
	if err := a.proveAndChange(r, c); err != nil {
		a.refuseForm(w, r, err, a.passwordPage, "The current password is another. Nothing was changed.", "")
		return
	}
	a.courier.Wake()
	what := "password"
	proved := func(w http.ResponseWriter, r *http.Request) (*session.Context, error) { // by the current one
		return a.sessions.StepUp(w, r, session.CreateRequest{UserID: c.Session.UserID})
	}
	if !a.endWhatKnewIt(w, r, c, proved) {
		what += "-only"
	}
	seeOther(w, "/?done="+what)
}

// refuseForm shows the page of a form again, for a new password that came with what
// should prove who it is. wrong is said if that proof failed, kept after the reason
// why the new password is none.
func (a *App) refuseForm(w http.ResponseWriter, r *http.Request, err error, page func(w http.ResponseWriter, r *http.Request, status int, mistake string), wrong, kept string) {
	var rule directory.RuleError
	p := sessionhttp.ProblemOf(err)
	switch {
	case errors.As(err, &rule):
		page(w, r, http.StatusUnprocessableEntity, "Choose another one: "+rule.Error()+"."+kept)
	case p.FailedAttempt():
		a.refused(r, p)
		page(w, r, http.StatusForbidden, wrong)
	case errors.As(err, new(*sessionhttp.RateLimitedError)):
		a.refused(r, p)
		w.Header().Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
		page(w, r, p.Status, p.Message)
	default:
		a.sessions.Error(w, r, err)
	}
}

func (a *App) proveAndChange(r *http.Request, c *session.Context) error {
	ctx, user := r.Context(), c.User()
	tries(ctx, user.ID)
	return a.prove(ctx, a.bucketsOf(ctx, user.Username, user.ID), func() error {
		err := a.people.ChangePassword(ctx, user.ID, r.PostFormValue("current"), r.PostFormValue("password"),
			a.complete(ctx, notice.Notice{Kind: notice.PasswordChanged}))
		var rule directory.RuleError
		switch {
		case errors.Is(err, directory.ErrCredentials):
			return sessionhttp.ErrBadCredentials
		case errors.As(err, &rule), errors.Is(err, session.ErrUnknownUser):
			return err
		}
		return unavailable(err)
	})
}

// endWhatKnewIt reports whether all is out that a credential let in which is changed
// or gone by now, whatever fails: the person's other sessions, and this one's token,
// which renew replaces.
func (a *App) endWhatKnewIt(w http.ResponseWriter, r *http.Request, c *session.Context, renew func(http.ResponseWriter, *http.Request) (*session.Context, error)) bool {
	s := c.Session
	_, err := a.manager.RevokeOthers(r.Context(), s.UserID, s.ID, session.CredentialChanged, string(s.UserID))
	if err == nil {
		_, err = renew(w, r)
	}
	if err != nil && !errors.Is(err, session.ErrConflict) { // another tab has rotated it
		a.log.ErrorContext(r.Context(), "a credential was changed, but not all that it let in is out", "user_id", s.UserID, "error", err)
		return false
	}
	return true
}
