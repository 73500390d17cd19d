package server

import (
	"errors"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/ui"
	"github.com/vedfolnir/session/sessionhttp"
)

const recoverPath = "/recover"

// makeRecoveryCodes shows new ones, this once: they are stored as hashes.
func (a *App) makeRecoveryCodes(w http.ResponseWriter, r *http.Request) {
	ctx, user := r.Context(), session.FromContext(r.Context()).Session.UserID
	codes, err := a.people.As(user).MakeRecoveryCodes(ctx, user, a.manager.Now(), a.complete(ctx, notice.Notice{Kind: notice.RecoveryCodesNew}))
	if err == nil {
		err = a.toldAlready(ctx, user)
	}
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	a.sent(r, a.pages.RecoveryCodes(w, ui.RecoveryCodes{Frame: a.frame(w, r), Codes: codes, Made: ui.At(a.manager.Now(), a.manager.Now())}))
}

func (a *App) showRecover(w http.ResponseWriter, r *http.Request) {
	a.recoverPage(w, r, http.StatusOK, "")
}

func (a *App) recoverPage(w http.ResponseWriter, r *http.Request, status int, mistake string) {
	w.Header().Set("Cache-Control", "no-store")
	page := ui.Recover{Frame: ui.Frame{CSRF: a.sessions.CSRFToken(w, r)}, Mistake: mistake, Username: r.PostFormValue("username")}
	a.sent(r, a.pages.Recover(w, status, page))
}

// recover takes a recovery code for who somebody is, under the limits of the
// password that it replaces. It ends all of the person's sessions, and begins one.
func (a *App) recover(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("password") != r.PostFormValue("again") {
		a.recoverPage(w, r, http.StatusUnprocessableEntity, "The two new passwords are not the same. The code is still good.")
		return
	}
	user, err := a.proveAndRecover(r)
	if err != nil {
		a.refuseForm(w, r, err, a.recoverPage, "Name or code is wrong, or the code was used before. Nothing was changed.", " The code is still good.")
		return
	}
	a.beginAnew(w, r, user)
}

func (a *App) proveAndRecover(r *http.Request) (session.UserID, error) {
	ctx, login := r.Context(), r.PostFormValue("username")
	account, err := a.people.Find(ctx, login)
	if err != nil {
		return "", unavailable(err)
	}
	tries(ctx, account.ID)
	return account.ID, a.prove(ctx, a.bucketsOf(ctx, login, account.ID), func() error {
		err := a.people.As(account.ID).Recover(ctx, account, r.PostFormValue("code"), r.PostFormValue("password"), a.manager.Now(),
			a.complete(ctx, notice.Notice{Kind: notice.RecoveryCodeUsed}), a.complete(ctx, notice.Notice{Kind: notice.PasswordChanged}))
		switch {
		case errors.Is(err, directory.ErrCredentials):
			return sessionhttp.ErrBadCredentials
		case errors.As(err, new(directory.RuleError)):
			return err
		}
		return unavailable(err)
	})
}

// beginAnew ends what was begun with the old password. That is changed by now,
// whatever fails.
func (a *App) beginAnew(w http.ResponseWriter, r *http.Request, user session.UserID) {
	a.courier.Wake()
	_, err := a.manager.RevokeUser(r.Context(), user, session.CredentialChanged, string(user))
	if err == nil {
		// Whoever has lost everything may well sit at somebody else's device.
		_, err = a.sessions.SignInWith(w, r, session.CreateRequest{UserID: user, Unremembered: true})
	}
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	seeOther(w, passkeysPath+"?done=recovered")
}
