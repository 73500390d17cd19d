package session

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// keyring derives a key for each purpose from the configured secrets, so that no
// secret serves two purposes (RFC 5869).
type keyring [][]byte

func newKeyring(secrets [][]byte) (keyring, error) {
	if len(secrets) > 0 {
		return secrets, nil
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, fmt.Errorf("session: make key: %w", err)
	}
	return keyring{secret}, nil
}

// derive returns one 32-byte key for each secret, in their order.
func (k keyring) derive(purpose string) [][]byte {
	keys := make([][]byte, len(k))
	for i, secret := range k {
		key, err := hkdf.Key(sha256.New, secret, nil, "vedfolnir "+purpose, 32)
		if err != nil {
			panic(err) // 32 bytes are always within HKDF's bound
		}
		keys[i] = key
	}
	return keys
}

// The parts of a fingerprint, and the signals that name a difference.
var fingerprintSignals = [...]string{"user_agent_changed", "language_changed", "network_changed"}

// fingerprint is "key.agent.language.network", each a truncated keyed hash: it
// tells whether a client changed, and not what it is.
func fingerprint(key []byte, c Client) string {
	var b strings.Builder
	b.WriteString(keyedHash(key, "key", ""))
	for i, part := range [...]string{agentFamily(c.UserAgent), firstLanguage(c.Language), networkPrefix(c.IPAddress)} {
		b.WriteByte('.')
		b.WriteString(keyedHash(key, fingerprintSignals[i], part))
	}
	return b.String()
}

func keyedHash(key []byte, kind, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00" + value))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// fingerprintChanges names what differs. A fingerprint made with a key that is no
// longer known cannot be compared: nothing is said then.
func fingerprintChanges(keys [][]byte, kept string, c Client) (signals []string) {
	was := strings.Split(kept, ".")
	for _, key := range keys {
		is := strings.Split(fingerprint(key, c), ".")
		if len(was) != len(is) || was[0] != is[0] {
			continue
		}
		for i, signal := range fingerprintSignals {
			if was[i+1] != is[i+1] {
				signals = append(signals, signal)
			}
		}
		return signals
	}
	return nil
}

// agentFamily leaves the version out: browsers update themselves while a session
// lives.
func agentFamily(userAgent string) string {
	browser, platform := describeAgent(userAgent)
	return browser + " " + platform
}

// DeviceName describes a user agent for a person: "Firefox on Linux".
func DeviceName(userAgent string) string {
	browser, platform := describeAgent(userAgent)
	switch {
	case browser == "" && platform == "":
		return "Unknown device"
	case browser == "":
		return "A program on " + platform
	case platform == "":
		return browser
	}
	return browser + " on " + platform
}

// describeAgent looks for names in the order in which they hide each other: every
// browser claims to be an older one too.
func describeAgent(userAgent string) (browser, platform string) {
	for _, b := range [...][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
		{"python-requests/", "Python"},
		{"Go-http-client/", "Go program"},
	} {
		if strings.Contains(userAgent, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, p := range [...][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"Linux", "Linux"},
	} {
		if strings.Contains(userAgent, p[0]) {
			platform = p[1]
			break
		}
	}
	return browser, platform
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
