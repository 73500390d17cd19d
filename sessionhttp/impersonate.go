package sessionhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/vedfolnir/session"
)

// actingSuffix is of the cookie in which an operator acts as somebody. It stands
// beside the operator's own, which it leaves as it is, and is nothing without it: so
// the end of an impersonation, however it comes, leaves the operator where they were.
const actingSuffix = "-as"

// Impersonate has the operator who is signed in act as the person, until they sign
// out of that, or Config.Kinds.ImpersonationLifetime is over, or their own session
// ends, or Config.MayImpersonate changes its mind. The person finds it among their
// sessions, as everything done in it is in the audit by the operator's id. It ends
// the impersonation that there was. The request must have come through the
// middleware. Nothing may have been written yet. Errors: [ErrSafeMethod];
// [ErrForbidden], also for whoever is not signed in as themself; those of
// [session.Manager.Create]; [ErrPlainHTTP].
func (h *Handler) Impersonate(w http.ResponseWriter, r *http.Request, person session.UserID) (*session.Context, error) {
	if !isUnsafe(r.Method) {
		return nil, ErrSafeMethod
	}
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, ErrPlainHTTP
	}
	own, err := h.authenticateOwn(r)
	switch {
	case err != nil:
		return nil, err
	case h.config.MayImpersonate == nil || !own.SignedIn() || own.Session.UserID == person:
		return nil, ErrForbidden
	}
	if err := h.config.MayImpersonate(r.Context(), own.Session.UserID, person); err != nil {
		return nil, err
	}
	if before, err := h.acting(r, own); err != nil {
		return nil, err
	} else if before.Session.ID != own.Session.ID {
		if err := h.end(r.Context(), &before, session.SignedOut); err != nil {
			return nil, err
		}
	}
	c, token, err := h.m.Create(r.Context(), session.CreateRequest{
		UserID: person, Client: h.Client(r), Impersonator: own.Session.UserID, ImpersonatedFrom: own.Session.ID,
	})
	if err != nil {
		return nil, err
	}
	h.setCookie(w, r, actingSuffix, token, false)
	return &c, nil
}

// acting returns the session in which the operator of that one acts as somebody, and
// if there is none, that one.
func (h *Handler) acting(r *http.Request, own session.Context) (session.Context, error) {
	if h.config.MayImpersonate == nil {
		return own, nil
	}
	value, err := cookie(r.Header, h.cookieName(r, actingSuffix))
	if err != nil || value == "" {
		return own, err
	}
	token, err := session.ParseToken(value)
	if err != nil {
		return own, nil
	}
	c, err := h.m.Authenticate(r.Context(), token, h.Client(r))
	if isSignedOut(err) || err == nil && c.Session.ImpersonatedFrom != own.Session.ID {
		return own, nil
	}
	if err == nil {
		err = h.config.MayImpersonate(r.Context(), own.Session.UserID, c.Session.UserID)
	}
	if errors.Is(err, ErrForbidden) {
		if err = h.m.Revoke(r.Context(), c.Session.ID, session.RevokedByAdmin, session.System); err == nil || isSignedOut(err) {
			return own, nil
		}
	}
	return c, err
}

// end a session by whoever acts in it; that it has ended is no error.
func (h *Handler) end(ctx context.Context, c *session.Context, why session.Reason) error {
	if err := h.m.Revoke(ctx, c.Session.ID, why, c.Session.Actor()); !isSignedOut(err) {
		return err
	}
	return nil
}

// stopActing clears what is left of an impersonation that is over.
func (h *Handler) stopActing(w http.ResponseWriter, r *http.Request) {
	if h.config.MayImpersonate == nil {
		return
	}
	if value, _ := cookie(r.Header, h.cookieName(r, actingSuffix)); value != "" {
		h.setCookie(w, r, actingSuffix, session.Token{}, false)
	}
}

// suffixOf the cookie that holds the session's token.
func suffixOf(c *session.Context) string {
	if c.SignedIn() && c.Session.Impersonator != "" {
		return actingSuffix
	}
	return ""
}

// touch notes that the person did something, and with them the operator who acts as
// them.
func (h *Handler) touch(ctx context.Context, c session.Context) (session.Context, error) {
	if c.Session.Impersonator != "" {
		own, err := h.m.Get(ctx, c.Session.ImpersonatedFrom)
		if err == nil {
			_, err = h.m.Touch(ctx, own)
		}
		if err != nil {
			return c, err
		}
	}
	return h.m.Touch(ctx, c)
}

// RequireOwner refuses, beyond RequireSession, an operator who acts as the person:
// for what is the person's alone, as their password is.
func (h *Handler) RequireOwner(next http.Handler) http.Handler { return h.require(next, CheckOwner) }

// CheckOwner is [CheckSession] for [Handler.RequireOwner].
func CheckOwner(ctx context.Context) error {
	if err := CheckSession(ctx); err != nil {
		return err
	}
	if session.FromContext(ctx).Session.Impersonator != "" {
		return ErrForbidden
	}
	return nil
}
