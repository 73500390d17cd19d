package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
)

// The parts of a fingerprint, and the signals that name a difference.
var signalNames = [...]string{"user_agent_changed", "language_changed", "network_changed"}

// Fingerprint is "key.agent.language.network", each a truncated keyed hash: it
// tells whether a client changed, and not what it is.
func (c Info) Fingerprint(key []byte) string {
	var b strings.Builder
	b.WriteString(keyedHash(key, "key", ""))
	for i, part := range [...]string{agentFamily(c.UserAgent), firstLanguage(c.Language), networkPrefix(c.IPAddress)} {
		b.WriteByte('.')
		b.WriteString(keyedHash(key, signalNames[i], part))
	}
	return b.String()
}

func keyedHash(key []byte, kind, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00" + value))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Changes names what differs from the client whose fingerprint was kept:
// "user_agent_changed", "language_changed", "network_changed". One that was made
// with a key that is no longer known cannot be compared: nothing is said then.
func (c Info) Changes(kept string, keys [][]byte) (signals []string) {
	was := strings.Split(kept, ".")
	for _, key := range keys {
		is := strings.Split(c.Fingerprint(key), ".")
		if len(was) != len(is) || was[0] != is[0] {
			continue
		}
		for i, signal := range signalNames {
			if was[i+1] != is[i+1] {
				signals = append(signals, signal)
			}
		}
		return signals
	}
	return nil
}

func firstLanguage(header string) string {
	tag, _, _ := strings.Cut(header, ",")
	tag, _, _ = strings.Cut(tag, ";")
	return strings.ToLower(strings.TrimSpace(tag))
}

// networkPrefix is the /24 of an IPv4 address and the /48 of an IPv6 one: a new
// address in the same network is no news.
func networkPrefix(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
