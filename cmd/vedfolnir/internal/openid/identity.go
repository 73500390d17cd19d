package openid

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// maxText bounds what is kept of a provider's texts, in bytes; a subject has no more
// by the standard.
const maxText = 255

// Claims name those of a provider's claims that are not the standard's alone.
type Claims struct {
	Name  string // what the person is called; "preferred_username"
	Email string // "email"
	// Until is the end of the provider's session, in seconds since 1970; empty: none
	// tells it.
	Until string
}

// Identity is who somebody is, by the word of their provider.
type Identity struct {
	Issuer, Subject string
	SessionID       string // the provider's (sid); empty: it has not said
	// AuthTime is when they proved it to the provider; zero: it has not said.
	AuthTime time.Time
	// Until is when a session must end by the provider's word, or since proof would be
	// older than Config.MaxAge; zero: nothing is said of that.
	Until   time.Time
	Context string   // acr: which of the provider's classes the proof is of
	Methods []string // amr: how they proved it (RFC 8176)

	Name  string
	Email string
	// EmailVerified: the provider says that the address is theirs. EmailDoubtful: it
	// says that it does not know. A provider may say neither.
	EmailVerified, EmailDoubtful bool
}

// identify reads what the ID token says, and asks for the rest if it holds no address.
func (p *Provider) identify(ctx context.Context, m *metadata, token *oidc.IDToken, access oauth2.TokenSource) (Identity, error) {
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrUntrue, err)
	}
	id := Identity{
		Issuer: p.config.Issuer, Subject: token.Subject, SessionID: text(claims, "sid"),
		AuthTime: instant(claims, "auth_time"), Until: instant(claims, p.config.Claims.Until),
		Context: text(claims, "acr"), Methods: texts(claims, "amr"),
	}
	now := p.config.Now()
	azp := text(claims, "azp")
	switch {
	case id.Subject == "" || !storable(id.Subject) || !storable(id.SessionID):
		return Identity{}, fmt.Errorf("%w: its subject or session has no, too many or strange characters", ErrUntrue)
	case azp != "" && azp != p.config.ClientID || azp == "" && len(token.Audience) > 1:
		return Identity{}, fmt.Errorf("%w: the ID token was issued to %q", ErrUntrue, azp)
	case token.IssuedAt.After(now.Add(leeway)) || id.AuthTime.After(now.Add(leeway)):
		return Identity{}, fmt.Errorf("%w: the ID token is of a time to come", ErrUntrue)
	}
	if p.config.MaxAge > 0 {
		end := id.AuthTime.Add(p.config.MaxAge)
		switch {
		case id.AuthTime.IsZero():
			return Identity{}, ErrUntimed
		case !end.Add(leeway).After(now):
			return Identity{}, fmt.Errorf("%w: the proof is older than was asked for", ErrUntrue)
		}
		if id.Until.IsZero() || end.Before(id.Until) {
			id.Until = end
		}
	}
	if text(claims, p.config.Claims.Email) == "" && m.provider.UserInfoEndpoint() != "" {
		if err := p.addUserInfo(ctx, m, access, id.Subject, claims); err != nil {
			return Identity{}, err
		}
	}
	id.Name, id.Email = text(claims, p.config.Claims.Name), text(claims, p.config.Claims.Email)
	switch fmt.Sprint(claims["email_verified"]) { // some write it as a text
	case "true":
		id.EmailVerified = true
	case "false":
		id.EmailDoubtful = true
	}
	return id, nil
}

// addUserInfo adds what only the endpoint of that name tells.
func (p *Provider) addUserInfo(ctx context.Context, m *metadata, access oauth2.TokenSource, subject string, claims map[string]any) error {
	if err := p.checkEndpoint(m.provider.UserInfoEndpoint()); err != nil {
		return fmt.Errorf("%w: its userinfo_endpoint: %w", ErrUnreachable, err)
	}
	info, err := m.provider.UserInfo(ctx, access)
	if err != nil {
		return fmt.Errorf("%w: ask who it is: %s", ErrUnreachable, brief(err))
	}
	if info.Subject != subject {
		return fmt.Errorf("%w: it tells of somebody else", ErrUntrue)
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrue, err)
	}
	for _, name := range []string{p.config.Claims.Name, p.config.Claims.Email, "email_verified"} {
		if _, there := claims[name]; !there {
			claims[name] = more[name]
		}
	}
	return nil
}

// Strong reports whether the proof is among those named, by its class or by one of
// its methods.
func (id Identity) Strong(among []string) bool {
	return id.Context != "" && slices.Contains(among, id.Context) ||
		slices.ContainsFunc(id.Methods, func(m string) bool { return slices.Contains(among, m) })
}

// storable reports whether a text of a provider's may be kept, as any database can.
func storable(text string) bool {
	return len(text) <= maxText && !strings.ContainsFunc(text, unicode.IsControl)
}

func text(claims map[string]any, name string) string {
	s, _ := claims[name].(string)
	return strings.TrimSpace(s)
}

func texts(claims map[string]any, name string) (list []string) {
	all, _ := claims[name].([]any)
	for _, one := range all {
		if s, ok := one.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

func instant(claims map[string]any, name string) time.Time {
	seconds, ok := claims[name].(float64)
	if !ok || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
