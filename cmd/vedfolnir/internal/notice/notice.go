// Package notice is what people are told about the safety of their account: that
// somebody signed in on a new device, that a password was changed, that attempts
// failed. A notice never holds a secret.
package notice

import (
	"fmt"
	"time"
)

// Kind says what happened. It is stored, and sent to the operator's webhook, under
// its text.
type Kind string

// What is told. Detail is what [Notice.Detail] holds for the kind; where nothing is
// said it is empty.
const (
	NewDevice        Kind = "new_device"         // a sign-in with a browser that is not known
	PasswordChanged  Kind = "password_changed"   // Detail: [ByOperator], or empty
	FailedAttempts   Kind = "failed_attempts"    // to prove to be this person
	SessionsEnded    Kind = "sessions_ended"     // Detail: [ByOperator], or empty
	SessionCopied    Kind = "session_copied"     // an old token was used again, and the session ended
	SessionSuspected Kind = "session_suspected"  // what is remarkable of it weighs enough
	PasskeyAdded     Kind = "passkey_added"      // Detail: what it is called
	PasskeyRemoved   Kind = "passkey_removed"    // Detail: what it was called
	PasskeySuspected Kind = "passkey_suspected"  // its counter went back; Detail: what it is called
	RecoveryCodeUsed Kind = "recovery_code_used" // Detail: how many are left
	RecoveryCodesNew Kind = "recovery_codes_new" // they were made anew
	AccountLinked    Kind = "account_linked"     // Detail: with which provider
	AccountUnlinked  Kind = "account_unlinked"   // Detail: with which provider
	Impersonated     Kind = "impersonated"       // an operator acted as this person; Detail: which one
)

// Kinds are all of them.
var Kinds = []Kind{
	NewDevice, PasswordChanged, FailedAttempts, SessionsEnded, SessionCopied, SessionSuspected, PasskeyAdded, PasskeyRemoved,
	PasskeySuspected, RecoveryCodeUsed, RecoveryCodesNew, AccountLinked, AccountUnlinked, Impersonated,
}

// ByOperator is the detail of what an operator did.
const ByOperator = "operator"

const (
	// GatherFor is how long a line grows, from its first time on.
	GatherFor = 24 * time.Hour
	// KeptOfKind is how many lines of one kind a person has, the newest: what
	// somebody can cause again and again pushes out nothing of another kind.
	KeptOfKind = 50
)

// Notice is one line: something that happened once, or several times alike.
type Notice struct {
	ID      int64 // in the order in which they were told; 0: not stored yet
	Kind    Kind
	First   time.Time
	Last    time.Time
	Times   int    // 1 or more
	Device  string // of the last time, in words: "Firefox on Linux"
	Address string // of the last time
	// Several: not all were from that device and address.
	Several bool
	Detail  string
	New     bool // not seen yet by the person
}

// At returns a notice of what happened once.
func At(at time.Time, kind Kind) Notice { return Notice{Kind: kind, First: at, Last: at, Times: 1} }

// Joins reports whether n goes into the line old, and makes none of its own. Failed
// attempts are one line, wherever they come from, so that nobody can flood the page.
func (n Notice) Joins(old Notice) bool {
	alike := n.Kind == old.Kind && n.Detail == old.Detail && n.Last.Before(old.First.Add(GatherFor))
	return alike && (n.Kind == FailedAttempts || n.Device == old.Device && n.Address == old.Address)
}

// After returns the line of old with n in it.
func (n Notice) After(old Notice) Notice {
	n.Several = n.Several || old.Several || n.Device != old.Device || n.Address != old.Address
	n.First, n.Times = old.First, n.Times+old.Times
	if old.Last.After(n.Last) {
		n.Last = old.Last
	}
	return n
}

// View is a notice as programs are told of it: by the API, in an export, and by the
// webhook.
type View struct {
	Kind    Kind      `json:"kind"`
	Text    string    `json:"text"` // what happened, for the person
	Detail  string    `json:"detail"`
	Times   int       `json:"times"`
	First   time.Time `json:"first_at"`
	Last    time.Time `json:"at"`
	Device  string    `json:"device"`
	Address string    `json:"ip_address"`
	Several bool      `json:"several"`
}

// View of the notice, with its times in UTC.
func (n Notice) View() View {
	return View{n.Kind, n.Title(), n.Detail, n.Times, n.First.UTC(), n.Last.UTC(), n.Device, n.Address, n.Several}
}

// Title says what happened, in a few words.
func (n Notice) Title() string {
	by := ""
	if n.Detail == ByOperator {
		by = " by an operator"
	}
	switch n.Kind {
	case NewDevice:
		return "Signed in on a new device" + n.often()
	case PasswordChanged:
		return "Your password was changed" + by + n.often()
	case FailedAttempts:
		return counted(n.Times, "failed attempt", "failed attempts") + " to sign in as you"
	case SessionsEnded:
		return counted(n.Times, "of your sessions was ended", "of your sessions were ended") + by
	case SessionCopied:
		return "A session was used from a copy" + n.often()
	case SessionSuspected:
		return "One of your sessions looks odd" + n.often()
	case PasskeyAdded:
		return "A passkey was added" + named(n.Detail)
	case PasskeyRemoved:
		return "A passkey was removed" + named(n.Detail)
	case PasskeySuspected:
		return "A passkey counted back" + named(n.Detail) + n.often()
	case RecoveryCodeUsed:
		return "A recovery code was used" + n.often()
	case RecoveryCodesNew:
		return "New recovery codes were made" + n.often()
	case AccountLinked:
		return "An account was linked" + named(n.Detail)
	case AccountUnlinked:
		return "An account is no longer linked" + named(n.Detail)
	case Impersonated:
		return "An operator acted as you" + named(n.Detail) + n.often()
	}
	return string(n.Kind)
}

// Advice says what it means, in a sentence; empty: the title says it all.
func (n Notice) Advice() string {
	switch n.Kind {
	case FailedAttempts:
		return "None of them got in."
	case SessionCopied:
		return "An old token of it was presented again, which only a copy can do; the session was ended."
	case SessionSuspected:
		return "The list of your sessions says what was noticed."
	case PasskeySuspected:
		return "A copy of it would, and so does one that was reset. If you do not know why, remove it."
	case RecoveryCodeUsed:
		if n.Detail != "" {
			return "Codes left: " + n.Detail + "."
		}
	}
	return ""
}

func (n Notice) often() string {
	if n.Times < 2 {
		return ""
	}
	return fmt.Sprintf(", %d times", n.Times)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func named(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}
