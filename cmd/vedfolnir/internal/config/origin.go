package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// hostName is a name in the domain name system, as browsers write it in an origin.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

// origin returns it as browsers write it (RFC 6454), without the port that the
// scheme implies.
func origin(text string, m *mistakes) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		m.add("--origin %q: give what browsers show in front of a page's path, such as https://accounts.example.org", text)
		return ""
	}
	host := u.Hostname()
	_, err = netip.ParseAddr(host)
	switch {
	case err == nil:
		m.add("--origin %q: passkeys are bound to a name and not to an address: give the server a name, or leave it out and do without passkeys", text)
	case !hostName.MatchString(host) || len(host) > 253:
		m.add("--origin %q: %s is no host's name; one with letters beyond a to z is written as in xn--mnchen-3ya.example", text, host)
	case u.Scheme != "https" && (u.Scheme != "http" || host != "localhost"):
		m.add("--origin %q: browsers have passkeys over https:// only, and on http://localhost", text)
	}
	if port := u.Port(); port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		host = net.JoinHostPort(host, port)
	}
	return u.Scheme + "://" + host
}
