package session

import (
	"context"
	"time"

	"github.com/vedfolnir/session/assurance"
)

// Store keeps the sessions: it is the truth, and every cache is disposable.
//
// What every method owes, and package storetest checks:
//
//   - It is safe for concurrent use, by any number of goroutines and, unless the
//     store says otherwise, processes.
//   - Each change is one transaction: the row, the user's row, and its place in
//     the feed. When a method returns nil the change is durable.
//   - A change that the state refuses is an answer and changes nothing:
//     [ErrNotFound] for a missing row, [*EndedError] with the stored reason for
//     an ended one, [ErrConflict] for a guard that no longer holds. Nothing ever
//     brings an ended session back: no upsert, every change says "and not ended".
//     That it has ended is answered before a guard that fails too.
//   - Any other error means that the store could not tell. The change may have
//     happened, above all if ctx was cancelled while it was waiting: giving up
//     abandons the wait, not the change.
//   - A ctx that is over already, and a closed store, are such errors and change
//     nothing.
//   - Ids are compared byte for byte.
//   - Times are handed in, in UTC with microseconds, and are compared and returned
//     exactly. A store never asks a clock, but for [Feed.Now].
//   - Returned records are the caller's own and carry the current Epoch and Rev.
type Store interface {
	// Get returns the record, an ended one too, or ErrNotFound.
	Get(ctx context.Context, id ID) (Record, error)

	// List returns the user's records that have not ended, in no particular
	// order; none is no error. Those past a deadline are still among them.
	List(ctx context.Context, user UserID) ([]Record, error)

	// Count counts the sessions that have not ended and are not past a cutoff.
	Count(ctx context.Context, cutoffs Cutoffs) (int, error)

	// SignInEpoch returns the user's epoch of sign-ins: 1 for one never seen.
	SignInEpoch(ctx context.Context, user UserID) (uint64, error)

	// Create locks the user's row (making it if need be), refuses with
	// ErrConflict if c.SignInEpoch is not 0 and not the user's, hands all the
	// user's records that have not ended to [Creation.Plan], ends those that it
	// names at c.Record.CreatedAt, inserts c.Record, and raises the user's rev by
	// one. An error of Plan is returned as it is and changes nothing. A handle that
	// exists is ErrConflict.
	Create(ctx context.Context, c Creation) (Created, error)

	// SwitchPlatform makes platform the active one, counts the switch within its
	// hour, and raises the version; the last commit wins. If it is the active one
	// already nothing changes and changed is false. Else, if there were limit
	// switches in the hour already, it refuses with [*SwitchLimitError]; 0: any number.
	SwitchPlatform(ctx context.Context, id ID, platform PlatformID, at time.Time, limit int) (r Record, changed bool, err error)

	// Refresh sets RenewedAt and raises the version, if the version is still
	// version: otherwise ErrConflict.
	Refresh(ctx context.Context, id ID, version uint64, at time.Time) (Record, error)

	// Rotate sets all that r names but Action, RotatedAt to r.At, and a zero FirstUsed, and
	// raises the version, if the version is still version: otherwise ErrConflict.
	Rotate(ctx context.Context, id ID, version uint64, r Rotation) (Record, error)

	// ConfirmSecret sets FirstUsed and raises the version if Secret is still
	// secret and FirstUsed is zero; otherwise it changes nothing. Either way it
	// returns the record as it is now.
	ConfirmSecret(ctx context.Context, id ID, secret SecretHash, at time.Time) (Record, error)

	// Suspect keeps s.Signals, zeroes Proof and PreviousProof if s.StepUp says so, and
	// raises the version, if the version is still version: otherwise ErrConflict.
	Suspect(ctx context.Context, id ID, version uint64, s Suspicion) (Record, error)

	// Touch raises LastActivity to each given time, where it is later and the
	// session has not ended. It raises no version and leaves no mark in the feed.
	Touch(ctx context.Context, activity []Activity) error

	// End locks the user's row, ends the sessions that e names and that have not
	// ended, raises their versions by one, and the user's rev by one if there were
	// any or if e raises the epoch of sign-ins (which alone is a change of the
	// user's row in the feed). It returns the records it ended, and an empty slice
	// if there were none, which is no error.
	End(ctx context.Context, e Ending) ([]Record, error)

	// Expire ends up to x.Limit sessions that are past a cutoff, each with the
	// reason that [Cutoffs.Reason] gives at that moment and by [System], and
	// returns them. As in End, rows of users are locked and revs raised. The
	// condition is part of the change itself: a session renewed meanwhile is not
	// touched.
	Expire(ctx context.Context, x Expiring) ([]Record, error)

	// Purge removes up to p.Limit ended sessions and returns how many. With a guest's
	// goes the row of the user, whose id is never given again and who had no other.
	Purge(ctx context.Context, p Purging) (int, error)

	// RaiseRev raises the user's rev (making the row if need be), marks the change
	// in the feed as one of the directory, and returns the new rev.
	RaiseRev(ctx context.Context, user UserID) (uint64, error)

	// Changes returns all that was committed after the cursor and before the call,
	// oldest first, each change at least once and in an order that keeps that of
	// every session. A late commit never slips under a returned cursor. Cursor 0
	// asks for the present end of the feed and returns no changes; any other is good
	// for the Store that returned it, and while that is open. A store keeps
	// at least the last ten thousand changes; a cursor from before that, or one it
	// cannot place, sets Gap. With renew a lease will be counted from before the call:
	// a store that can have a successor makes sure then that it has none.
	Changes(ctx context.Context, after uint64, renew bool) (Feed, error)

	// Close releases what the store holds; it may be called twice. Changes that
	// were asked for before it are finished first.
	Close() error
}

// Pooler is implemented by stores that have a pool of connections.
type Pooler interface {
	PoolStatus() PoolStatus
	// OptimizePool lets idle connections go and the engine refresh its
	// statistics. It may be called while the store serves.
	OptimizePool(ctx context.Context) error
}

// PoolStatus counts connections.
type PoolStatus struct {
	CheckedOut int `json:"checked_out"`
	PoolSize   int `json:"pool_size"` // how many there may be
	Idle       int `json:"idle"`
}

// Creation asks a store for a new session.
type Creation struct {
	Record Record // complete; Version is 1, and the handle begins with its user's shard

	Limit       int         // live sessions the user may have, this one included; 0: any number
	Policy      LimitPolicy // what happens at the limit
	Cutoffs     Cutoffs     // sessions past them end and do not count
	SignInEpoch uint64      // what the user's must still be; 0: any
	Replaces    ID          // a session of the same user to end first; zero: none
}

// Created is the new record and the ones that ended for it.
type Created struct {
	Record Record
	Ended  []Record
}

// Doomed names a session to end, why, by whom and from where.
type Doomed struct {
	ID     ID
	Reason Reason
	By     string
	From   ID // zero: from none
}

// Ending asks a store to end sessions of one user.
type Ending struct {
	User   UserID
	ID     ID // only this one; zero: all of the user's
	Except ID // but not this one; zero: no exception
	Reason Reason
	By     string
	From   ID // the person's session through which they do it; zero: none
	At     time.Time
	// RaiseEpoch raises the epoch of sign-ins, so that a sign-in whose
	// credentials were checked before cannot land after.
	RaiseEpoch bool
}

// Expiring names sessions to end for their age.
type Expiring struct {
	User    UserID // empty: everyone's
	Cutoffs Cutoffs
	At      time.Time
	Limit   int
}

// Purging names ended sessions to remove for good.
type Purging struct {
	User        UserID    // empty: everyone's
	EndedBefore time.Time // those that ended at this time or later stay
	Limit       int
}

// Rotation is a new token for a session, and what is known of the person with it.
type Rotation struct {
	At                   time.Time
	Secret, Previous     SecretHash
	Proof, PreviousProof assurance.Proof
	Client               Client
	Fingerprint, Signals string
	Action               string // for the audit: "rotated" or "reauthenticated"
}

// Suspicion is what was noticed about a session and what is made of it.
type Suspicion struct {
	Signals string
	StepUp  bool   // what the person had proved counts no longer
	Why     Reason // for the audit
	Client  Client // whose request it was
}

// Activity is one session's act to be stored.
type Activity struct {
	ID ID
	At time.Time
}

// Feed is a stretch of the store's changes.
type Feed struct {
	Changes []Change
	Next    uint64 // the cursor for the next call; never 0
	Epoch   uint64
	Gap     bool // changes may be missing before these: drop every cache
	// Now is the store's own time when it answered, for nodes whose clocks may differ;
	// zero: it has none, since everybody who uses it shares a clock.
	Now time.Time
}

// Change says what a cache has to forget.
type Change struct {
	User      UserID
	Rev       uint64 // of the user, after it
	Session   ID     // zero: only the user's row changed
	Version   uint64 // of the session, after it
	Ended     bool
	Directory bool // the user's profile or platforms changed
}
