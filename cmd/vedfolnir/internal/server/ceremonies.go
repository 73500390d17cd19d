package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys"
	"github.com/vedfolnir/session/sessionhttp"
)

// maxCeremony bytes are more than any authenticator answers with.
const maxCeremony = 64 << 10

// answered is what a page's script sends of a ceremony: the credential as its toJSON
// has it, and at sign-in where to go on to, and whether the device is to be
// remembered (null: it is, for there was no choice).
type answered struct {
	Passkey  json.RawMessage `json:"passkey"`
	Next     string          `json:"next"`
	Remember *bool           `json:"remember"`
}

func readAnswered(w http.ResponseWriter, r *http.Request) (given answered, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCeremony))
	if err != nil {
		return given, err
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return given, fmt.Errorf("%w: %w", passkeys.ErrRefused, err)
	}
	return given, nil
}

// options answers with those of a ceremony.
func (a *App) options(w http.ResponseWriter, r *http.Request, begin func(here passkeys.Site, subject string) (json.RawMessage, error)) {
	here, _ := a.site(r)
	if here.Name == "" {
		a.sessions.Error(w, r, sessionhttp.ErrForbidden)
		return
	}
	asked, err := begin(here, a.sessions.TokenSubject(r))
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	a.json(w, r, struct {
		Success   bool            `json:"success"`
		PublicKey json.RawMessage `json:"publicKey"`
	}{true, asked})
}

// signInOptions are the same for everybody: whose passkey it is, the browser knows.
func (a *App) signInOptions(w http.ResponseWriter, r *http.Request) {
	a.options(w, r, a.passkeys.SignIn)
}

// signInByPasskey gives the browser a session of whose passkey has answered.
func (a *App) signInByPasskey(w http.ResponseWriter, r *http.Request) {
	given, err := readAnswered(w, r)
	var req session.CreateRequest
	if err == nil {
		req, err = a.provenByPasskey(r, given.Passkey)
	}
	if err == nil {
		req.Unremembered = given.Remember != nil && !*given.Remember
		_, err = a.sessions.SignInWith(w, r, req)
	}
	if err != nil {
		a.sessions.Error(w, r, refusedPasskey(err))
		return
	}
	a.json(w, r, struct {
		Success bool   `json:"success"`
		Next    string `json:"next"`
	}{true, cmp.Or(sessionhttp.SafeNext(given.Next), "/")})
}

// provenByPasskey says whose session a sign-in begins.
func (a *App) provenByPasskey(r *http.Request, answer []byte) (session.CreateRequest, error) {
	return a.byPasskey(r, answer, func(session.UserID) bool { return true }, a.passkeys.SignedIn)
}

// checked is what holds an answer against a passkey.
type checked func(here passkeys.Site, subject string, holder directory.Holder, answer passkeys.Answer) (passkeys.Use, error)

// byPasskey says who somebody is whose passkey has answered, if they may be that
// person. It is the one way by which a passkey proves something.
func (a *App) byPasskey(r *http.Request, answer []byte, may func(session.UserID) bool, check checked) (req session.CreateRequest, err error) {
	ctx := r.Context()
	read, err := passkeys.Read(answer)
	if err != nil {
		return req, a.prove(ctx, a.addressBucket(ctx), func() error { return a.notAccepted(ctx, err) })
	}
	account, err := a.people.PasskeyOwner(ctx, read.Passkey())
	if err != nil {
		return req, unavailable(err)
	}
	tries(ctx, account.ID)
	req.UserID, req.Level = account.ID, assurance.TwoFactors // the device, and what unlocks it
	err = a.prove(ctx, a.bucketsFor(ctx, "passkey", string(read.Passkey()), account.ID), func() (err error) {
		if !may(account.ID) {
			return sessionhttp.ErrBadCredentials
		}
		// As with a password: whoever is signed out everywhere in between stays out.
		if req.SignInEpoch, err = a.manager.SignInEpoch(ctx, account.ID); err != nil {
			return err
		}
		holder, err := a.people.HolderOf(ctx, account, read.Passkey())
		if err != nil {
			return a.notAccepted(ctx, err)
		}
		here, _ := a.site(r)
		use, err := check(here, a.sessions.TokenSubject(r), holder, read)
		if err != nil {
			return a.notAccepted(ctx, err)
		}
		return a.used(ctx, account, use)
	})
	return req, err
}

// used stores that a passkey has answered.
func (a *App) used(ctx context.Context, account directory.Account, use passkeys.Use) error {
	err := a.people.UsePasskey(ctx, account, use.Passkey, use.Answered)
	if err == nil && use.CountedBack {
		// No reason to refuse: it is what a copy would show, and what an authenticator
		// that was reset or mended shows too.
		a.log.WarnContext(ctx, "a passkey's counter went back: there may be a copy of it", "user_id", account.ID)
		a.tell(ctx, account.ID, notice.Notice{Kind: notice.PasskeySuspected, Detail: use.Passkey.Name})
	}
	return a.notAccepted(ctx, err)
}

// notAccepted logs why an answer is refused, which whoever gave it is not told.
func (a *App) notAccepted(ctx context.Context, err error) error {
	refused := refusedPasskey(err)
	if err == nil || refused == err {
		return unavailable(err)
	}
	a.log.InfoContext(ctx, "a passkey was not accepted", "error", err)
	return refused
}

// registerOptions are for one more passkey of the person.
func (a *App) registerOptions(w http.ResponseWriter, r *http.Request) {
	holder, err := a.people.Holder(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	a.options(w, r, func(here passkeys.Site, subject string) (json.RawMessage, error) {
		return a.passkeys.Register(here, subject, holder)
	})
}

// register adds the passkey that has answered.
func (a *App) register(w http.ResponseWriter, r *http.Request) {
	p, err := a.registered(w, r)
	switch {
	case errors.Is(err, passkeys.ErrStale), errors.Is(err, directory.ErrSpent), errors.Is(err, directory.ErrTaken):
		err = fmt.Errorf("%w: %w", session.ErrConflict, err)
	case errors.Is(err, passkeys.ErrRefused):
		a.log.InfoContext(r.Context(), "a passkey was not accepted", "error", err)
		err = sessionhttp.ErrForbidden
	case errors.As(err, new(directory.RuleError)):
		err = fmt.Errorf("%w: %w", session.ErrLimit, err)
	}
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	a.json(w, r, map[string]any{"success": true, "passkey": map[string]string{"id": encodedID(p.ID), "name": p.Name}})
}

func (a *App) registered(w http.ResponseWriter, r *http.Request) (p directory.Passkey, err error) {
	ctx, user := r.Context(), session.FromContext(r.Context()).Session.UserID
	given, err := readAnswered(w, r)
	if err != nil {
		return p, err
	}
	holder, err := a.people.Holder(ctx, user)
	if err != nil {
		return p, unavailable(err)
	}
	here, _ := a.site(r)
	p, once, err := a.passkeys.Registered(here, a.sessions.TokenSubject(r), holder, given.Passkey)
	if err != nil {
		return p, err
	}
	p.Name = freeName(cmp.Or(p.Name, a.sessions.Client(r).Device()), holder.Passkeys)
	err = a.people.As(user).AddPasskey(ctx, user, p, once, a.complete(ctx, notice.Notice{Kind: notice.PasskeyAdded, Detail: p.Name}))
	if err != nil {
		return p, err
	}
	return p, a.toldAlready(ctx, user)
}

// freeName is one that none of the others has.
func freeName(name string, others []directory.Passkey) string {
	taken := map[string]bool{}
	for _, o := range others {
		taken[strings.ToLower(o.Name)] = true
	}
	free := name
	for n := 2; taken[strings.ToLower(free)]; n++ {
		free = fmt.Sprintf("%s %d", name, n)
	}
	return free
}
