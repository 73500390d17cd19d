// Package keyring derives a key for each purpose from configured secrets, so that
// no secret serves two purposes (HKDF, RFC 5869).
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
)

// Ring of secrets: the first one is in use, the others are still accepted.
type Ring [][]byte

// New returns a ring of the secrets, or of a random one if there are none.
func New(secrets [][]byte) (Ring, error) {
	if len(secrets) > 0 {
		return secrets, nil
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, err
	}
	return Ring{secret}, nil
}

// Derive returns one 32-byte key for each secret, in their order.
func (r Ring) Derive(purpose string) [][]byte {
	keys := make([][]byte, len(r))
	for i, secret := range r {
		key, err := hkdf.Key(sha256.New, secret, nil, "vedfolnir "+purpose, 32)
		if err != nil {
			panic(err) // 32 bytes are always within HKDF's bound
		}
		keys[i] = key
	}
	return keys
}

// Check reports the keys that are too short, by setting.
func Check(keys [][]byte, report func(setting, problem string)) {
	for i, key := range keys {
		if len(key) < 32 {
			report(fmt.Sprintf("security.keys[%d]", i), fmt.Sprintf("has %d bytes: give at least 32 random ones", len(key)))
		}
	}
}
