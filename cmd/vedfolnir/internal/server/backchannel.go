package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
)

// signedOutThere ends what began in a session that is over at the provider (OpenID
// Connect Back-Channel Logout 1.0). Who sends it is told by the token's signature, and
// by nothing else. Every tab hears of it as of any other end.
func (a *App) signedOutThere(w http.ResponseWriter, r *http.Request) {
	said, err := a.provider.Logout(r.Context(), r.PostFormValue("logout_token"))
	if err == nil {
		err = a.endThere(r.Context(), directory.ProviderLogout{
			Issuer: said.Issuer, ID: said.ID, Subject: said.Subject, SessionID: said.SessionID, Until: said.Until,
		})
	}
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
		return
	case errors.Is(err, openid.ErrLogout):
		a.refuseLogout(w, r, http.StatusBadRequest, "invalid_request", "the logout token is not good: see the log of this server", err)
	case errors.Is(err, directory.ErrSpent):
		a.refuseLogout(w, r, http.StatusBadRequest, "invalid_request", "the logout token was used before", err)
	default:
		w.Header().Set("Retry-After", "5")
		a.refuseLogout(w, r, http.StatusServiceUnavailable, "temporarily_unavailable", "it could not be done just now: send it again", err)
	}
}

// endThere obeys the word of a provider. If it fails, the word may come again.
func (a *App) endThere(ctx context.Context, word directory.ProviderLogout) error {
	sessions, err := a.people.SignedOutThere(ctx, word, a.manager.Now())
	if err != nil {
		return err
	}
	for _, id := range sessions {
		if err := a.endFor(ctx, id); err != nil {
			return err
		}
	}
	return a.people.LoggedOut(ctx, word, sessions, a.manager.Now())
}

// endFor ends a session for the provider, unless it has ended before.
func (a *App) endFor(ctx context.Context, id session.ID) error {
	err := a.manager.Revoke(ctx, id, session.SignedOut, audit.Provider)
	if _, ended := session.Ended(err); ended || errors.Is(err, session.ErrNotFound) {
		return nil
	}
	return err
}

// refuseLogout answers as the standard has it (2.8).
func (a *App) refuseLogout(w http.ResponseWriter, r *http.Request, status int, code, words string, err error) {
	a.log.Log(r.Context(), levelOf(status), "a sign-out at the OpenID provider ends nothing here", "request_id", w.Header().Get("X-Request-Id"), "status", status, "error", err)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	a.sent(r, json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": words}))
}
