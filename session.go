package session

import (
	"cmp"
	"time"

	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/clientview"
	"github.com/vedfolnir/session/suspicion"
)

// UserID names a person: opaque to this package, at most [MaxIDLength] bytes and
// not empty. A canonical decimal up to 2^53-1 is written to JSON as a number.
type UserID string

// PlatformID names one of a person's accounts elsewhere, in the same way. The
// empty one means "no platform".
type PlatformID string

// MaxIDLength bounds a UserID and a PlatformID, in bytes.
const MaxIDLength = 128

// MarshalJSON writes a canonical decimal up to 2^53-1 as a number, anything else
// as a string.
func (id UserID) MarshalJSON() ([]byte, error) { return clientview.ID(id).MarshalJSON() }

// MarshalJSON writes the id as [UserID.MarshalJSON] does.
func (id PlatformID) MarshalJSON() ([]byte, error) { return clientview.ID(id).MarshalJSON() }

// UnmarshalJSON accepts a string or a number as MarshalJSON writes it.
func (id *UserID) UnmarshalJSON(text []byte) error { return clientview.ParseID(text, (*string)(id)) }

// UnmarshalJSON accepts a string or a number as MarshalJSON writes it.
func (id *PlatformID) UnmarshalJSON(text []byte) error {
	return clientview.ParseID(text, (*string)(id))
}

// Session is one signed-in client of one person, as the store holds it. Times
// are UTC with microseconds. There is no key/value bag: an application's data
// lives in the application's tables.
type Session struct {
	ID         ID
	UserID     UserID
	PlatformID PlatformID // the active platform; empty: none
	Version    uint64     // from 1, raised by each change except activity

	CreatedAt    time.Time // the absolute limit counts from here
	RenewedAt    time.Time // the lifetime counts from here: creation or the last Refresh
	LastActivity time.Time // as stored; true to within the write interval

	Limits     Limits // of its own
	Persistent bool   // the cookie outlives the browser
	Guest      bool   // nobody is signed in: UserID names no person, and no other session's user
	// Impersonator is the operator who acts as the user, through their own session
	// ImpersonatedFrom, without which this one is nothing. Empty: nobody does.
	Impersonator     UserID
	ImpersonatedFrom ID

	EndedAt   time.Time // zero while it lives
	EndReason Reason    // empty while it lives
	EndedBy   string    // who ended it: a user's id, "system", or an operator
	EndedFrom ID        // the same person's session that took its place or ended it; zero: none
}

// Limits are a session's own. They only tighten the configured ones.
type Limits struct {
	Idle  time.Duration // without activity; zero: no limit of its own
	Until time.Time     // it ends then at the latest; zero: no limit of its own
}

// Actor is who acts through the session, in the audit too: the operator who
// impersonates the user, else the user.
func (s Session) Actor() string { return string(cmp.Or(s.Impersonator, s.UserID)) }

// Reason says why a session ended. The values are part of the HTTP contract.
type Reason string

const (
	IdleTimeout       Reason = "idle_timeout"
	LifetimeOver      Reason = "lifetime"
	AbsoluteTimeout   Reason = "absolute_timeout"
	SignedOut         Reason = "signed_out"
	RevokedByUser     Reason = "revoked_by_user"
	RevokedByAdmin    Reason = "revoked_by_admin"
	EvictedByLimit    Reason = "evicted_by_limit"
	TokenReplayed     Reason = "token_replayed"
	UserDisabled      Reason = "user_disabled"
	CredentialChanged Reason = "credential_changed"
)

// System is who ended a session that nobody ended: a clock, a limit, a replay.
const System = "system"

// Expired reports whether the reason is one of the three clocks.
func (r Reason) Expired() bool {
	return r == IdleTimeout || r == LifetimeOver || r == AbsoluteTimeout
}

// Client is what a request tells of the program that sent it. IPAddress must
// come from the connection or from a named proxy, never from an unchecked
// header.
type Client struct {
	UserAgent string `json:"user_agent"`
	IPAddress string `json:"ip_address"`
	Language  string `json:"-"` // Accept-Language
}

// Device describes the program for a person: "Firefox on Linux".
func (c Client) Device() string { return client.Device(c.UserAgent) }

// Record is a session with all that only stores and the manager may see.
type Record struct {
	Session
	Client Client // as it was at the last proof

	Secret   SecretHash // of the newest token
	Previous SecretHash // of the one before it; zero: never rotated
	// FirstUsed is when Secret was first presented after a rotation. Zero while
	// Previous is set: the new token may have been lost on its way, and Previous
	// is as good as it.
	FirstUsed time.Time
	RotatedAt time.Time // when Secret was made by a rotation; zero: it was not

	// What the person had proved when they were given the token of Secret, and that
	// of Previous. They are not in [Session], of which a node remembers what may be
	// old: who asks for them asks the store, by [Manager.Require].
	Proof, PreviousProof assurance.Proof

	// Fingerprint is keyed hashes of Client, with which others are compared: the one
	// through which the person last proved who they are. Empty: not taken.
	Fingerprint string
	Signals     string // what was noticed since, and when; empty: nothing
	// SwitchesSince and Switches count the platform switches of the hour that
	// began at SwitchesSince.
	SwitchesSince time.Time
	Switches      int

	Epoch uint64 // the store's: read with the record
	Rev   uint64 // the user's: read with the record
}

// Detail is a session as its owner and an operator see it in a list.
type Detail struct {
	Session
	Client   Client
	Security suspicion.Verdict // of what was noticed
}

// Stamp orders what tabs see of one session: compare stamps of the same handle
// only. Another handle replaces everything, and so does a higher epoch.
type Stamp struct {
	Epoch   uint64 // of the store; rises when history was lost
	Version uint64 // of the session
	Rev     uint64 // of the user: sessions started and ended, profile changes
}

// String returns "epoch.version.rev".
func (s Stamp) String() string { return string(s.Append(nil)) }

// Append appends the text of [Stamp.String].
func (s Stamp) Append(dst []byte) []byte { return clientview.Stamp(s).Append(dst) }

// ParseStamp reads the text of [Stamp.String], or returns [ErrMalformed].
func ParseStamp(text string) (Stamp, error) {
	s, err := clientview.ParseStamp(text)
	return Stamp(s), err
}
