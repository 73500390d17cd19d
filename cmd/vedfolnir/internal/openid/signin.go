package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// FlowTime is how long a person may take at the provider.
const FlowTime = 10 * time.Minute

var (
	// ErrNotBegun: the answer belongs to no sign-in that was begun with this Flow, or
	// to one that was begun too long ago.
	ErrNotBegun = errors.New("no sign-in was begun here that this could be the answer to")
	// ErrCode: the provider does not take the code, which may be a guess, or used.
	ErrCode = errors.New("the OpenID provider does not take the code")
	// ErrUntrue: what the provider answered, or somebody in its place, fails a check.
	ErrUntrue = errors.New("the answer of the OpenID provider is not to be believed")
	// ErrUntimed: the provider was asked for a proof of some age at most, and owes when
	// that was given (OpenID Connect Core, 2), but does not say.
	ErrUntimed = errors.New("the OpenID provider does not say when somebody proved who they are (auth_time), though it was asked to (max_age)")
)

// RefusedError is the provider's own refusal (RFC 6749, 4.1.2.1, and OpenID Connect
// Core, 3.1.2.6).
type RefusedError struct{ Code string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the OpenID provider refuses: %q", e.Code)
}

// Denied reports whether it was the person who said no.
func (e *RefusedError) Denied() bool { return e.Code == "access_denied" }

// Flow is a sign-in that was begun: it has to come back with the answer, and nobody
// but the browser that it was begun in may have it.
type Flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Issuer   string    `json:"i"` // who was asked
	Begun    time.Time `json:"b"`
	Fresh    bool      `json:"f,omitempty"` // the person has to prove anew who they are
}

// Begin returns where to send the person, and what to keep until they are back. fresh
// has the provider ask them who they are, even if it knows.
func (p *Provider) Begin(ctx context.Context, fresh bool) (address string, f Flow, err error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return "", f, err
	}
	f = Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Issuer: p.config.Issuer, Begun: p.config.Now(), Fresh: fresh}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	switch {
	case fresh:
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	case p.config.MaxAge > 0:
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(p.config.MaxAge/time.Second))))
	}
	return m.oauth.AuthCodeURL(f.State, options...), f, nil
}

// Answers reports whether a query is the answer to f, and still in time. Errors:
// [ErrNotBegun].
func (p *Provider) Answers(f Flow, query url.Values) error {
	state := query.Get("state")
	age := p.config.Now().Sub(f.Begun)
	switch {
	case f.State == "" || subtle.ConstantTimeCompare([]byte(state), []byte(f.State)) != 1:
		return fmt.Errorf("%w: it has another state", ErrNotBegun)
	case f.Issuer != p.config.Issuer:
		return fmt.Errorf("%w: it was begun with another provider", ErrNotBegun)
	case age < -leeway || age >= FlowTime:
		return fmt.Errorf("%w: it was begun %v ago", ErrNotBegun, age.Round(time.Second))
	}
	return nil
}

// Finish reads the query with which the provider sent the person back, exchanges the
// code, and returns who they are. Errors: [ErrNotBegun], [*RefusedError], [ErrCode],
// [ErrUntrue], [ErrUntimed], [ErrUnreachable].
func (p *Provider) Finish(ctx context.Context, f Flow, query url.Values) (Identity, error) {
	if err := p.Answers(f, query); err != nil {
		return Identity{}, err
	}
	m, err := p.metadata(ctx)
	if err != nil {
		return Identity{}, err
	}
	// Who answered (RFC 9207): another provider's answer must not bring its code here.
	if iss := query.Get("iss"); iss != "" && iss != p.config.Issuer || iss == "" && m.namesSelf {
		return Identity{}, fmt.Errorf("%w: it comes from %q", ErrUntrue, clip(iss))
	}
	if code := query.Get("error"); code != "" {
		return Identity{}, &RefusedError{clip(code)}
	}
	ctx = oidc.ClientContext(ctx, p.client)
	tokens, err := m.oauth.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := verify(ctx, ErrUntrue, m.verifier.Verify, raw)
	if err != nil {
		return Identity{}, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(f.Nonce)) != 1 {
		return Identity{}, fmt.Errorf("%w: the ID token has another nonce", ErrUntrue)
	}
	if token.AccessTokenHash != "" && token.VerifyAccessToken(tokens.AccessToken) != nil {
		return Identity{}, fmt.Errorf("%w: the access token is not the ID token's", ErrUntrue)
	}
	id, err := p.identify(ctx, m, token, oauth2.StaticTokenSource(tokens))
	switch {
	case err != nil || !f.Fresh:
		return id, err
	case id.AuthTime.IsZero():
		return Identity{}, ErrUntimed
	case id.AuthTime.Before(f.Begun.Add(-leeway)):
		return Identity{}, fmt.Errorf("%w: nothing was proved anew", ErrUntrue)
	}
	return id, nil
}

// exchangeError keeps what the token endpoint said to its code: the rest is for its
// own log, and may hold anything.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	switch {
	case !errors.As(err, &refused):
		return fmt.Errorf("%w: exchange the code: %s", ErrUnreachable, brief(err))
	case refused.ErrorCode == "invalid_grant":
		return ErrCode
	}
	status := 0
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	return fmt.Errorf("%w: it does not exchange the code: status %d, error %q", ErrUnreachable, status, clip(refused.ErrorCode))
}
