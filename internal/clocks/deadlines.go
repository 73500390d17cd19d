package clocks

import "time"

// Times are what a session's clocks count from, and limits of its own, which only
// tighten what is configured.
type Times struct {
	Created, Renewed, Active time.Time
	Idle                     time.Duration // its own limit; zero: none
	Until                    time.Time     // its own end; zero: none
}

// Policy is what is configured for all.
type Policy struct {
	Idle          time.Duration
	WriteInterval time.Duration // by which stored activity may lag, in the person's favour
	Lifetime      time.Duration
	Absolute      time.Duration
	Overlap       time.Duration // not a clock of the session
}

// IdleOf is the idle time-out of a session with that limit of its own.
func (p Policy) IdleOf(own time.Duration) time.Duration {
	if own > 0 {
		return min(own, p.Idle)
	}
	return p.Idle
}

// Deadlines are the first instants at which a session can no longer be used.
type Deadlines struct{ Idle, Lifetime, Absolute time.Time }

// Deadlines of a session.
func (p Policy) Deadlines(t Times) Deadlines {
	d := Deadlines{
		Idle:     t.Active.Add(p.IdleOf(t.Idle) + p.WriteInterval),
		Lifetime: t.Renewed.Add(p.Lifetime),
		Absolute: t.Created.Add(p.Absolute),
	}
	if !t.Until.IsZero() && t.Until.Before(d.Absolute) {
		d.Absolute = t.Until
	}
	return d
}

// Cutoffs are the deadlines turned round: a session is past one if its own time is
// at or before it. OwnIdle is held against the last activity and the session's own
// idle limit together, Until against its own end.
type Cutoffs struct{ Idle, Lifetime, Absolute, OwnIdle, Until time.Time }

// Cutoffs at now.
func (p Policy) Cutoffs(now time.Time) Cutoffs {
	return Cutoffs{
		Idle:     now.Add(-p.Idle - p.WriteInterval),
		Lifetime: now.Add(-p.Lifetime),
		Absolute: now.Add(-p.Absolute),
		OwnIdle:  now.Add(-p.WriteInterval),
		Until:    now,
	}
}

// The clocks, as a session's end names them.
const (
	Idle     = "idle_timeout"
	Lifetime = "lifetime"
	Absolute = "absolute_timeout"
)

// Past names the first clock that the session is past; empty: none.
func (c Cutoffs) Past(t Times) string {
	past := func(at, cutoff time.Time) bool { return !at.After(cutoff) }
	switch {
	case past(t.Created, c.Absolute), !t.Until.IsZero() && past(t.Until, c.Until):
		return Absolute
	case past(t.Renewed, c.Lifetime):
		return Lifetime
	case past(t.Active, c.Idle), t.Idle > 0 && past(t.Active.Add(t.Idle), c.OwnIdle):
		return Idle
	}
	return ""
}
