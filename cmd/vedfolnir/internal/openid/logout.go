package openid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// logoutTime is how long after it was issued a logout token is good at most; the
// standard recommends two minutes.
const logoutTime = time.Hour

// ErrLogout: this is no logout token of the provider, for this client, of now.
var ErrLogout = errors.New("the logout token is not good")

// Logout says that somebody has signed out at the provider, or was signed out there.
// Whoever obeys it sees to it that none with the same ID is obeyed twice until then.
type Logout struct {
	Issuer  string
	ID      string // jti
	Subject string // whose sessions end; empty: that of SessionID
	// SessionID is which of the provider's sessions has ended; empty: all of Subject.
	SessionID string
	Until     time.Time // it is refused from then on
}

// Logout checks a logout token (Back-Channel Logout 1.0, 2.6). Errors: [ErrLogout],
// [ErrUnreachable].
func (p *Provider) Logout(ctx context.Context, token string) (Logout, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return Logout{}, err
	}
	said, err := verify(ctx, ErrLogout, m.verifier.VerifyLogout, token)
	if err != nil {
		return Logout{}, err
	}
	var more struct {
		Events map[string]json.RawMessage `json:"events"`
	}
	if err := said.Claims(&more); err != nil {
		return Logout{}, fmt.Errorf("%w: %w", ErrLogout, err)
	}
	var event map[string]any
	if err := json.Unmarshal(more.Events["http://schemas.openid.net/event/backchannel-logout"], &event); err != nil || event == nil {
		return Logout{}, fmt.Errorf("%w: its event is no JSON object", ErrLogout)
	}
	now := p.config.Now()
	l := Logout{Issuer: said.Issuer, ID: said.TokenID, Subject: said.Subject, SessionID: said.SessionID, Until: said.Expiry.Add(leeway)}
	if latest := said.IssuedAt.Add(logoutTime); latest.Before(l.Until) {
		l.Until = latest
	}
	switch {
	case said.IssuedAt.After(now.Add(leeway)):
		return Logout{}, fmt.Errorf("%w: it is of a time to come", ErrLogout)
	case !l.Until.After(now):
		return Logout{}, fmt.Errorf("%w: it is from %v, or says not when it was issued", ErrLogout, said.IssuedAt.UTC())
	case !storable(l.ID) || !storable(l.Subject) || !storable(l.SessionID):
		return Logout{}, fmt.Errorf("%w: its jti, sub or sid has too many or strange characters", ErrLogout)
	}
	return l, checkType(token)
}

// checkType refuses what says of itself that it is another kind of token, such as an
// access token. Not all providers say so.
func checkType(token string) error {
	parsed, err := jose.ParseSignedCompact(token, signatures())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLogout, err)
	}
	switch kind, _ := parsed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); kind {
	case "", "JWT", "logout+jwt", "application/logout+jwt":
		return nil
	default:
		return fmt.Errorf("%w: it is a %q", ErrLogout, kind)
	}
}

func signatures() (list []jose.SignatureAlgorithm) {
	for _, a := range algorithms {
		list = append(list, jose.SignatureAlgorithm(a))
	}
	return list
}
