// Package assurance decides whether what a person has proved suffices for what they
// are about to do. It is a policy and nothing else: every decision is a pure function
// of its arguments.
//
// A person proves who they are when they sign in, and now and then again, in place.
// Each [Proof] has a time and a [Level], and what is sensitive asks for a proof that
// is [Required] to be so recent and so sure.
package assurance

import (
	"fmt"
	"time"
)

// Level is how surely a person has proved who they are, in the order of the
// authenticator assurance levels of NIST SP 800-63B-4. 0 reads as OneFactor.
type Level uint8

const (
	OneFactor         Level = 1 // a password, say
	TwoFactors        Level = 2 // or a passkey that verified who used it
	PhishingResistant Level = 3 // two factors, of which one is bound to hardware and to the origin
)

// Proof is what a person has proved in a session: when they last did, and the
// highest level at which. The zero value: nothing that still counts.
type Proof struct {
	At    time.Time
	Level Level
}

// First is the proof of a sign-in: of now, or of earlier, if somebody else has seen it
// then. A zero time, and one to come, is now.
func First(now, earlier time.Time, level Level) Proof {
	if earlier.IsZero() || earlier.After(now) {
		earlier = now
	}
	return Proof{}.Again(earlier.UTC().Truncate(time.Microsecond), level)
}

// Again is the proof after another one. A lower level does not take a higher one
// away: whoever signed in by two factors may go on after a while with one of them.
// (NIST SP 800-63B-4, 2.2.3.)
func (p Proof) Again(at time.Time, level Level) Proof {
	return Proof{at, max(OneFactor, level, p.Level)}
}

// Required is what something asks of a person's proof. The zero value asks for
// nothing.
type Required struct {
	MaxAge time.Duration // since they last proved who they are; 0: any, negative: none will do
	Level  Level         // at least; 0: any
}

// Why a proof does not suffice.
const (
	LevelTooLow = "level_too_low"
	TooOld      = "authentication_too_old"
)

// Error says what a person has to prove anew, and why. They may try again then.
type Error struct {
	Required Required
	Reason   string // LevelTooLow or TooOld
}

func (e *Error) Error() string {
	return fmt.Sprintf("what was proved does not suffice (%s): have the person prove anew who they are, then try again", e.Reason)
}

// Check returns nil if the proof suffices at now, else an [*Error]. A proof is too
// old from the instant on that is MaxAge after it.
func (r Required) Check(p Proof, now time.Time) error {
	switch {
	case r.Level > max(OneFactor, p.Level):
		return &Error{r, LevelTooLow}
	case r.MaxAge != 0 && (p.At.IsZero() || !now.Before(p.At.Add(r.MaxAge))):
		return &Error{r, TooOld}
	}
	return nil
}
