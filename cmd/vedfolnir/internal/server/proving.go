package server

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/sessionhttp"
)

// proveAnew checks what a person gives to prove anew who they are: a password, which
// may be another person's, or one of their own passkeys.
func (a *App) proveAnew(ctx context.Context, c *session.Context, given sessionhttp.ReauthProof) (session.CreateRequest, error) {
	if given.Passkey == nil {
		return a.login(ctx, given.Credentials)
	}
	r := attemptOf(ctx).request.WithContext(ctx)
	own := func(user session.UserID) bool { return user == c.Session.UserID }
	return a.byPasskey(r, given.Passkey, own, a.passkeys.Proven)
}

// howToProve says by what they can. The passkey's challenge is for this session alone.
func (a *App) howToProve(ctx context.Context, c *session.Context) (o sessionhttp.ReauthOptions, err error) {
	o.Methods = []string{}
	if o.Passkey, err = a.passkeyToProve(ctx, c.Session.UserID); err != nil {
		return o, err
	}
	if o.Passkey != nil {
		o.Methods = append(o.Methods, "passkey")
	}
	password, err := a.people.HasPassword(ctx, c.Session.UserID)
	if err != nil {
		return o, unavailable(err)
	}
	if password {
		o.Methods = append(o.Methods, "password")
	}
	return o, nil
}

// passkeyToProve is nil if they have none that works here.
func (a *App) passkeyToProve(ctx context.Context, user session.UserID) (json.RawMessage, error) {
	r := attemptOf(ctx).request.WithContext(ctx)
	here, _ := a.site(r)
	list, err := a.people.Passkeys(ctx, user)
	if err != nil {
		return nil, unavailable(err)
	}
	list = slices.DeleteFunc(list, func(p directory.Passkey) bool { return p.Site != here.Name })
	if len(list) == 0 {
		return nil, nil
	}
	holder, err := a.people.Holder(ctx, user)
	if err != nil {
		return nil, unavailable(err)
	}
	holder.Passkeys = list
	return a.passkeys.Prove(here, a.sessions.TokenSubject(r), holder)
}
