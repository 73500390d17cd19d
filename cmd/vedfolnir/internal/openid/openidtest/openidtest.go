// Package openidtest is an OpenID provider of our own making, for tests: it speaks the
// protocol as the standards have it, checks what a client owes it, and can be told to
// break any rule of its own side.
package openidtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// What the client is registered with.
const (
	ClientID = "vedfolnir-client"
	Secret   = "a secret / of the client+" // as RFC 6749 wants it encoded
)

// Event is the member of a logout token's events that says what it is.
const Event = "http://schemas.openid.net/event/backchannel-logout"

// Map is a JSON object.
type Map = map[string]any

// Provider is the provider. Its fields may be set while nothing is asked of it.
type Provider struct {
	URL      string // of the issuer
	Redirect string // the one redirect URI of the client; empty: any
	Claims   Map    // of ID tokens, over what the standard wants: "sub", "sid", "email", ...
	Metadata Map    // of discovery, over the usual; a nil value leaves one out
	UserInfo Map    // nil: there is no such endpoint
	// Error is what authorization answers instead of a code; empty: a code.
	Error string
	// SaysIss has authorization answers say who they are from (RFC 9207).
	SaysIss bool
	// Instead serves a path in its place; nil: nothing.
	Instead map[string]http.HandlerFunc
	// Token replaces the ID token; nil: it is the one that the claims make.
	Token func(claims Map) string
	Now   func() time.Time

	mu    sync.Mutex
	keys  []jose.JSONWebKey // private; the last one signs
	codes map[string]grant
	Asked map[string]int // requests by path
}

// grant is what a code stands for.
type grant struct{ nonce, challenge, redirect string }

// New returns a provider that is to be served at the address.
func New(address string) *Provider {
	p := &Provider{
		URL: address, Now: time.Now, codes: map[string]grant{}, Asked: map[string]int{}, Instead: map[string]http.HandlerFunc{},
		Claims: Map{"sub": "kim-at-the-provider", "sid": "the-provider's-session", "preferred_username": "kim", "email": "kim@example.org", "email_verified": true},
	}
	p.Rotate()
	return p
}

// Start serves a provider until the test has ended.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := New("")
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.URL = server.URL
	return p
}

// Rotate signs with a new key from now on. The old ones stay published.
func (p *Provider) Rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, jose.JSONWebKey{Key: private, KeyID: fmt.Sprint("key-", len(p.keys)+1), Algorithm: "ES256", Use: "sig"})
}

// Key is the private key that signs just now.
func (p *Provider) Key() jose.JSONWebKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// Requests counts those of a path.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Asked[path]
}

func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.Asked[r.URL.Path]++
	p.mu.Unlock()
	if instead := p.Instead[r.URL.Path]; instead != nil {
		instead(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/openid-configuration":
		send(w, 200, p.metadata())
	case "GET /keys":
		p.mu.Lock()
		defer p.mu.Unlock()
		var set jose.JSONWebKeySet
		for _, k := range p.keys {
			set.Keys = append(set.Keys, k.Public())
		}
		send(w, 200, set)
	case "GET /authorize":
		p.authorize(w, r)
	case "POST /token":
		p.token(w, r)
	case "GET /userinfo":
		if r.Header.Get("Authorization") != "Bearer access" {
			send(w, 401, Map{"error": "invalid_token"})
			return
		}
		send(w, 200, p.UserInfo)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) metadata() Map {
	m := Map{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
	}
	if p.UserInfo != nil {
		m["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	if p.SaysIss {
		m["authorization_response_iss_parameter_supported"] = true
	}
	return over(m, p.Metadata)
}

// over returns base with what is in top; nil there leaves it out.
func over(base, top Map) Map {
	base = maps.Clone(base)
	for name, value := range top {
		if value == nil {
			delete(base, name)
		} else {
			base[name] = value
		}
	}
	return base
}

// authorize signs its one person in without a question.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	mistake := ""
	switch {
	case q.Get("client_id") != ClientID, err != nil, p.Redirect != "" && q.Get("redirect_uri") != p.Redirect:
		mistake = "client_id or redirect_uri"
	case q.Get("response_type") != "code", !strings.Contains(" "+q.Get("scope")+" ", " openid "):
		mistake = "response_type or scope"
	case q.Get("state") == "", q.Get("nonce") == "", q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		mistake = "state, nonce or PKCE"
	}
	if mistake != "" {
		http.Error(w, "the request for authorization is mistaken: "+mistake, http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	if p.SaysIss {
		answer.Set("iss", p.URL)
	}
	if p.Error != "" {
		answer.Set("error", p.Error)
		answer.Set("error_description", "<script>words of the provider</script>")
	} else {
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
		p.mu.Unlock()
		answer.Set("code", code)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// token exchanges a code, once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if basic { // RFC 6749, 2.3.1
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != ClientID || secret != Secret {
		send(w, 401, Map{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	g, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || g.challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) || g.redirect != r.PostFormValue("redirect_uri") {
		send(w, 400, Map{"error": "invalid_grant"})
		return
	}
	claims := p.IDClaims(g.nonce)
	token := ""
	if p.Token != nil {
		token = p.Token(claims)
	} else {
		token = p.Sign(claims)
	}
	send(w, 200, Map{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token})
}

// IDClaims are those of a good ID token.
func (p *Provider) IDClaims(nonce string) Map {
	now := p.Now().Unix()
	return over(Map{"iss": p.URL, "aud": ClientID, "iat": now, "exp": now + 300, "auth_time": now, "nonce": nonce}, p.Claims)
}

// LogoutClaims are those of a good logout token, for the person and their session.
func (p *Provider) LogoutClaims(top Map) Map {
	now := p.Now().Unix()
	return over(Map{
		"iss": p.URL, "aud": ClientID, "iat": now, "exp": now + 120, "jti": rand.Text(),
		"sub": p.Claims["sub"], "sid": p.Claims["sid"], "events": Map{Event: Map{}},
	}, top)
}

// Logout is a good logout token but for what is in top.
func (p *Provider) Logout(top Map) string { return p.Sign(p.LogoutClaims(top)) }

// Sign makes a token of the claims.
func (p *Provider) Sign(claims Map) string {
	return SignWith(jose.ES256, p.Key(), claims, nil)
}

// SignWith makes a token with any key and header.
func SignWith(algorithm jose.SignatureAlgorithm, key any, claims Map, header Map) string {
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Unsigned makes a token with "alg": "none".
func Unsigned(claims Map) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + encode(payload) + "."
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
