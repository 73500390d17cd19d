package sessionhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/vedfolnir/session"
)

// ErrSafeMethod refuses to begin a guest's session, or an impersonation, by GET or
// HEAD: a browser sends them without a person's act, and no token is asked for.
// (OWASP ASVS 5.0, 7.6.2.)
var ErrSafeMethod = errors.New("sessionhttp: such a session begins by what a person does: start it in answer to POST")

// StartGuest gives the browser a session of nobody, for what an application keeps of
// people before they sign in: under the id that [session.Context] has in
// Session.UserID, which is made up and never given again. A browser that has a
// session, of a guest or of a person, keeps that. The request must have come through
// the middleware, and needs a token as the form of a sign-in does. Nothing may have
// been written yet. Whoever signs in gets a new session; see Config.GuestSignedIn.
//
// A guest is not signed in: [session.Context.SignedIn] says no, RequireSession sends
// them to sign in, and the API answers them as it does strangers. What is for guests
// too asks [session.Context.Live], or stands behind [Handler.RequireGuest].
//
// Everybody can have any number of guests' sessions: limit how many an address may
// start.
func (h *Handler) StartGuest(w http.ResponseWriter, r *http.Request) (*session.Context, error) {
	if !isUnsafe(r.Method) {
		return nil, ErrSafeMethod
	}
	if c := session.FromContext(r.Context()); c.Live() {
		return c, nil
	}
	if err := h.checkLoginToken(r); err != nil {
		return nil, err
	}
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, ErrPlainHTTP
	}
	c, token, err := h.m.Create(r.Context(), session.CreateRequest{Guest: true, Client: h.Client(r)})
	if err != nil {
		return nil, err
	}
	h.setCookie(w, r, "", token, false)
	return &c, nil
}

// carryOver ends the session of a guest who has signed in, and only then has the
// application take over what it wants: nothing is added to it any more, and of two
// tabs that sign in at once one has ended it.
func (h *Handler) carryOver(ctx context.Context, guest, person *session.Context) {
	ctx = context.WithoutCancel(ctx)
	err := h.m.Revoke(ctx, guest.Session.ID, session.SignedOut, string(person.Session.UserID))
	if isSignedOut(err) {
		return
	}
	if err == nil && h.config.GuestSignedIn != nil {
		err = h.config.GuestSignedIn(ctx, guest, person)
	}
	if err != nil {
		h.config.Logger.ErrorContext(ctx, "sessionhttp: a guest has signed in, and what they had as a guest is not carried over; it is still kept under the guest's id",
			"guest", guest.Session.UserID, "user_id", person.Session.UserID, "error", err)
	}
}

// RequireGuest refuses a request without any session, of a person or of a guest.
func (h *Handler) RequireGuest(next http.Handler) http.Handler { return h.require(next, CheckGuest) }

// CheckGuest is [CheckSession] for [Handler.RequireGuest].
func CheckGuest(ctx context.Context) error {
	if session.FromContext(ctx).Live() {
		return nil
	}
	return CheckSession(ctx)
}
