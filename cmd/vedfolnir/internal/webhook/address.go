package webhook

import (
	"fmt"
	"net/netip"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// special are networks that are not of the public internet, after the registries of
// special-purpose addresses (RFC 6890), and those by which an IPv6 address stands for
// an IPv4 one: there may be any behind it.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// allowed returns nil if a receiver may have the address.
func allowed(n config.Network, ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	switch {
	case n == config.LoopbackNetwork && ip.IsLoopback(), n == config.PrivateNetwork && (ip.IsLoopback() || ip.IsPrivate()), n != config.LoopbackNetwork && public(ip):
		return nil
	}
	return fmt.Errorf("%s is no address that --webhook-network %s allows", ip, n)
}

func public(ip netip.Addr) bool {
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}
