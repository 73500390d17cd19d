package cli

import (
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid"
)

// provider asks the OpenID provider what it says of itself, and tells what it has to
// know of the server.
func (d *doctor) provider(c *Call) {
	o := c.settings.OpenID
	if !o.On() || c.mistakes != nil {
		return
	}
	d.looked = append(d.looked, "OpenID provider, which has to know "+o.Client.RedirectURI+" and "+o.LogoutURI())
	if err := openid.New(o.Client).Discover(c); err != nil {
		d.problem("OPENID_UNREACHABLE", "see that this machine reaches "+o.Client.Issuer+", and that the provider writes its issuer in the same way; it has to know the redirect URI "+o.Client.RedirectURI+" and the back-channel logout URI "+o.LogoutURI(),
			"nobody can sign in through %s: %v", o.Name, err)
	}
	if o.Client.Secret.Empty() {
		d.note("OPENID_PUBLIC_CLIENT", "give the provider's secret in a file, with --openid-client-secret, if it has made one", "%s is not told a secret: PKCE alone protects what it sends", o.Name)
	}
}
