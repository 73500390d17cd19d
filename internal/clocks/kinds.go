package clocks

import (
	"fmt"
	"time"
)

// Kinds are the limits of sessions that are not to last as long as others may.
type Kinds struct {
	UnrememberedIdleTimeout time.Duration
	UnrememberedLifetime    time.Duration
	ImpersonationLifetime   time.Duration
	GuestIdleTimeout        time.Duration
	GuestLifetime           time.Duration
}

// FitKinds reports, by setting, what was given and could never matter beside the
// clocks c, and lets defaults in k give way to them.
func FitKinds(given Kinds, c Clocks, k *Kinds, report func(setting, problem string)) {
	for _, s := range []struct {
		given        time.Duration
		value        *time.Duration
		bound        time.Duration
		setting, tie string
	}{
		{given.UnrememberedIdleTimeout, &k.UnrememberedIdleTimeout, c.IdleTimeout, "kinds.unremembered_idle_timeout (SESSION_UNREMEMBERED_IDLE_TIMEOUT_SECONDS)", idleTimeout},
		{given.UnrememberedLifetime, &k.UnrememberedLifetime, c.AbsoluteTimeout, "kinds.unremembered_lifetime (SESSION_UNREMEMBERED_LIFETIME_SECONDS)", absoluteTimeout},
		{given.ImpersonationLifetime, &k.ImpersonationLifetime, c.AbsoluteTimeout, "kinds.impersonation_lifetime (SESSION_IMPERSONATION_LIFETIME_SECONDS)", absoluteTimeout},
		{given.GuestIdleTimeout, &k.GuestIdleTimeout, c.IdleTimeout, "kinds.guest_idle_timeout (SESSION_GUEST_IDLE_TIMEOUT_SECONDS)", idleTimeout},
		{given.GuestLifetime, &k.GuestLifetime, c.AbsoluteTimeout, "kinds.guest_lifetime (SESSION_GUEST_LIFETIME_SECONDS)", absoluteTimeout},
	} {
		switch {
		case s.bound <= 0: // reported already
		case s.given > s.bound:
			report(s.setting, fmt.Sprintf("is %v, longer than %s, %v, and would never matter: shorten the one or lengthen the other", s.given, s.tie, s.bound))
		case s.given == 0:
			*s.value = min(*s.value, s.bound)
		}
	}
}

// Limits of a session's own. Zero: none.
type Limits struct {
	Idle  time.Duration
	Until time.Time
}

// Within tightens l, and makes it what a store can hold.
func (l Limits) Within(other Limits) Limits {
	l.Idle, other.Idle = max(0, l.Idle.Truncate(time.Microsecond)), other.Idle.Truncate(time.Microsecond)
	if l.Idle == 0 || other.Idle > 0 && other.Idle < l.Idle {
		l.Idle = other.Idle
	}
	if l.Until.IsZero() || !other.Until.IsZero() && other.Until.Before(l.Until) {
		l.Until = other.Until
	}
	l.Until = l.Until.UTC().Truncate(time.Microsecond)
	return l
}

// Of are the limits of a session that begins at now as one of these; of any other
// there are none.
func (k Kinds) Of(guest, impersonation, unremembered bool, now time.Time) Limits {
	switch {
	case guest:
		return Limits{k.GuestIdleTimeout, now.Add(k.GuestLifetime)}
	case impersonation:
		return Limits{Until: now.Add(k.ImpersonationLifetime)}
	case unremembered:
		return Limits{k.UnrememberedIdleTimeout, now.Add(k.UnrememberedLifetime)}
	}
	return Limits{}
}
