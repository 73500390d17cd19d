package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

// Why somebody whom the provider has sent back is not taken in, beside what the
// protocol and the directory refuse.
var (
	errNobody    = errors.New("nobody is linked to who that is at the provider")
	errNewcomer  = errors.New("a person cannot be made of what the provider tells")
	errOverThere = errors.New("the session at the provider is over")
	errAsker     = errors.New("whoever asked is not signed in any more")
	errAnother   = errors.New("somebody else has proved who they are")
)

// notTakenIn is the page of whoever is not signed in. What went wrong is in the log,
// under the id that the page shows.
func (a *App) notTakenIn(w http.ResponseWriter, r *http.Request, err error) {
	name := a.provider.Name
	var refused *openid.RefusedError
	p := ui.Problem{Heading: name + " could not sign you in"}
	switch {
	case errors.As(err, &refused) && refused.Denied():
		p.Status, p.Heading = http.StatusForbidden, "Nothing was changed"
		p.Words = "You, or " + name + ", said no. You can try again, or sign in otherwise."
	case errors.As(err, &refused):
		p.Status, p.Words = http.StatusForbidden, name+" did not want to. Trying again may help."
	case errors.Is(err, openid.ErrNotBegun):
		p.Status, p.Words = http.StatusBadRequest, "This sign-in was not begun in this browser, was done already, or took longer than ten minutes. Please begin again."
	case errors.Is(err, sessionhttp.ErrBadCredentials):
		p.Status, p.Words = http.StatusUnauthorized, "What "+name+" answered does not fit what it was asked, so it was not believed. Please begin again."
		a.refused(r, sessionhttp.ProblemOf(sessionhttp.ErrBadCredentials))
	case errors.Is(err, openid.ErrUntimed):
		p.Status, p.Words = http.StatusForbidden, name+" does not say when you last proved there who you are, so that cannot count here. Whoever runs this server has to have it say so; until then a passkey or a password helps, if you have one."
	case errors.Is(err, openid.ErrUnreachable):
		p.Status, p.Words = http.StatusServiceUnavailable, name+" does not answer just now, so who you are could not be found out. Please try again in a moment."
		w.Header().Set("Retry-After", "5")
	case errors.Is(err, errNobody):
		p.Status, p.Heading = http.StatusForbidden, "Who are you here?"
		p.Words = name + " knows you, and no account here is linked to that. Sign in as you are used to, and link it on your start page."
	case errors.Is(err, errNewcomer):
		p.Status, p.Heading = http.StatusForbidden, "No account could be made for you"
		p.Words = "What " + name + " tells of you is not enough, or somebody here has that name or address already. If that is you, sign in as you are used to, and link it on your start page."
	case errors.Is(err, errOverThere):
		p.Status, p.Words = http.StatusForbidden, "Your session at "+name+" is over. Please begin again."
	case errors.Is(err, errAsker):
		p.Status, p.Words = http.StatusForbidden, "You have signed out, or signed in anew, since you asked for that. Nothing was changed; please begin again."
	case errors.Is(err, errAnother):
		p.Status, p.Words = http.StatusForbidden, "At "+name+" you are somebody else, or nobody that is linked to this account. Nothing was changed."
	case errors.Is(err, directory.ErrLinked):
		p.Status, p.Heading = http.StatusConflict, "That is linked already"
		p.Words = "Who you are at " + name + " is linked to another account here, or this one to somebody else there. Remove that link first."
	case errors.Is(err, session.ErrUnknownUser):
		p.Status, p.Words = http.StatusForbidden, "Your account here can no longer be used."
	default:
		a.sessions.Error(w, r, err)
		return
	}
	p.RequestID = w.Header().Get("X-Request-Id")
	a.log.Log(r.Context(), levelOf(p.Status), "a sign-in through the OpenID provider ended here", "request_id", p.RequestID, "status", p.Status, "error", err)
	a.problem(w, r, p)
}

// levelOf a refusal that anybody can cause who sends something made up: a warning is for
// what an operator has to mend.
func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// host is what people know an issuer by.
func (p *provider) host(issuer string) string {
	if p != nil && issuer == p.Client.Issuer {
		return p.Name
	}
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		return u.Host
	}
	return issuer
}
