package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/vedfolnir/session/suspicion"
)

// The parts of a fingerprint, by the signals that name a difference.
var parts = [...]suspicion.Signal{suspicion.UserAgentChanged, suspicion.PlatformChanged, suspicion.LanguageChanged, suspicion.NetworkChanged}

// Fingerprint is "key.browser.platform.language.network", each a truncated keyed
// hash: it tells whether a client changed, and not what it is. The version is left
// out: browsers update themselves while a session lives. It is made with the first of
// the keys; without one it is empty.
func (c Info) Fingerprint(keys [][]byte) string {
	if len(keys) == 0 {
		return ""
	}
	return c.fingerprint(keys[0])
}

func (c Info) fingerprint(key []byte) string {
	var b strings.Builder
	b.WriteString(keyedHash(key, "key", ""))
	browser, platform := describeAgent(c.UserAgent)
	for i, part := range [...]string{browser, platform, firstLanguage(c.Language), c.Network()} {
		b.WriteByte('.')
		b.WriteString(keyedHash(key, parts[i].String(), part))
	}
	return b.String()
}

func keyedHash(key []byte, kind, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00" + value))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Changes names what differs from the client whose fingerprint was kept. One that
// was made with a key that is no longer known, or by a version that compared other
// things, cannot be compared: nothing is said then.
func (c Info) Changes(kept string, keys [][]byte) (signals []suspicion.Signal) {
	was := strings.Split(kept, ".")
	for _, key := range keys {
		is := strings.Split(c.fingerprint(key), ".")
		if len(was) != len(is) || was[0] != is[0] {
			continue
		}
		for i, signal := range parts {
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

// Network is the /24 of an IPv4 address and the /48 of an IPv6 one: a new address in
// the same network is no news. Empty: it is not known.
func (c Info) Network() string {
	a, err := netip.ParseAddr(c.IPAddress)
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
