package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vedfolnir/session/internal/handle"
)

// The sentinels: each is a decision for the caller. Everything else is wrapped
// with the operation that failed.
var (
	// ErrNotFound: there is no such session, or the token does not open it. The
	// two are one error, because a handle is public and must tell nothing.
	ErrNotFound = errors.New("no such session")
	// ErrUnknownUser: the directory does not know the user, or has disabled them.
	ErrUnknownUser = errors.New("no such active user")
	// ErrPlatform: the platform does not exist, is inactive, or is another's.
	ErrPlatform = errors.New("no such platform of this user")
	// ErrConflict: the session or its user changed since it was read; read again
	// and decide anew.
	ErrConflict = errors.New("changed meanwhile: read it again and decide anew")
	// ErrLimit: the user has as many live sessions as they may, and the policy is
	// [DenyNewest].
	ErrLimit = errors.New("the user has reached the limit of concurrent sessions: end one first")
	// ErrMalformed: the text is no token, handle or CSRF token at all.
	ErrMalformed = handle.ErrMalformed
	// ErrUnavailable: the store or the directory did not answer. It never means
	// that there is no session: keep the cookie and try again.
	ErrUnavailable = errors.New("unavailable: keep the cookie and try again")
	// ErrClosed: the manager was closed; nothing was changed.
	ErrClosed = errors.New("the session manager is closed")
)

// StoreError says which operation of the store or the directory failed. It is
// [ErrUnavailable] to errors.Is, and whatever it wraps. (The specification's
// SessionDatabaseError.)
type StoreError struct {
	Op  string
	Err error
}

func (e *StoreError) Error() string   { return fmt.Sprintf("session: %s: %v", e.Op, e.Err) }
func (e *StoreError) Unwrap() []error { return []error{ErrUnavailable, e.Err} }

// SwitchLimitError refuses a switch of the platform: there were too many within the
// hour.
type SwitchLimitError struct{ RetryAfter time.Duration }

func (e *SwitchLimitError) Error() string {
	return fmt.Sprintf("too many switches of the platform within an hour: try again in %v", e.RetryAfter)
}

// EndedError says why a session can no longer be used. It is told only to the
// holder of the right secret, and to code that asks by handle.
type EndedError struct {
	ID     ID
	Reason Reason
	At     time.Time // when it ended; zero: not known
	By     string    // as in [Session]
	Device string    // from which the same person ended it, or took its place; empty: not known
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("session %s has ended (%s): sign in again", e.ID, e.Reason)
}

// Ended returns why err says that a session has ended, if it does.
func Ended(err error) (Reason, bool) {
	e := new(EndedError)
	ended := errors.As(err, &e)
	return e.Reason, ended
}

// storeError wraps what a store or directory returned, unless it is one of the
// answers that a caller decides on.
func storeError(op string, err error) error {
	answers := []error{ErrNotFound, ErrUnknownUser, ErrPlatform, ErrConflict, ErrLimit, ErrClosed, errors.ErrUnsupported}
	_, ended := Ended(err)
	var limited *SwitchLimitError
	if err == nil || ended || errors.As(err, &limited) || slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) }) {
		return err
	}
	return &StoreError{Op: op, Err: err}
}
