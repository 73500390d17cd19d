package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

// provider is where people may sign in instead of here.
type provider struct {
	*openid.Provider
	config.OpenID
	seals seals // of trips
}

func newProvider(c config.OpenID, m *session.Manager) (*provider, error) {
	if !c.On() {
		return nil, nil
	}
	c.Client.Now = m.Now
	seals, err := newSeals(m.DeriveKeys("openid"))
	return &provider{openid.New(c.Client), c, seals}, err
}

// trip is what a browser carries, sealed, while its person is at the provider. Nobody
// else has it: so the answer that it belongs to makes a session in the browser in
// which a person asked for one, and nowhere else.
type trip struct {
	openid.Flow
	Next string     `json:"x,omitempty"` // a path of this server to go on to
	For  purpose    `json:"p"`
	Of   session.ID `json:"o,omitzero"` // the session that asked; zero: it is to sign in
}

type purpose int

const (
	toSignIn purpose = iota
	toLink           // who they are there to who they are here
	toProve          // anew who they are, in the session that they have
)

const (
	tripCookie = "-openid"
	maxTrip    = 3500 // bytes of its value
)

// signInThere sends a person to the provider. It is the answer to a form with its
// token, so that no other site can have it begin.
func (a *App) signInThere(w http.ResponseWriter, r *http.Request) {
	a.sendThere(w, r, trip{For: toSignIn, Next: sessionhttp.SafeNext(r.PostFormValue("next"))}, func(reason string) {
		a.signInPage(w, r, http.StatusServiceUnavailable, ui.SignIn{Mistake: reason})
	})
}

// linkThere sends somebody who is signed in to the provider, to link who they are there.
func (a *App) linkThere(w http.ResponseWriter, r *http.Request) {
	a.sendThere(w, r, trip{For: toLink, Of: session.FromContext(r.Context()).Session.ID}, func(reason string) {
		a.problem(w, r, ui.Problem{Status: http.StatusServiceUnavailable, Words: reason})
	})
}

// proveThere sends somebody who is signed in to the provider, to prove anew who they are.
func (a *App) proveThere(w http.ResponseWriter, r *http.Request) {
	t := trip{For: toProve, Of: session.FromContext(r.Context()).Session.ID, Next: sessionhttp.SafeNext(r.PostFormValue("next"))}
	a.sendThere(w, r, t, func(reason string) {
		a.problem(w, r, ui.Problem{Status: http.StatusServiceUnavailable, Words: reason})
	})
}

func (a *App) sendThere(w http.ResponseWriter, r *http.Request, t trip, away func(reason string)) {
	address, flow, err := a.provider.Begin(r.Context(), t.For == toProve)
	if err != nil {
		a.log.WarnContext(r.Context(), "nobody can sign in through the OpenID provider", "issuer", a.provider.Client.Issuer, "error", err)
		w.Header().Set("Retry-After", "5")
		away(a.provider.Name + " does not answer just now. Try again in a moment.")
		return
	}
	t.Flow = flow
	sealed, err := a.provider.seals.seal(t)
	if err == nil && len(sealed) > maxTrip { // browsers would drop it
		t.Next = ""
		sealed, err = a.provider.seals.seal(t)
	}
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	c := a.sessions.NewCookie(r, tripCookie)
	c.Value, c.MaxAge = sealed, int(openid.FlowTime/time.Second)
	http.SetCookie(w, c)
	// By a page and not by a redirect: form-action would have to allow whatever address
	// the provider itself sends people on to.
	h := w.Header()
	h.Set("Refresh", "0;url="+address)
	h.Set("Cache-Control", "no-store")
	a.sent(r, a.pages.Leaving(w, ui.Leaving{Frame: a.frame(w, r), To: a.provider.Name, Address: address}))
}

// back takes people in whom the provider has sent back. It is a GET that makes a
// session, which only who holds the sealed trip can cause, once, by opening a page.
func (a *App) back(w http.ResponseWriter, r *http.Request) {
	t, err := a.tripOf(w, r)
	if err == nil {
		err = a.provider.Answers(t.Flow, r.URL.Query())
	}
	now := a.manager.Now()
	if err == nil {
		err = a.spendTrip(r.Context(), t, now)
	}
	if err != nil {
		a.notTakenIn(w, r, err)
		return
	}
	var id openid.Identity
	// A bucket of its own: whoever guesses passwords at this address keeps nobody out.
	err = a.prove(r.Context(), []directory.Bucket{a.bucket("openid", a.from(r.Context()), a.limits.Address)}, func() (err error) {
		id, err = a.provider.Finish(r.Context(), t.Flow, r.URL.Query())
		if errors.Is(err, openid.ErrCode) || errors.Is(err, openid.ErrUntrue) { // somebody may be guessing
			err = fmt.Errorf("%w: %w", sessionhttp.ErrBadCredentials, err)
		}
		return err
	})
	if err == nil {
		switch t.For {
		case toLink:
			err = a.link(r, t, id)
			t.Next = "/?done=linked"
		case toProve:
			err = a.provedThere(w, r, t, id, now)
		default:
			err = a.signInAs(w, r, id, now)
		}
	}
	if err != nil {
		a.notTakenIn(w, r, err)
		return
	}
	seeOther(w, cmp.Or(t.Next, "/"))
}

// tripOf opens the cookie, which is gone then. What is no navigation of a person is
// none of its business.
func (a *App) tripOf(w http.ResponseWriter, r *http.Request) (t trip, err error) {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if r.Method != http.MethodGet || r.Header.Get("Sec-Purpose") != "" || mode != "" && mode != "navigate" || dest != "" && dest != "document" {
		return t, fmt.Errorf("%w: no page was opened", openid.ErrNotBegun)
	}
	value := a.sessions.CookieValue(r, tripCookie)
	if value == "" {
		return t, fmt.Errorf("%w: the browser holds nothing of it", openid.ErrNotBegun)
	}
	c := a.sessions.NewCookie(r, tripCookie)
	c.MaxAge = -1
	http.SetCookie(w, c)
	if err := a.provider.seals.open(value, &t); err != nil {
		return t, fmt.Errorf("%w: %w", openid.ErrNotBegun, err)
	}
	return t, nil
}

// spendTrip sees to it that a copy of the cookie is good for nothing.
func (a *App) spendTrip(ctx context.Context, t trip, now time.Time) error {
	err := a.people.Spend(ctx, now, t.Begun.Add(2*openid.FlowTime), "openid trip", t.State)
	if errors.Is(err, directory.ErrSpent) {
		return fmt.Errorf("%w: %w", openid.ErrNotBegun, err)
	}
	return unavailable(err)
}

// provedAt is when they proved there who they are. A provider that does not say may have
// taken its own session of last month for it: then it is long ago, and no recent proof.
func provedAt(id openid.Identity) time.Time { return cmp.Or(id.AuthTime, time.Unix(0, 0)) }

// signInAs signs the person in. since is when the answer came, from which on they must
// not have signed out there.
func (a *App) signInAs(w http.ResponseWriter, r *http.Request, id openid.Identity, since time.Time) error {
	ctx := r.Context()
	if !id.Until.IsZero() && !id.Until.After(since) {
		return errOverThere
	}
	user, err := a.personOf(ctx, id)
	if err != nil {
		return err
	}
	req := session.CreateRequest{UserID: user, Unremembered: true, Limits: session.Limits{Until: id.Until}, Level: a.provider.level(id), ProvedAt: provedAt(id)}
	if req.SignInEpoch, err = a.manager.SignInEpoch(ctx, user); err != nil {
		return err
	}
	// After that, as a password is looked at: whoever takes the link away in between, and
	// so ends what it let in, is not followed by this sign-in.
	there := directory.Identity{Issuer: id.Issuer, Subject: id.Subject}
	if err := a.people.UseLink(ctx, user, there, a.manager.Now()); errors.Is(err, directory.ErrNoLink) {
		return errNobody
	} else if err != nil {
		return unavailable(err)
	}
	c, err := a.sessions.SignInWith(w, r, req)
	if err != nil {
		return err
	}
	over, err := a.people.Began(ctx, directory.ProviderSession{
		Identity: there, SessionID: id.SessionID, Session: c.Session.ID, User: user, Until: c.Deadlines().Absolute,
	}, since, a.manager.Now())
	if err == nil && !over {
		return nil
	}
	w.Header().Del("Set-Cookie") // nobody holds its token yet
	err = errors.Join(unavailable(err), a.endFor(ctx, c.Session.ID))
	if over && err == nil {
		return errOverThere
	}
	return err
}
