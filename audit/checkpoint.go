package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/vedfolnir/session/internal/handle"
)

// Checkpoint says, signed, how the lines stood at a moment.
type Checkpoint struct {
	Number uint64    `json:"checkpoint"` // from 1, without holes
	At     time.Time `json:"at"`
	Oldest uint64    `json:"oldest"` // the first line that is kept; those before it are past their time
	From   uint64    `json:"from"`   // the first of the lines that it seals; Last + 1: it seals none
	Before Digest    `json:"before"` // the link of the line before that; zero: there was none
	Last   uint64    `json:"last"`   // the last line that is sealed
	Link   Digest    `json:"link"`   // of that line
	Key    string    `json:"key"`    // which one signed
	Sign   []byte    `json:"signature"`
}

// IsZero reports whether there is none.
func (c Checkpoint) IsZero() bool { return c.Number == 0 }

// Lines is how many it seals.
func (c Checkpoint) Lines() uint64 { return c.Last + 1 - c.From }

// sound reports whether there can be such lines.
func (c Checkpoint) sound() bool { return c.From > 0 && c.From <= c.Last+1 }

func (c Checkpoint) message() []byte {
	w := newWriter("vedfolnir audit checkpoint 1")
	for _, n := range [...]uint64{c.Number, uint64(c.At.UnixMicro()), c.Oldest, c.From, c.Last} {
		w.number(n)
	}
	w.bytes(c.Before[:])
	w.bytes(c.Link[:])
	w.text(c.Key)
	sum := w.sum()
	return sum[:]
}

// Batch is a checkpoint with the link of each line that it seals.
type Batch struct {
	Checkpoint
	Links []Digest
}

// seal links the lines, which follow last, and leaves the signing to the keys.
func seal(last Checkpoint, lines []Line) Batch {
	b := Batch{Checkpoint: Checkpoint{
		Number: last.Number + 1, Oldest: max(last.Oldest, 1), From: last.Last + 1, Before: last.Link, Last: last.Last, Link: last.Link,
	}}
	if last.IsZero() && len(lines) > 0 { // sealed for the first time: older lines may be gone already
		b.Oldest, b.From = lines[0].Seq, lines[0].Seq
	}
	for _, l := range lines {
		b.Link = next(b.Link, l.Digest())
		b.Last = l.Seq
		b.Links = append(b.Links, b.Link)
	}
	return b
}

// Keys sign checkpoints, with the first, and know the signatures of all. They print,
// log and marshal as "[redacted]".
type Keys struct {
	redacted
	signing ed25519.PrivateKey // nil: they only verify
	known   map[string]ed25519.PublicKey
}

type redacted = handle.Redacted

// NewKeys makes them of secret seeds of 32 bytes.
func NewKeys(seeds [][]byte) Keys {
	k := Keys{known: map[string]ed25519.PublicKey{}}
	for i, seed := range seeds {
		private := ed25519.NewKeyFromSeed(seed)
		if i == 0 {
			k.signing = private
		}
		k.add(private.Public().(ed25519.PublicKey))
	}
	return k
}

// PublicKeys makes keys that verify, of what [Keys.Public] wrote.
func PublicKeys(texts []string) (Keys, error) {
	k := Keys{known: map[string]ed25519.PublicKey{}}
	for _, text := range texts {
		public, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return k, fmt.Errorf("%q is no public key: it has %d bytes in base64", text, ed25519.PublicKeySize)
		}
		k.add(public)
	}
	return k, nil
}

func (k Keys) add(public ed25519.PublicKey) { k.known[keyID(public)] = public }

func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Public returns the id of the signing key and, in base64, what verifies it.
func (k Keys) Public() (id, key string) {
	public := k.signing.Public().(ed25519.PublicKey)
	return keyID(public), base64.StdEncoding.EncodeToString(public)
}

func (k Keys) sign(c *Checkpoint) {
	c.Key, _ = k.Public()
	c.Sign = ed25519.Sign(k.signing, c.message())
}

var (
	// errUnknownKey: whether it was signed by us cannot be told.
	errUnknownKey = errors.New("its key is not among those at hand")
	errSignature  = errors.New("its signature is not good")
)

func (k Keys) check(c Checkpoint) error {
	public, known := k.known[c.Key]
	switch {
	case !known:
		return errUnknownKey
	case !ed25519.Verify(public, c.message(), c.Sign):
		return errSignature
	}
	return nil
}
