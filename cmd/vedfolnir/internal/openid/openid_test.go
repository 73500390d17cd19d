package openid_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid/openidtest"
)

type claims = openidtest.Map

const redirect = "https://sessions.example.org/openid/callback"

func config(p *openidtest.Provider) openid.Config {
	return openid.Config{
		Issuer: p.URL, ClientID: openidtest.ClientID, Secret: openid.NewSecret(openidtest.Secret), RedirectURI: redirect,
		Scopes: []string{"profile", "email"}, Claims: openid.Claims{Name: "preferred_username", Email: "email", Until: "session_expires_at"},
		Timeout: 5 * time.Second, KeyGap: 50 * time.Millisecond,
	}
}

// visit has the person go to the provider, and returns with what they come back.
func visit(t *testing.T, address string) url.Values {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	back, err := w.Location()
	if err != nil || !strings.HasPrefix(back.String(), redirect+"?") {
		t.Fatalf("the provider answers %d, %v", w.StatusCode, back)
	}
	return back.Query()
}

// signIn goes the whole way.
func signIn(t *testing.T, client *openid.Provider) (openid.Identity, error) {
	t.Helper()
	address, flow, err := client.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return client.Finish(t.Context(), flow, visit(t, address))
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	p.Redirect = redirect
	now := time.Now().Truncate(time.Second).UTC()
	p.Claims = claims{
		"sub": "1", "sid": "s", "preferred_username": " kim ", "email": "kim@example.org", "email_verified": true,
		"acr": "gold", "amr": []string{"pwd", "otp"}, "auth_time": now.Unix(), "session_expires_at": now.Add(time.Hour).Unix(),
	}
	id, err := signIn(t, openid.New(config(p)))
	if err != nil {
		t.Fatal(err)
	}
	want := openid.Identity{
		Issuer: p.URL, Subject: "1", SessionID: "s", AuthTime: now, Until: now.Add(time.Hour), Context: "gold", Methods: []string{"pwd", "otp"},
		Name: "kim", Email: "kim@example.org", EmailVerified: true,
	}
	if fmt.Sprint(id) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", id, want)
	}
	for among, strong := range map[string]bool{"gold": true, "otp": true, "mfa": false, "": false} {
		if id.Strong([]string{among}) != strong {
			t.Errorf("among %q: %v", among, !strong)
		}
	}
	if p.Requests("/userinfo") > 0 {
		t.Error("asked for more than was needed")
	}
}

// How a client says who it is, and what a provider tells elsewhere.
func TestProvidersDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set func(*openidtest.Provider, *openid.Config)
		id  func(openid.Identity) bool
	}{
		"the secret in the form": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Metadata = claims{"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}
		}, nil},
		"an answer that says who it is from": {func(p *openidtest.Provider, _ *openid.Config) { p.SaysIss = true }, nil},
		"nothing said of algorithms but RS256": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Metadata = claims{"id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"}}
		}, nil},
		"several audiences, and who it was issued to": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Claims["aud"], p.Claims["azp"] = []string{openidtest.ClientID, "other"}, openidtest.ClientID
		}, nil},
		"a thin token": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Claims = claims{"sub": "1"}
			p.UserInfo = claims{"sub": "1", "preferred_username": "kim", "email": "kim@example.org", "email_verified": "false", "sid": "not this one's matter"}
		}, func(id openid.Identity) bool {
			return id.Name == "kim" && id.Email == "kim@example.org" && id.EmailDoubtful && !id.EmailVerified && id.SessionID == ""
		}},
		"the age of the proof": {func(p *openidtest.Provider, c *openid.Config) {
			c.MaxAge = time.Hour
			p.Claims["auth_time"] = time.Now().Add(-30 * time.Minute).Unix()
			p.Claims["session_expires_at"] = time.Now().Add(48 * time.Hour).Unix()
		}, func(id openid.Identity) bool { return id.Until.Equal(id.AuthTime.Add(time.Hour)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openidtest.Start(t)
			conf := config(p)
			c.set(p, &conf)
			id, err := signIn(t, openid.New(conf))
			if err != nil || c.id != nil && !c.id(id) {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// What is wrong with an ID token, or with the answer around it.
func TestAnswersThatAreNotToBeBelieved(t *testing.T) {
	t.Parallel()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(top claims) func(*openidtest.Provider, *openid.Config) {
		return func(p *openidtest.Provider, _ *openid.Config) { maps.Copy(p.Claims, top) }
	}
	token := func(make func(p *openidtest.Provider, c claims) string) func(*openidtest.Provider, *openid.Config) {
		return func(p *openidtest.Provider, _ *openid.Config) {
			p.Token = func(c claims) string { return make(p, c) }
		}
	}
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		set  func(*openidtest.Provider, *openid.Config)
		want error
	}{
		"a wrong signature": {token(func(p *openidtest.Provider, c claims) string {
			return openidtest.SignWith(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: p.Key().KeyID}, c, nil)
		}), openid.ErrUntrue},
		"a key that nobody knows": {token(func(_ *openidtest.Provider, c claims) string {
			return openidtest.SignWith(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "other"}, c, nil)
		}), openid.ErrUntrue},
		"alg none":              {token(func(_ *openidtest.Provider, c claims) string { return openidtest.Unsigned(c) }), openid.ErrUntrue},
		"HS256, the public key": {token(func(p *openidtest.Provider, c claims) string { return withPublicKey(t, p, c) }), openid.ErrUntrue},
		"no ID token":           {token(func(*openidtest.Provider, claims) string { return "" }), openid.ErrUntrue},
		"a logout token":        {token(func(p *openidtest.Provider, _ claims) string { return p.Logout(nil) }), openid.ErrUntrue},
		"another issuer":        {with(claims{"iss": "https://other.example"}), openid.ErrUntrue},
		"another audience":      {with(claims{"aud": "other"}), openid.ErrUntrue},
		"several audiences":     {with(claims{"aud": []string{openidtest.ClientID, "other"}}), openid.ErrUntrue},
		"issued to another":     {with(claims{"azp": "other"}), openid.ErrUntrue},
		"expired":               {with(claims{"exp": now - 120}), openid.ErrUntrue},
		"of a time to come":     {with(claims{"iat": now + 300}), openid.ErrUntrue},
		"another nonce":         {with(claims{"nonce": "other"}), openid.ErrUntrue},
		"no nonce":              {with(claims{"nonce": ""}), openid.ErrUntrue},
		"no subject":            {with(claims{"sub": ""}), openid.ErrUntrue},
		"a long subject":        {with(claims{"sub": strings.Repeat("a", 256)}), openid.ErrUntrue},
		"a subject to be cut":   {with(claims{"sub": "kim\x00sam"}), openid.ErrUntrue},
		"another access token":  {with(claims{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), openid.ErrUntrue},
		"a proof too old": {func(p *openidtest.Provider, c *openid.Config) {
			c.MaxAge, p.Claims["auth_time"] = time.Minute, now-300
		}, openid.ErrUntrue},
		"a proof of no known age": {func(p *openidtest.Provider, c *openid.Config) {
			c.MaxAge, p.Claims["auth_time"] = time.Minute, ""
		}, openid.ErrUntimed},
		"told of somebody else": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Claims = claims{"sub": "1"}
			p.UserInfo = claims{"sub": "2", "email": "other@example.org"}
		}, openid.ErrUntrue},
		"another secret": {func(_ *openidtest.Provider, c *openid.Config) { c.Secret = openid.NewSecret("other") }, openid.ErrUnreachable},
		"a huge answer": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Instead["/token"] = func(w http.ResponseWriter, _ *http.Request) { huge(w) }
		}, openid.ErrUnreachable},
		"huge keys": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Instead["/keys"] = func(w http.ResponseWriter, _ *http.Request) { huge(w) }
		}, openid.ErrUnreachable},
		"no keys": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Instead["/keys"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
		}, openid.ErrUnreachable},
		"a slow answer": {func(p *openidtest.Provider, c *openid.Config) {
			c.Timeout = 100 * time.Millisecond
			p.Instead["/token"] = func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or nobody would see the client go
				<-r.Context().Done()
			}
		}, openid.ErrUnreachable},
		"a redirect elsewhere": {func(p *openidtest.Provider, _ *openid.Config) {
			p.Instead["/token"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}
		}, openid.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openidtest.Start(t)
			conf := config(p)
			c.set(p, &conf)
			id, err := signIn(t, openid.New(conf))
			if !errors.Is(err, c.want) || id.Subject != "" {
				t.Fatalf("%+v, %v; want %v", id, err, c.want)
			}
			if strings.Contains(err.Error(), openidtest.Secret) || len(err.Error()) > 1000 {
				t.Errorf("the error says too much: %.2000s", err)
			}
			if p.Requests("/elsewhere") > 0 {
				t.Error("the redirect was followed, with the secret")
			}
		})
	}
}

func huge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	line := bytes.Repeat([]byte(" "), 1<<16)
	for range 64 {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

// withPublicKey signs as one that takes a public key for a shared secret.
func withPublicKey(t *testing.T, p *openidtest.Provider, c claims) string {
	t.Helper()
	key := p.Key()
	der, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	return openidtest.SignWith(jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), c, claims{"kid": p.Key().KeyID})
}

// A sign-in ends with the answer to it, and with no other.
func TestAnswersToSomethingElse(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	p.SaysIss = true
	clock := time.Now()
	conf := config(p)
	conf.Now = func() time.Time { return clock }
	client := openid.New(conf)
	address, flow, err := client.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	answer := visit(t, address)
	edited := func(edit func(url.Values)) url.Values {
		q := maps.Clone(answer)
		edit(q)
		return q
	}
	for name, c := range map[string]struct {
		flow  func(openid.Flow) openid.Flow
		query url.Values
		want  error
	}{
		"another state":               {nil, edited(func(q url.Values) { q.Set("state", "other") }), openid.ErrNotBegun},
		"no state":                    {nil, edited(func(q url.Values) { q.Del("state") }), openid.ErrNotBegun},
		"nothing that was begun":      {func(openid.Flow) openid.Flow { return openid.Flow{} }, edited(func(q url.Values) { q.Del("state") }), openid.ErrNotBegun},
		"one begun with another":      {func(f openid.Flow) openid.Flow { f.Issuer = "https://other.example"; return f }, answer, openid.ErrNotBegun},
		"one begun too long ago":      {func(f openid.Flow) openid.Flow { f.Begun = clock.Add(-openid.FlowTime); return f }, answer, openid.ErrNotBegun},
		"one begun in time to come":   {func(f openid.Flow) openid.Flow { f.Begun = clock.Add(time.Hour); return f }, answer, openid.ErrNotBegun},
		"a mix-up: from another":      {nil, edited(func(q url.Values) { q.Set("iss", "https://other.example") }), openid.ErrUntrue},
		"a mix-up: from nobody":       {nil, edited(func(q url.Values) { q.Del("iss") }), openid.ErrUntrue},
		"a code that nobody gave":     {nil, edited(func(q url.Values) { q.Set("code", "guessed") }), openid.ErrCode},
		"no code":                     {nil, edited(func(q url.Values) { q.Del("code") }), openid.ErrCode},
		"another verifier (no PKCE)":  {func(f openid.Flow) openid.Flow { f.Verifier = ""; return f }, visit(t, address), openid.ErrCode},
		"another nonce than asked":    {func(f openid.Flow) openid.Flow { f.Nonce = "other"; return f }, visit(t, address), openid.ErrUntrue},
		"the provider's own refusal":  {nil, edited(func(q url.Values) { q.Set("error", "login_required"); q.Del("code") }), &openid.RefusedError{}},
		"the good one, and once more": {nil, visit(t, address), nil},
	} {
		f := flow
		if c.flow != nil {
			f = c.flow(flow)
		}
		id, err := client.Finish(t.Context(), f, c.query)
		var refused *openid.RefusedError
		if want := (*openid.RefusedError)(nil); errors.As(c.want, &want) {
			if !errors.As(err, &refused) || refused.Code != "login_required" || refused.Denied() {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, c.want) || (id.Subject != "") != (c.want == nil) {
			t.Errorf("%s: %+v, %v; want %v", name, id, err, c.want)
		}
		if c.want == nil {
			if _, err := client.Finish(t.Context(), f, c.query); !errors.Is(err, openid.ErrCode) {
				t.Errorf("the same code again: %v", err)
			}
		}
	}
}

// What is wrong with a logout token.
func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	clock := time.Now()
	conf := config(p)
	conf.Now = func() time.Time { return clock }
	client := openid.New(conf)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Unix()
	for name, token := range map[string]string{
		"nothing":                     "",
		"no token":                    "a.b.c",
		"a wrong signature":           openidtest.SignWith(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: p.Key().KeyID}, p.LogoutClaims(nil), nil),
		"a key that nobody knows":     openidtest.SignWith(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "other"}, p.LogoutClaims(nil), nil),
		"alg none":                    openidtest.Unsigned(p.LogoutClaims(nil)),
		"HS256, the public key":       withPublicKey(t, p, p.LogoutClaims(nil)),
		"an ID token":                 p.Sign(p.IDClaims("nonce")),
		"an ID token without a nonce": p.Sign(func() claims { c := p.IDClaims(""); delete(c, "nonce"); return c }()),
		"a nonce":                     p.Logout(claims{"nonce": "n"}),
		"an empty nonce":              p.Logout(claims{"nonce": ""}),
		"another issuer":              p.Logout(claims{"iss": "https://other.example"}),
		"another audience":            p.Logout(claims{"aud": "other"}),
		"expired":                     p.Logout(claims{"exp": now - 120}),
		"without an end":              p.Logout(claims{"exp": nil}),
		"of a time to come":           p.Logout(claims{"iat": now + 300}),
		"of long ago, for ever":       p.Logout(claims{"iat": now - 4000, "exp": now + 1e9}),
		"of no time":                  p.Logout(claims{"iat": nil}),
		"without an id":               p.Logout(claims{"jti": nil}),
		"a sub no database keeps":     p.Logout(claims{"sub": "kim\x00"}),
		"a long id":                   p.Logout(claims{"jti": strings.Repeat("a", 256)}),
		"without events":              p.Logout(claims{"events": nil}),
		"another event":               p.Logout(claims{"events": claims{"http://schemas.example/other": claims{}}}),
		"an event that is null":       p.Logout(claims{"events": claims{openidtest.Event: json.RawMessage("null")}}),
		"an event that is a text":     p.Logout(claims{"events": claims{openidtest.Event: "yes"}}),
		"neither sub nor sid":         p.Logout(claims{"sub": nil, "sid": nil}),
		"another kind of token":       openidtest.SignWith(jose.ES256, p.Key(), p.LogoutClaims(nil), claims{"typ": "at+jwt"}),
	} {
		if l, err := client.Logout(t.Context(), token); !errors.Is(err, openid.ErrLogout) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	at := func(c claims) claims { // the second may be over
		all := claims{"iat": now, "exp": now + 120}
		maps.Copy(all, c)
		return all
	}
	for name, c := range map[string]struct {
		token        string
		subject, sid string
		until        time.Time
	}{
		"of a session":           {p.Logout(at(nil)), p.Claims["sub"].(string), p.Claims["sid"].(string), time.Unix(now+180, 0)},
		"of a session alone":     {p.Logout(at(claims{"sub": nil})), "", p.Claims["sid"].(string), time.Unix(now+180, 0)},
		"of a person":            {p.Logout(at(claims{"sid": nil})), p.Claims["sub"].(string), "", time.Unix(now+180, 0)},
		"that says what it is":   {openidtest.SignWith(jose.ES256, p.Key(), p.LogoutClaims(at(nil)), claims{"typ": "logout+jwt"}), p.Claims["sub"].(string), p.Claims["sid"].(string), time.Unix(now+180, 0)},
		"that is good for years": {p.Logout(claims{"iat": now, "exp": now + 1e8}), p.Claims["sub"].(string), p.Claims["sid"].(string), time.Unix(now+3600, 0)},
	} {
		l, err := client.Logout(t.Context(), c.token)
		if err != nil || l.ID == "" || l.Issuer != p.URL || l.Subject != c.subject || l.SessionID != c.sid || !l.Until.Equal(c.until) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// New keys are asked for when they are needed, and not oftener than is good for the
// provider, whoever sends what.
func TestKeysThatRotate(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	conf := config(p)
	conf.KeyGap = 300 * time.Millisecond
	client := openid.New(conf)
	if _, err := client.Logout(t.Context(), p.Logout(nil)); err != nil {
		t.Fatal(err)
	}
	old := p.Key()
	p.Rotate()
	for name, token := range map[string]string{"new": p.Logout(nil), "old": openidtest.SignWith(jose.ES256, old, p.LogoutClaims(nil), nil)} {
		if _, err := client.Logout(t.Context(), token); err != nil {
			t.Errorf("signed with the %s key: %v", name, err)
		}
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	start, asked := time.Now(), p.Requests("/keys")
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			token := openidtest.SignWith(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: fmt.Sprint("made up ", i)}, p.LogoutClaims(nil), nil)
			if _, err := client.Logout(t.Context(), token); !errors.Is(err, openid.ErrLogout) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	most := 2 + int(time.Since(start)/conf.KeyGap)
	if n := p.Requests("/keys") - asked; n < 1 || n > most {
		t.Errorf("32 tokens with made-up keys cause %d requests in %v, want at most %d", n, time.Since(start), most)
	}
}

func TestAProviderThatIsAway(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	var mu sync.Mutex
	away, clock := true, time.Now()
	p.Instead["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if away {
			http.Error(w, strings.Repeat("sorry\n", 1000), http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(claims{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	}
	set := func(isAway bool, later time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		away, clock = isAway, clock.Add(later)
	}
	conf := config(p)
	conf.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	client := openid.New(conf)
	if err := client.Unwell(); err != nil || p.Requests("/.well-known/openid-configuration") > 0 {
		t.Fatalf("nobody has asked for anything yet: %v", err)
	}
	for range 3 { // one request, whose failure is the answer to all for a second
		if _, _, err := client.Begin(t.Context(), false); !errors.Is(err, openid.ErrUnreachable) || len(err.Error()) > 500 {
			t.Errorf("%v", err)
		}
	}
	if n := p.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("%d requests", n)
	}
	if client.Unwell() == nil {
		t.Error("it is not known to be away")
	}
	set(true, 2*time.Minute)
	if err := client.Unwell(); err != nil {
		t.Errorf("that was two minutes ago: %v", err)
	}
	set(false, 0)
	if _, err := signIn(t, client); err != nil || client.Unwell() != nil {
		t.Errorf("it is back: %v, %v", err, client.Unwell())
	}
	set(true, 2*time.Hour)
	if err := client.Discover(t.Context()); err != nil {
		t.Errorf("it is away again, and what it said before is forgotten: %v", err)
	}
	if client.Unwell() == nil {
		t.Error("it is not known to be away again")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := openid.New(conf).Discover(ctx); err == nil {
		t.Error("discovered a provider that is away")
	}
}

// What a provider says of itself, and must not.
func TestMetadata(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]claims{
		"another issuer":            {"issuer": "https://other.example"},
		"tokens without TLS":        {"token_endpoint": "http://other.example/token"},
		"a page in a script":        {"authorization_endpoint": "javascript:alert(1)"},
		"no keys":                   {"jwks_uri": nil},
		"keys from a file":          {"jwks_uri": "file:///etc/passwd"},
		"only PKCE in plain":        {"code_challenge_methods_supported": []string{"plain"}},
		"a name and password in it": {"token_endpoint": "https://a:b@other.example/token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openidtest.Start(t)
			p.Metadata = m
			if err := openid.New(config(p)).Discover(t.Context()); !errors.Is(err, openid.ErrUnreachable) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for address, good := range map[string]bool{
		"https://id.example.org": true, "https://id.example.org/realms/a": true, "https://id.example.org:8443/": true,
		"http://localhost:9000": true, "http://127.0.0.1:1": true, "http://[::1]:1/a": true,
		"http://id.example.org": false, "http://localhost.example.org": false, "http://127.0.0.1.example.org": false,
		"": false, "id.example.org": false, "https:id.example.org": false, "//id.example.org": false, "ftp://localhost": false,
		"https://a:b@id.example.org": false, "https://id.example.org?a": false, "https://id.example.org#a": false,
	} {
		if err := openid.CheckURL(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestASecretCannotBePrinted(t *testing.T) {
	s := openid.NewSecret("pearl")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "config", openid.Config{Secret: s})
	encoded, err := json.Marshal(map[string]openid.Secret{"secret": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{log.String(), string(encoded), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %v", s, s, s, s, s, openid.Config{Secret: s})} {
		if strings.Contains(text, "pearl") {
			t.Errorf("%s", text)
		}
	}
}

// Whoever has to prove anew who they are is asked, and the provider's old word for it
// does not count.
func TestAFreshProof(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	client := openid.New(config(p))
	for name, c := range map[string]struct {
		at   any
		want error
	}{
		"just now":         {time.Now().Unix(), nil},
		"an hour ago":      {time.Now().Add(-time.Hour).Unix(), openid.ErrUntrue},
		"nobody says when": {"", openid.ErrUntimed},
	} {
		p.Claims["auth_time"] = c.at
		address, flow, err := client.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := url.Parse(address); err != nil || u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "0" {
			t.Errorf("%s, %v", address, err)
		}
		if id, err := client.Finish(t.Context(), flow, visit(t, address)); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}
