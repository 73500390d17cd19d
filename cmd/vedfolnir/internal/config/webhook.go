package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	sessions "github.com/vedfolnir/session/config"
)

// Network says which addresses the webhook's receiver may have.
type Network string

const (
	PublicNetwork   Network = "public"   // of the internet
	PrivateNetwork  Network = "private"  // also of one's own networks (RFC 1918, RFC 4193), and of this machine
	LoopbackNetwork Network = "loopback" // of this machine, and no other
)

// Webhook is who is sent what people are told; the zero value: nobody is.
type Webhook struct {
	URL     string
	Secrets sessions.Keys // the first in use
	Kinds   []notice.Kind
	Network Network
}

// webhook needs to know what it leads to: a message holds the address of the person's
// page.
func webhook(c chosen, origin string, m *mistakes) (w Webhook) {
	w.Network = Network(c["webhook_network"].Text)
	if !slices.Contains([]Network{PublicNetwork, PrivateNetwork, LoopbackNetwork}, w.Network) {
		m.add("--webhook-network %q: give public, private or loopback", w.Network)
	}
	for _, text := range c.list("webhook_kinds") {
		kind := notice.Kind(text)
		if !slices.Contains(notice.Kinds, kind) {
			m.add("--webhook-kinds %q: there is no such kind; there are %s", text, kindNames())
		}
		w.Kinds = append(w.Kinds, kind)
	}
	path := c.text("webhook_secrets")
	if w.URL = c.text("webhook_url"); w.URL == "" {
		if path != "" || len(w.Kinds) > 0 {
			m.add("--webhook-secrets and --webhook-kinds do nothing without --webhook-url: give it, or leave them out")
		}
		return w
	}
	checkWebhookURL(w, m)
	if origin == "" {
		m.add("--webhook-url without --origin: messages lead people to their Safety page, so say where they reach it")
	}
	if path == "" {
		m.add("--webhook-url without --webhook-secrets: the receiver could not tell who sends; vedfolnir webhook secret FILE makes one")
		return w
	}
	var err error
	if w.Secrets, err = ReadKeys(path); err != nil {
		m.add("--webhook-secrets: %v", err)
	} else if len(w.Secrets) > 2 {
		m.add("--webhook-secrets: %s holds %d secrets: keep the new one and the one that it replaces", path, len(w.Secrets))
	}
	return w
}

func checkWebhookURL(w Webhook, m *mistakes) {
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.Fragment != "" || u.Opaque != "" {
		m.add("--webhook-url: give it as https://HOST/PATH")
		return
	}
	if u.User != nil {
		m.add("--webhook-url holds a name or a password, which others could see: leave it out; messages are signed")
	}
	local := u.Hostname() == "localhost"
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		local = ip.IsLoopback()
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && local && w.Network == LoopbackNetwork:
	case u.Scheme == "http" && local:
		m.add("--webhook-url %s is on this machine: say so with --webhook-network loopback", u.Redacted())
	default:
		m.add("--webhook-url begins with %s://: what people are told is personal, so give https://, or http:// on this machine", u.Scheme)
	}
}

func kindNames() string {
	names := make([]string, len(notice.Kinds))
	for i, k := range notice.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
