// Package clocks holds the times of a session against each other.
package clocks

import (
	"fmt"
	"time"
)

// What is named in problems with other settings, too.
const (
	idleTimeout     = "timeout.idle_timeout (SESSION_IDLE_TIMEOUT_SECONDS)"
	absoluteTimeout = "timeout.absolute_timeout (SESSION_ABSOLUTE_TIMEOUT_SECONDS)"
	sessionLifetime = "timeout.session_lifetime (SESSION_LIFETIME_SECONDS)"
)

// Clocks of a session.
type Clocks struct {
	SessionLifetime       time.Duration // since creation or the last renewal
	IdleTimeout           time.Duration // without activity
	AbsoluteTimeout       time.Duration // since creation
	WarningThreshold      time.Duration // before the end, when people are warned
	ActivityWriteInterval time.Duration // at most one stored activity in it
}

// Fit reports what was given and contradicts the rest, by setting, and lets
// defaults in c give way to what was given. What is zero in given was not; in c
// nothing is zero unless it was reported already. Some sessions' own idle time-out is
// shortestIdle.
func Fit(given Clocks, givenHeartbeat, shortestIdle time.Duration, c *Clocks, report func(setting, problem string)) {
	shortest := min(c.IdleTimeout, c.SessionLifetime, c.AbsoluteTimeout)
	if shortest <= 0 {
		return // reported already
	}
	refuse := func(when bool, setting, problem string, args ...any) {
		if when {
			report(setting, fmt.Sprintf(problem, args...))
		}
	}
	refuse(c.SessionLifetime > c.AbsoluteTimeout, sessionLifetime,
		"is %v, longer than "+absoluteTimeout+", %v: shorten the one or lengthen the other", c.SessionLifetime, c.AbsoluteTimeout)
	refuse(given.IdleTimeout > c.SessionLifetime, idleTimeout,
		"is %v, longer than "+sessionLifetime+", %v, and would never matter: shorten the one or lengthen the other", c.IdleTimeout, c.SessionLifetime)
	refuse(given.WarningThreshold >= shortest, "timeout.warning_threshold (SESSION_WARNING_THRESHOLD_SECONDS)",
		"is %v, but a session may last only %v: choose less", c.WarningThreshold, shortest)
	refuse(given.ActivityWriteInterval >= c.IdleTimeout, "timeout.activity_write_interval (SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS)",
		"is %v, not less than timeout.idle_timeout, %v: a tenth of that or less is good", c.ActivityWriteInterval, c.IdleTimeout)
	refuse(givenHeartbeat >= c.IdleTimeout, "sync.heartbeat_interval (SESSION_HEARTBEAT_INTERVAL_SECONDS)",
		"is %v, not less than timeout.idle_timeout, %v: people at work would be signed out", givenHeartbeat, c.IdleTimeout)
	if shortest = min(shortest, shortestIdle); given.WarningThreshold == 0 && c.WarningThreshold >= shortest {
		c.WarningThreshold = shortest / 4
	}
	if given.ActivityWriteInterval == 0 {
		c.ActivityWriteInterval = min(c.ActivityWriteInterval, c.IdleTimeout/10)
	}
}
