package passkeys

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// goodFor is how long a challenge may wait for its answer.
const goodFor = 5 * time.Minute

// ceremony is what a challenge is for. An answer to one kind is none to another.
type ceremony byte

const (
	registering ceremony = 'r'
	signingIn   ceremony = 's'
	proving     ceremony = 'p'
)

const (
	nonceLength     = 16
	stampLength     = 8
	challengeLength = nonceLength + stampLength + sha256.Size
)

// challenge makes one that tells by itself what it is for, who it was given to, and
// until when it is good: nothing is stored until it is answered.
func (c *Ceremonies) challenge(kind ceremony, site Site, holder string) []byte {
	made := make([]byte, nonceLength, challengeLength)
	rand.Read(made)
	made = binary.BigEndian.AppendUint64(made, uint64(c.now().Add(goodFor).UnixMilli()))
	return append(made, mac(c.keys[0], kind, site, holder, made)...)
}

// accepted returns what is spent by an answer to the challenge, if it is ours, is
// for this, and is still good.
func (c *Ceremonies) accepted(challenge []byte, kind ceremony, site Site, holder string) (directory.Once, error) {
	if len(challenge) != challengeLength {
		return directory.Once{}, ErrRefused
	}
	made, given := challenge[:nonceLength+stampLength], challenge[nonceLength+stampLength:]
	until := time.UnixMilli(int64(binary.BigEndian.Uint64(made[nonceLength:])))
	for _, key := range c.keys {
		if hmac.Equal(given, mac(key, kind, site, holder, made)) {
			if !c.now().Before(until) {
				return directory.Once{}, ErrStale
			}
			return directory.Once{Thing: bytes.Clone(made), Until: until}, nil
		}
	}
	return directory.Once{}, ErrRefused
}

func mac(key []byte, kind ceremony, site Site, holder string, made []byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{string(rune(kind)), site.Origin, holder, string(made)} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}
