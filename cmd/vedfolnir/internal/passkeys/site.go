// Package passkeys runs the ceremonies of WebAuthn (W3C, Level 3) by which people get
// a passkey, sign in with it, and prove who they are.
//
// A passkey is two factors here: the device that holds it, and what unlocks that. So
// each has to be discoverable, and user verification is required in every ceremony.
// Attestation is not asked for: which makes are trusted is not decided.
package passkeys

import (
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
)

// Site is where passkeys are good. The zero value is nowhere.
type Site struct {
	Name   string // the host's name, which they are bound to: WebAuthn's RP ID
	Origin string // of the pages that ask for them
}

// SiteAt is that of an origin, such as https://accounts.example.org.
func SiteAt(origin string) (Site, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return Site{}, fmt.Errorf("passkeys: %w", err)
	}
	if err := protocol.ValidateRPID(u.Hostname()); err != nil {
		return Site{}, fmt.Errorf("passkeys: %q cannot have any: %w", origin, err)
	}
	return Site{u.Hostname(), origin}, nil
}

// SiteOf is that of a request where nobody has said the origin: this very machine by
// its name localhost, and otherwise none, for the Host of a request is its sender's
// word.
func SiteOf(r *http.Request) Site {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	if host != "localhost" || !net.ParseIP(from).IsLoopback() {
		return Site{}
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return Site{host, scheme + "://" + r.Host}
}
