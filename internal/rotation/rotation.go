// Package rotation decides what a presented token is to a session whose tokens
// are replaced from time to time.
//
// After a rotation both tokens are good, because the new one may have been lost on
// its way. Once the new one was used, the one before it is good for an overlap, so
// that requests under way are not refused. Presented after that it is a replay:
// two parties hold tokens of one session. (OAuth 2.0 Security BCP, RFC 9700,
// 4.14.2.)
package rotation

import (
	"crypto/subtle"
	"time"
)

// Tokens are the hashes of a session's newest token and of the one before it.
type Tokens struct {
	Current, Previous [32]byte  // a zero Previous: never rotated
	FirstUsed         time.Time // of Current after a rotation; zero: not yet
	Rotated           time.Time // when Current replaced Previous; zero: long ago
}

// Standing is how a presented token relates to a session's.
type Standing int

const (
	Unknown     Standing = iota
	Current              // good
	Unconfirmed          // good, and presented for the first time since the rotation
	Previous             // still good
	Replayed             // the previous one, after its overlap
)

// Settled reports whether the token is good and nothing is to be noted of it.
func (s Standing) Settled() bool { return s == Current || s == Previous }

// Opens reports whether the token is good.
func (s Standing) Opens() bool { return s == Current || s == Unconfirmed || s == Previous }

// Standing of a presented hash. It compares in constant time. Only an exact match
// of the kept previous one is a replay; a session's handle is public, so any other
// wrong one means nothing.
func (t *Tokens) Standing(presented [32]byte, now time.Time, overlap time.Duration) Standing {
	switch {
	case equal(t.Current, presented):
		if t.Previous != [32]byte{} && t.FirstUsed.IsZero() {
			return Unconfirmed
		}
		return Current
	case !equal(t.Previous, presented) || presented == [32]byte{}:
		return Unknown
	case t.FirstUsed.IsZero() || now.Before(t.FirstUsed.Add(overlap)):
		return Previous
	}
	return Replayed
}

// MayRotate reports whether a token of that standing may become the previous one of
// a further rotation: it is current, or the one before it once that has lapsed.
//
// It lapses when neither its answer can still be on the way nor a request that was
// sent before the answer came: either takes an overlap at most. Before, another tab
// has rotated at the same time, and a second new token would make the first one
// unknown, which the browser may yet put over it.
func (t *Tokens) MayRotate(s Standing, now time.Time, overlap time.Duration) bool {
	lapsed := t.FirstUsed.IsZero() && !now.Before(t.Rotated.Add(2*overlap))
	return s == Current || s == Unconfirmed || s == Previous && lapsed
}

func equal(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }
