package session

import (
	"cmp"
	"slices"
	"time"

	"github.com/vedfolnir/session/internal/clocks"
)

// Policy holds the clocks of a session. Everything it decides is a pure function
// of its arguments.
type Policy struct {
	Idle          time.Duration // without activity
	WriteInterval time.Duration // by which stored activity may lag, in the person's favour
	Lifetime      time.Duration // since creation or the last Refresh
	Absolute      time.Duration // since creation
	Overlap       time.Duration // for the previous token, after the first use of the new one
}

// Check says why the session can no longer be used at now; empty: it can. A
// deadline is the first instant at which it cannot.
func (p Policy) Check(s Session, now time.Time) Reason {
	if !s.EndedAt.IsZero() {
		return cmp.Or(s.EndReason, RevokedByAdmin) // whatever a store keeps of it
	}
	return p.Cutoffs(now).Reason(s)
}

// Deadlines are the instants at which a session ends by itself, by the configured
// clocks and by its own limits. Its own end counts as the absolute one.
type Deadlines struct{ Idle, Lifetime, Absolute time.Time }

// Deadlines of s, each by its own clock.
func (p Policy) Deadlines(s Session) Deadlines {
	return Deadlines(clocks.Policy(p).Deadlines(s.times()))
}

// Expiry is the deadline that no activity moves.
func (d Deadlines) Expiry() time.Time { return earliest(d.Lifetime, d.Absolute) }

// First is the earliest deadline of all.
func (d Deadlines) First() time.Time { return earliest(d.Idle, d.Lifetime, d.Absolute) }

func earliest(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

// Cutoffs are the policy's deadlines turned round, so that a store can select by
// them: a session is past one if its own time is at or before it. That is
// LastActivity for Idle, RenewedAt for Lifetime, CreatedAt for Absolute, and, where
// the session has such a limit, LastActivity + Limits.Idle for OwnIdle and
// Limits.Until for Until. The zero value expires nothing.
type Cutoffs struct{ Idle, Lifetime, Absolute, OwnIdle, Until time.Time }

// Cutoffs at now.
func (p Policy) Cutoffs(now time.Time) Cutoffs { return Cutoffs(clocks.Policy(p).Cutoffs(now)) }

// Reason names the first clock that the session is past; empty: none.
func (c Cutoffs) Reason(s Session) Reason { return Reason(clocks.Cutoffs(c).Past(s.times())) }

func (s Session) times() clocks.Times {
	return clocks.Times{Created: s.CreatedAt, Renewed: s.RenewedAt, Active: s.LastActivity, Idle: s.Limits.Idle, Until: s.Limits.Until}
}

// Plan decides which of the user's sessions end so that the new one may be
// created; [ErrLimit] if it may not. Stores call it inside the transaction, with
// every record of the user that has not ended, while the user's row is locked.
func (c Creation) Plan(live []Record) ([]Doomed, error) {
	var doomed []Doomed
	var counted []Record
	for _, r := range live {
		switch reason := c.Cutoffs.Reason(r.Session); {
		case reason != "":
			doomed = append(doomed, Doomed{ID: r.ID, Reason: reason, By: System})
		case r.ID == c.Replaces:
			doomed = append(doomed, Doomed{r.ID, SignedOut, string(r.UserID), c.Record.ID})
		case r.Impersonator == "": // else it takes nothing from the person
			counted = append(counted, r)
		}
	}
	surplus := len(counted) + 1 - c.Limit
	if c.Limit <= 0 || surplus <= 0 || c.Record.Impersonator != "" {
		return doomed, nil
	}
	if c.Policy == DenyNewest {
		return nil, ErrLimit
	}
	first := older
	if c.Policy == EvictIdlest {
		first = idler
	}
	slices.SortFunc(counted, func(a, b Record) int { return first(a.Session, b.Session) })
	for _, r := range counted[:surplus] {
		doomed = append(doomed, Doomed{r.ID, EvictedByLimit, System, c.Record.ID})
	}
	return doomed, nil
}

func older(a, b Session) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), slices.Compare(a.ID[:], b.ID[:]))
}

func idler(a, b Session) int { return cmp.Or(a.LastActivity.Compare(b.LastActivity), older(a, b)) }
