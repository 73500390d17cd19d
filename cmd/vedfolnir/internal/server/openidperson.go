package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

// personOf returns who that is here: by issuer and subject, which are theirs for ever.
// Their e-mail address decides only the first time, only if the operator has said that
// it may, and only if the provider says that it is theirs.
func (a *App) personOf(ctx context.Context, id openid.Identity) (session.UserID, error) {
	there := directory.Identity{Issuer: id.Issuer, Subject: id.Subject}
	user, err := a.people.Linked(ctx, there)
	if errors.Is(err, session.ErrUnknownUser) && a.provider.MatchEmail && id.EmailVerified && strings.Contains(id.Email, "@") {
		user, err = a.matched(ctx, id, there)
	}
	if errors.Is(err, session.ErrUnknownUser) {
		if !a.provider.Create {
			return "", errNobody
		}
		user, err = a.newcomer(ctx, id, there)
	}
	return user, err
}

// matched links the person with that address.
func (a *App) matched(ctx context.Context, id openid.Identity, there directory.Identity) (session.UserID, error) {
	account, err := a.people.Find(ctx, id.Email)
	switch {
	case err != nil:
		return "", unavailable(err)
	case account.ID == directory.Nobody:
		return "", session.ErrUnknownUser
	}
	if err := a.linked(ctx, account.ID, there); err != nil {
		return "", err
	}
	return account.ID, nil
}

// linked links, and tells the person.
func (a *App) linked(ctx context.Context, user session.UserID, there directory.Identity) error {
	err := a.people.As(user).Link(ctx, user, there, a.manager.Now())
	if errors.Is(err, directory.ErrLinked) || errors.Is(err, session.ErrUnknownUser) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	a.tell(ctx, user, notice.Notice{Kind: notice.AccountLinked, Detail: a.provider.Name})
	return nil
}

var noName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// newcomer makes a person of what the provider tells. A name that is taken gets an
// ending; an address that is taken is somebody's, who may be another.
func (a *App) newcomer(ctx context.Context, id openid.Identity, there directory.Identity) (session.UserID, error) {
	// Where addresses decide, nobody gets one that they may not have: its owner would be
	// taken for them.
	if id.EmailDoubtful || a.provider.MatchEmail && !id.EmailVerified {
		return "", fmt.Errorf("%w: it has not verified their address", errNewcomer)
	}
	name := id.Name
	if name == "" {
		name = id.Email
	}
	name, _, _ = strings.Cut(name, "@")
	name = strings.Trim(noName.ReplaceAllString(name, "-"), "._-")
	n := directory.Newcomer{
		Username: name[:min(len(name), 57)], Email: id.Email,
		Link: directory.Link{Identity: there, LinkedAt: a.manager.Now()},
	}
	if err := n.Check(); err != nil {
		return "", fmt.Errorf("%w: %w", errNewcomer, err)
	}
	user, err := a.people.Add(ctx, n)
	if errors.Is(err, directory.ErrTaken) {
		n.Username += "-" + strings.ToLower(rand.Text()[:6])
		user, err = a.people.Add(ctx, n)
	}
	if err == nil {
		return user, nil
	}
	if user, err := a.people.Linked(ctx, there); err == nil {
		return user, nil // made meanwhile, by another answer of the provider
	}
	if errors.Is(err, directory.ErrTaken) {
		return "", fmt.Errorf("%w: %w", errNewcomer, err)
	}
	return "", unavailable(err)
}

// link is what somebody who is signed in went to the provider for.
func (a *App) link(r *http.Request, t trip, id openid.Identity) error {
	s, err := asked(r, t)
	if err != nil {
		return err
	}
	return a.linked(r.Context(), s.UserID, directory.Identity{Issuer: id.Issuer, Subject: id.Subject})
}

// provedThere notes that whoever went to the provider for that has proved anew who they
// are. The session goes on, with a new token, unless they have signed out there since.
func (a *App) provedThere(w http.ResponseWriter, r *http.Request, t trip, id openid.Identity, since time.Time) error {
	s, err := asked(r, t)
	if err != nil {
		return err
	}
	there := directory.Identity{Issuer: id.Issuer, Subject: id.Subject}
	user, err := a.people.Linked(r.Context(), there)
	if errors.Is(err, session.ErrUnknownUser) || err == nil && user != s.UserID {
		return errAnother
	}
	if err != nil {
		return unavailable(err)
	}
	if _, err := a.sessions.StepUp(w, r, session.CreateRequest{UserID: user, Level: a.provider.level(id)}); err != nil {
		return err
	}
	over, err := a.people.WentOn(r.Context(), directory.ProviderSession{Identity: there, SessionID: id.SessionID, Session: s.ID}, since)
	if err != nil || !over {
		return unavailable(err)
	}
	return cmp.Or(a.endFor(r.Context(), s.ID), errOverThere)
}

// provesThereOnly reports whether the person has nothing that a dialog in the page could
// ask for. A page is shown all the same if that cannot be read.
func (a *App) provesThereOnly(r *http.Request, user session.UserID) bool {
	if a.provider == nil {
		return false
	}
	here, err := a.people.ProvesHere(r.Context(), user)
	if err != nil && r.Context().Err() == nil {
		a.log.WarnContext(r.Context(), "cannot read by what a person proves who they are", "error", err)
	}
	return err == nil && !here
}

// asked is the session that the trip began in, which the browser still has to have.
func asked(r *http.Request, t trip) (session.Session, error) {
	c := session.FromContext(r.Context())
	if !c.SignedIn() || c.Session.ID != t.Of {
		return session.Session{}, errAsker
	}
	return c.Session, sessionhttp.CheckOwner(r.Context())
}

// level is how surely the provider says that somebody proved who they are.
func (p *provider) level(id openid.Identity) session.Level {
	if id.Strong(p.Strong) {
		return assurance.TwoFactors
	}
	return assurance.OneFactor
}

// unlink takes one away. Whoever came in by it is out.
func (a *App) unlink(w http.ResponseWriter, r *http.Request) {
	ctx, s := r.Context(), session.FromContext(r.Context()).Session
	there := directory.Identity{Issuer: r.PostFormValue("issuer"), Subject: r.PostFormValue("subject")}
	err := a.people.As(s.UserID).Unlink(ctx, s.UserID, there)
	switch {
	case errors.Is(err, directory.ErrLastWayIn):
		a.problem(w, r, ui.Problem{
			Status: http.StatusConflict, Heading: "This is your only way in",
			Words: "Without it you could not sign in any more. Add a passkey first, or set a password with a recovery code.",
		})
		return
	case errors.Is(err, directory.ErrNoLink):
		a.sessions.Error(w, r, sessionhttp.ErrForbidden)
		return
	case err != nil:
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	a.tell(ctx, s.UserID, notice.Notice{Kind: notice.AccountUnlinked, Detail: a.provider.host(there.Issuer)})
	_, err = a.manager.RevokeOthers(ctx, s.UserID, s.ID, session.CredentialChanged, string(s.UserID))
	a.done(w, r, "unlinked", err)
}

// links are shown to the person.
func (a *App) links(ctx context.Context, user session.UserID) (l ui.Links, err error) {
	if a.provider == nil {
		return l, nil
	}
	links, err := a.people.Links(ctx, user)
	if err != nil {
		return l, unavailable(err)
	}
	l.Provider, l.Linkable = a.provider.Name, true
	now := a.manager.Now()
	for _, link := range links {
		l.Linkable = l.Linkable && link.Issuer != a.provider.Client.Issuer
		l.Links = append(l.Links, ui.Link{
			Issuer: link.Issuer, Subject: link.Subject, Name: a.provider.host(link.Issuer),
			Made: ui.At(link.LinkedAt, now), Used: ui.At(link.LastUsed, now),
		})
	}
	return l, nil
}
