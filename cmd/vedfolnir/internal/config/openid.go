package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
)

// Where the provider sends people and sign-outs to, at the origin.
const (
	OpenIDCallbackPath = "/openid/callback"
	OpenIDLogoutPath   = "/backchannel-logout"
)

// ServeOpenID holds the flags of signing in through an OpenID provider.
type ServeOpenID struct {
	Issuer       string   `placeholder:"https://HOST" help:"Let people sign in through the OpenID provider of this address, written as the provider writes its issuer. Needs --origin and --openid-client-id; docs/openid.md says what to tell the provider."`
	ClientID     string   `name:"client-id" placeholder:"ID" help:"What the provider calls this server."`
	ClientSecret string   `placeholder:"FILE" help:"A file with the secret that the provider gave this server, for its user's eyes only. Without it the server is a public client."`
	Name         string   `placeholder:"NAME" help:"What people call the provider: the button says Sign in with NAME. Default: its host."`
	Scope        []string `placeholder:"SCOPE" help:"What to ask for beside openid. May be repeated. Default: profile and email."`
	Create       bool     `help:"Make a person of whoever the provider lets in and nobody here is linked to. Without it people link their account by themselves, once they have signed in otherwise."`
	MatchEmail   bool     `help:"Link whoever signs in there for the first time to the person here with the same e-mail address, if the provider says that it is verified. Whoever runs the provider can then sign in as anybody here."`
	NameClaim    string   `default:"preferred_username" placeholder:"CLAIM" help:"The claim that becomes the name of a new person. Default: ${default}."`
	EmailClaim   string   `default:"email" placeholder:"CLAIM" help:"The claim that becomes their e-mail address. Default: ${default}."`
	UntilClaim   string   `default:"session_expires_at" placeholder:"CLAIM" help:"The claim that says when the provider's session ends, in seconds since 1970; a session here then ends with it, if not before. Default: ${default}."`
	MaxAge       int      `default:"0" placeholder:"SECONDS" help:"How long ago people may have proved to the provider who they are: it asks again after that, and a session here ends by then. 0 leaves it to the provider. Default: ${default}."`
	Strong       []string `placeholder:"VALUE" help:"A value of the claims acr or amr that says that two factors were used. May be repeated. Default: mfa."`
}

// OpenID is how people sign in through a provider.
type OpenID struct {
	Client openid.Config // without an issuer: they do not
	Name   string        // what people call the provider
	// Create makes people who are not known yet. MatchEmail links those whose address
	// is verified.
	Create, MatchEmail bool
	Strong             []string // values of acr or amr that stand for two factors
}

// On reports whether they do.
func (o OpenID) On() bool { return o.Client.Issuer != "" }

// LogoutURI is where the provider sends logout tokens.
func (o OpenID) LogoutURI() string {
	return strings.TrimSuffix(o.Client.RedirectURI, OpenIDCallbackPath) + OpenIDLogoutPath
}

// provider reads the settings of the provider.
func provider(c chosen, origin string, m *mistakes) (o OpenID) {
	issuer := c.text("openid_issuer")
	if issuer == "" {
		for _, s := range settings {
			if strings.HasPrefix(s.Key, "openid_") && c[s.Key].Text != s.Default {
				m.add("--%s without --openid-issuer: say which provider it is for", s.Flag)
			}
		}
		return o
	}
	if err := openid.CheckURL(issuer); err != nil {
		m.add("--openid-issuer: %w", err)
	}
	if origin == "" {
		m.add("--openid-issuer without --origin: the provider has to know where to send people back to; give the address that they use")
	}
	o.Client = openid.Config{
		Issuer: issuer, ClientID: c.text("openid_client_id"), RedirectURI: origin + OpenIDCallbackPath,
		Secret: clientSecret(c.text("openid_client_secret"), m), Scopes: c.list("openid_scope"),
		Claims: openid.Claims{Name: c["openid_name_claim"].Text, Email: c["openid_email_claim"].Text, Until: c["openid_until_claim"].Text},
	}
	if o.Client.ClientID == "" {
		m.add("--openid-issuer without --openid-client-id: give what the provider calls this server")
	}
	if o.Client.Scopes == nil {
		o.Client.Scopes = []string{"profile", "email"}
	}
	seconds, err := strconv.Atoi(c["openid_max_age"].Text)
	if o.Client.MaxAge = time.Duration(seconds) * time.Second; err != nil || seconds < 0 || seconds > 400*24*3600 {
		m.add("--openid-max-age %q: give a whole number of seconds, up to 400 days; 0 for no limit", c["openid_max_age"].Text)
	}
	o.Name = cmp.Or(c.text("openid_name"), openid.Host(issuer))
	if len(o.Name) > 60 {
		m.add("--openid-name %q: give up to 60 bytes, it is on a button", o.Name)
	}
	o.Create, o.MatchEmail = c.truth("openid_create", m), c.truth("openid_match_email", m)
	if o.MatchEmail && o.Client.Claims.Email != "email" {
		m.add("--openid-match-email with --openid-email-claim %s: a provider says only of the claim email whether it is verified", o.Client.Claims.Email)
	}
	if o.Strong = c.list("openid_strong"); o.Strong == nil {
		o.Strong = []string{"mfa"}
	}
	return o
}

// clientSecret reads the file. One that others may read is refused, since they may
// have.
func clientSecret(path string, m *mistakes) openid.Secret {
	if path == "" {
		return openid.Secret{}
	}
	text, err := readSecret(path)
	if err != nil {
		m.add("--openid-client-secret: %w", err)
	}
	return openid.NewSecret(text)
}

func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others (mode %04o), so the secret may be known: have the provider make a new one, or, if you are sure, chmod 600", path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, 4097))
	text := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err
	case text == "" || len(content) > 4096 || strings.ContainsAny(text, "\r\n"):
		return "", errors.New(path + " has to hold the secret, on one line, and nothing else")
	}
	return text, nil
}
