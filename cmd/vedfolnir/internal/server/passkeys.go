package server

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/passkeys"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

const passkeysPath = "/passkeys"

// site is where the request's page is, if passkeys work there; else elsewhere is
// the origin at which they do, if there is one.
func (a *App) site(r *http.Request) (here passkeys.Site, elsewhere string) {
	if own := a.origin.Origin; own != "" {
		if _, host, _ := strings.Cut(own, "://"); !strings.EqualFold(host, r.Host) {
			return passkeys.Site{}, own
		}
		return a.origin, ""
	}
	if here = passkeys.SiteOf(r); here.Name != "" {
		return here, ""
	}
	if host, port, err := net.SplitHostPort(r.Host); err == nil && r.TLS == nil {
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
			return here, "http://localhost:" + port
		}
	}
	return here, ""
}

func (a *App) showPasskeys(w http.ResponseWriter, r *http.Request) {
	a.passkeysPage(w, r, http.StatusOK, "")
}

func (a *App) passkeysPage(w http.ResponseWriter, r *http.Request, status int, mistake string) {
	user := session.FromContext(r.Context()).Session.UserID
	list, err := a.people.Passkeys(r.Context(), user)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	codes, err := a.people.RecoveryCodes(r.Context(), user)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	here, elsewhere := a.site(r)
	page := ui.Passkeys{
		Frame: a.frame(w, r), Notice: notices[r.URL.Query().Get("done")], Mistake: mistake, Here: here.Name != "", Elsewhere: elsewhere, Codes: len(codes),
	}
	now := a.manager.Now()
	for _, c := range codes {
		page.CodesMade = ui.At(c.MadeAt, now)
		if c.UsedAt.IsZero() {
			page.CodesLeft++
		}
	}
	for _, p := range list {
		shown := ui.Passkey{
			ID: encodedID(p.ID), Name: p.Name, Synced: p.BackedUp, Made: ui.At(p.CreatedAt, now), Used: ui.At(p.LastUsed, now),
		}
		if here.Name != "" && p.Site != here.Name {
			shown.Site = p.Site
		}
		page.Keys = append(page.Keys, shown)
	}
	a.sent(r, a.pages.Passkeys(w, status, page))
}

// encodedID is a passkey's id as forms have it.
func encodedID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// namedPasskey is that of a form, among the person's own.
func (a *App) namedPasskey(r *http.Request) (directory.Passkey, error) {
	list, err := a.people.Passkeys(r.Context(), session.FromContext(r.Context()).Session.UserID)
	if err != nil {
		return directory.Passkey{}, unavailable(err)
	}
	for _, p := range list {
		if encodedID(p.ID) == r.PostFormValue("passkey") {
			return p, nil
		}
	}
	return directory.Passkey{}, directory.ErrNoPasskey
}

func (a *App) renamePasskey(w http.ResponseWriter, r *http.Request) {
	user := session.FromContext(r.Context()).Session.UserID
	p, err := a.namedPasskey(r)
	if err == nil {
		err = a.people.As(user).RenamePasskey(r.Context(), user, p.ID, r.PostFormValue("name"))
	}
	a.passkeyChanged(w, r, err, "passkey-renamed")
}

// removePasskey is a change of credentials: whoever signed in with it is out.
func (a *App) removePasskey(w http.ResponseWriter, r *http.Request) {
	c := session.FromContext(r.Context())
	user := c.Session.UserID
	p, err := a.namedPasskey(r)
	if err == nil {
		err = a.people.As(user).RemovePasskey(r.Context(), user, p.ID, a.complete(r.Context(), notice.Notice{Kind: notice.PasskeyRemoved, Detail: p.Name}))
	}
	what := "passkey-removed"
	if err == nil {
		a.courier.Wake()
		if !a.endWhatKnewIt(w, r, c, a.sessions.Rotate) {
			what += "-only"
		}
	}
	a.passkeyChanged(w, r, err, what)
}

func (a *App) passkeyChanged(w http.ResponseWriter, r *http.Request, err error, what string) {
	var rule directory.RuleError
	switch {
	case err == nil:
		seeOther(w, passkeysPath+"?done="+what)
	case errors.As(err, &rule):
		a.passkeysPage(w, r, http.StatusUnprocessableEntity, sentence(rule.Error()))
	case errors.Is(err, directory.ErrNoPasskey):
		a.passkeysPage(w, r, http.StatusNotFound, "That passkey is not here any more.")
	case errors.Is(err, directory.ErrLastWayIn):
		a.passkeysPage(w, r, http.StatusConflict, "It is your only way to sign in. Add another passkey first, or set a password with a recovery code.")
	default:
		a.sessions.Error(w, r, unavailable(err))
	}
}

// sentence makes one of an error's words.
func sentence(words string) string { return strings.ToUpper(words[:1]) + words[1:] + "." }

// refusedPasskey is what the session handler answers to an error of a ceremony.
func refusedPasskey(err error) error {
	for _, wrong := range []error{passkeys.ErrRefused, passkeys.ErrStale, directory.ErrSpent, directory.ErrCredentials} {
		if errors.Is(err, wrong) {
			return sessionhttp.ErrBadCredentials
		}
	}
	return err
}
