package openid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// DefaultTimeout is how long an answer of the provider may take, to its last byte.
	DefaultTimeout = 10 * time.Second
	// DefaultKeyGap lies between two requests for keys. Whoever sends tokens with
	// made-up key ids causes no more than that.
	DefaultKeyGap = 2 * time.Second
	// metadataAge is how long the provider's metadata are used before they are asked
	// for again.
	metadataAge = time.Hour
	// retryAfter is how long a failure to get them is taken for the answer.
	retryAfter = time.Second
	// unwellFor is how long such a failure is worth telling.
	unwellFor = time.Minute
	// leeway is how far the provider's clock may be off.
	leeway = time.Minute
)

// ErrUnreachable: the provider does not answer, or not in a way that can be used.
// Trying again later may help.
var ErrUnreachable = errors.New("the OpenID provider does not answer")

// algorithms that a provider may sign with. "none" and those with a shared secret,
// HS256 among them, are not: their key would be public, or ours.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Config of a [Provider].
type Config struct {
	Issuer   string // as the provider writes it; see [CheckURL]
	ClientID string
	// Secret of the client; empty: it is a public one, and PKCE alone protects the code.
	Secret Secret
	// RedirectURI is where the provider sends people back to.
	RedirectURI string
	// Scopes beside "openid".
	Scopes []string
	// MaxAge is how long ago a person may have proved to the provider who they are;
	// after that it asks them again. 0: the provider decides.
	MaxAge time.Duration
	Claims Claims
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Timeout of each request to the provider; default [DefaultTimeout].
	Timeout time.Duration
	// KeyGap is how long after a request for the provider's keys the next one waits;
	// default [DefaultKeyGap].
	KeyGap time.Duration
}

// Provider is an OpenID provider as one client of it sees it. It is safe for
// concurrent use.
type Provider struct {
	config   Config
	client   *http.Client
	forKeys  *http.Client  // of the provider's keys alone
	asking   chan struct{} // holds whoever asks for metadata
	mu       sync.Mutex
	known    *metadata // nil: not yet
	failedAt time.Time
	failure  error // of the last time that metadata were asked for; nil: it went well
}

// metadata is what discovery told, checked.
type metadata struct {
	at        time.Time
	provider  *oidc.Provider
	oauth     oauth2.Config
	verifier  *oidc.IDTokenVerifier
	keys      keySet
	keysURL   string
	namesSelf bool // it says in each answer who it is (RFC 9207)
}

// New returns a provider that has not been asked for anything yet.
func New(config Config) *Provider {
	if config.Now == nil {
		config.Now = time.Now
	}
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	config.KeyGap = cmp.Or(config.KeyGap, DefaultKeyGap)
	return &Provider{
		config: config, asking: make(chan struct{}, 1),
		client: newClient(config.Timeout, 0), forKeys: newClient(config.Timeout+config.KeyGap, config.KeyGap),
	}
}

// Unwell is why the provider did not answer a moment ago; nil: nothing is known of
// that. It asks nobody.
func (p *Provider) Unwell() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil && p.config.Now().Sub(p.failedAt) < unwellFor {
		return p.failure
	}
	return nil
}

// Discover asks for the provider's metadata, unless they are known. The error is
// [ErrUnreachable], and says why.
func (p *Provider) Discover(ctx context.Context) error {
	_, err := p.metadata(ctx)
	return err
}

func (p *Provider) metadata(ctx context.Context) (*metadata, error) {
	if m, err := p.remembered(); m != nil || err != nil {
		return m, err
	}
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	if m, err := p.remembered(); m != nil || err != nil { // somebody else asked meanwhile
		return m, err
	}
	m, err := p.ask(context.WithoutCancel(ctx)) // others wait for it too
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failedAt, p.failure = p.config.Now(), fmt.Errorf("%w: %s", ErrUnreachable, brief(err))
		if p.known != nil { // what it said before is better than nothing
			p.known.at = p.config.Now().Add(retryAfter - metadataAge)
			return p.known, nil
		}
		return nil, p.failure
	}
	p.known, p.failure = m, nil
	return m, nil
}

// remembered returns neither metadata nor an error if they have to be asked for.
func (p *Provider) remembered() (*metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.config.Now()
	switch {
	case p.known != nil && now.Sub(p.known.at) < metadataAge:
		return p.known, nil
	case p.known == nil && p.failure != nil && now.Sub(p.failedAt) < retryAfter:
		return nil, p.failure
	}
	return nil, nil
}

// ask is discovery.
func (p *Provider) ask(ctx context.Context) (*metadata, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		return nil, err
	}
	var told struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		Challenges []string `json:"code_challenge_methods_supported"`
		Auth       []string `json:"token_endpoint_auth_methods_supported"`
		NamesSelf  bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&told); err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	for what, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": told.Keys,
	} {
		if err := p.checkEndpoint(address); err != nil {
			return nil, fmt.Errorf("its %s: %w", what, err)
		}
	}
	if len(told.Challenges) > 0 && !slices.Contains(told.Challenges, "S256") {
		return nil, fmt.Errorf("it knows no PKCE with S256, but %q", told.Challenges)
	}
	signs := slices.DeleteFunc(slices.Clone(told.Algorithms), func(a string) bool { return !slices.Contains(algorithms, a) })
	if len(signs) == 0 {
		signs = []string{oidc.RS256} // which every provider has to know
	}
	endpoint.AuthStyle = p.authStyle(told.Auth)
	m := &metadata{
		at: p.config.Now(), provider: provider, namesSelf: told.NamesSelf, keysURL: told.Keys,
		oauth: oauth2.Config{
			ClientID: p.config.ClientID, ClientSecret: p.config.Secret.Reveal(), Endpoint: endpoint, RedirectURL: p.config.RedirectURI,
			Scopes: append([]string{oidc.ScopeOpenID}, slices.DeleteFunc(slices.Clone(p.config.Scopes), func(s string) bool { return s == oidc.ScopeOpenID })...),
		},
	}
	p.mu.Lock()
	if p.known != nil && p.known.keysURL == told.Keys {
		m.keys = p.known.keys
	} else {
		m.keys = newKeySet(p.forKeys, told.Keys)
	}
	p.mu.Unlock()
	m.verifier = oidc.NewVerifier(p.config.Issuer, m.keys, &oidc.Config{
		ClientID: p.config.ClientID, SupportedSigningAlgs: signs,
		Now: func() time.Time { return p.config.Now().Add(-leeway) },
	})
	return m, nil
}

// checkEndpoint refuses an address that the issuer itself could not have.
func (p *Provider) checkEndpoint(address string) error {
	if err := CheckURL(address); err != nil {
		return err
	}
	if plain(address) && !plain(p.config.Issuer) {
		return fmt.Errorf("%q is without TLS, and the issuer's is not", address)
	}
	return nil
}

// authStyle is how the client proves who it is (OpenID Connect Core, 9). To try one
// after the other would use up the code.
func (p *Provider) authStyle(supported []string) oauth2.AuthStyle {
	basic := len(supported) == 0 || slices.Contains(supported, "client_secret_basic")
	if basic && !p.config.Secret.Empty() {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// CheckURL refuses an address that a provider, or this server beside one, must not
// have: any but https, except on this machine; and one with a query, a fragment or a
// name and password in it.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is no address: give https://HOST", address)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%q has more than a host and a path", u.Redacted())
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is without TLS: give https://HOST (http only on this machine)", address)
}

// Host of an address, for people to know it by.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func plain(address string) bool {
	u, err := url.Parse(address)
	return err != nil || u.Scheme != "https"
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
