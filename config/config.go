// Package config is what can be set of a session manager: the names, in the
// environment and in JSON, the defaults, and what contradicts what. The package
// session has it all under the same names.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/vedfolnir/session/internal/clocks"
	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/keyring"
	"github.com/vedfolnir/session/internal/settings"
	"github.com/vedfolnir/session/suspicion"
)

// Config is what can be set of a manager, but for what only a program can give it.
// Every zero field stands for the default named beside it.
type Config struct {
	Timeout  Timeout
	Cleanup  Cleanup
	Sync     Sync
	Security Security
	Features Features
	Kinds    Kinds
}

// Timeout holds the clocks of a session.
type Timeout struct {
	SessionLifetime       time.Duration // since creation or the last Refresh; 48 h
	IdleTimeout           time.Duration // without activity; 24 h
	AbsoluteTimeout       time.Duration // since creation; 7 days
	WarningThreshold      time.Duration // before the end, when people are warned; 15 min, or a quarter of the shortest clock
	ActivityWriteInterval time.Duration // at most one stored activity in it; 60 s, or a tenth of IdleTimeout
}

// Kinds holds the limits of sessions that are not to last as long as Timeout lets
// others: they tighten its clocks and never loosen them. A default gives way to a
// shorter clock; what is given and longer is a mistake.
type Kinds struct {
	// Of people who were asked whether to be remembered on the device, and were not:
	// their cookies end with the browser.
	UnrememberedIdleTimeout time.Duration // without activity; 2 h
	UnrememberedLifetime    time.Duration // since sign-in; 12 h
	ImpersonationLifetime   time.Duration // of an operator who acts as somebody; 30 min
	GuestIdleTimeout        time.Duration // of a guest without activity; 1 h
	GuestLifetime           time.Duration // since the guest came; 24 h
}

// Cleanup says how ended sessions go.
type Cleanup struct {
	CleanupInterval time.Duration // of the background sweep; 30 min
	BatchSize       int           // sessions to a transaction; 100
	Retention       time.Duration // how long an ended session says why it ended; 7 days
}

// Sync says how tabs and nodes keep up.
type Sync struct {
	CheckInterval     time.Duration // of tabs that have to poll; 2 s
	HeartbeatInterval time.Duration // of tabs and streams; 30 s
	Lease             time.Duration // how long a node may trust what it remembers; 2 s; [NoLease]: never
	OutageGrace       time.Duration // how much longer, for reading, while the store is away; none
}

// Security limits.
type Security struct {
	MaxConcurrentPerUser       int              // live sessions; 5; [NoLimit]: any number
	LimitPolicy                LimitPolicy      // at that limit; EvictOldest
	MaxPlatformSwitchesPerHour int              // more are refused, and a signal; 50; [NoLimit]: any number
	RotationOverlap            time.Duration    // for the previous token; 10 s
	NoFingerprinting           bool             // keep no fingerprint of clients
	NoAuditLogging             bool             // tell Audit nothing
	Suspicion                  suspicion.Policy // what is made of signals
	// Preset makes the time-outs those that NIST SP 800-63B-4 asks for at a level of
	// assurance: "aal1" (30 days), "aal2" (24 hours, 1 hour idle) or "aal3" (12 hours,
	// 15 minutes idle). What is given and stricter stays; what is given and looser is
	// a mistake, unless LooserThanPreset is "allow". "none"
	Preset           string
	LooserThanPreset string // "refuse"
	// Keys are secrets of at least 32 bytes, shared by all nodes. The first one
	// is used; the others are still accepted while a key is being rotated.
	// Default: one made at random, which does not survive a restart (CSRF tokens
	// are then fetched anew, and fingerprints are no longer compared).
	Keys Keys
}

// Keys are secrets: they print, log and marshal as "[redacted]".
type Keys [][]byte

// Format redacts them for every verb.
func (Keys) Format(f fmt.State, verb rune) { handle.Redacted{}.Format(f, verb) }

// LogValue redacts them.
func (Keys) LogValue() slog.Value { return handle.Redacted{}.LogValue() }

// MarshalText redacts them, in JSON too.
func (Keys) MarshalText() ([]byte, error) { return handle.Redacted{}.MarshalText() }

// Features that can be switched off.
type Features struct {
	NoCrossTabSync      bool // no event stream; the client follows nothing by itself
	NoBackgroundCleanup bool // no sweep: call Cleanup or EnforceTimeouts
}

// LimitPolicy says what happens to a sign-in at the limit of concurrent
// sessions. The zero value is [EvictOldest].
type LimitPolicy string

const (
	EvictOldest LimitPolicy = "oldest" // the session created first ends
	EvictIdlest LimitPolicy = "idlest" // the session with the oldest activity ends
	DenyNewest  LimitPolicy = "deny"   // the sign-in is refused
)

const (
	// NoLimit lifts a limit whose zero value stands for its default.
	NoLimit = -1
	// NoLease makes every Authenticate ask the store.
	NoLease time.Duration = -1
)

// Error is one mistake in a configuration.
type Error struct {
	Setting string // as in the JSON, with its environment variable
	Problem string // and what to do about it
}

func (e *Error) Error() string { return e.Setting + " " + e.Problem }

// table decides the settings' names, defaults and ranges.
var table = settings.Table[Config]{
	settings.Duration("timeout.session_lifetime", "SESSION_LIFETIME_SECONDS", 48*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.SessionLifetime }, "how long a session lasts since sign-in or the last refresh"),
	settings.Duration("timeout.idle_timeout", "SESSION_IDLE_TIMEOUT_SECONDS", 24*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.IdleTimeout }, "how long a session lasts without activity"),
	settings.Duration("timeout.absolute_timeout", "SESSION_ABSOLUTE_TIMEOUT_SECONDS", 7*24*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.AbsoluteTimeout }, "how long a session lasts at most, whatever happens"),
	settings.Duration("timeout.warning_threshold", "SESSION_WARNING_THRESHOLD_SECONDS", 15*time.Minute, func(c *Config) *time.Duration { return &c.Timeout.WarningThreshold }, "how long before the end people are warned"),
	settings.Duration("timeout.activity_write_interval", "SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS", time.Minute, func(c *Config) *time.Duration { return &c.Timeout.ActivityWriteInterval }, "activity is stored at most once in this time"),
	settings.Duration("kinds.unremembered_idle_timeout", "SESSION_UNREMEMBERED_IDLE_TIMEOUT_SECONDS", 2*time.Hour, func(c *Config) *time.Duration { return &c.Kinds.UnrememberedIdleTimeout }, "how long without activity, if the person did not ask to be remembered"),
	settings.Duration("kinds.unremembered_lifetime", "SESSION_UNREMEMBERED_LIFETIME_SECONDS", 12*time.Hour, func(c *Config) *time.Duration { return &c.Kinds.UnrememberedLifetime }, "how long since sign-in, if the person did not ask to be remembered"),
	settings.Duration("kinds.impersonation_lifetime", "SESSION_IMPERSONATION_LIFETIME_SECONDS", 30*time.Minute, func(c *Config) *time.Duration { return &c.Kinds.ImpersonationLifetime }, "how long an operator may act as somebody at a time"),
	settings.Duration("kinds.guest_idle_timeout", "SESSION_GUEST_IDLE_TIMEOUT_SECONDS", time.Hour, func(c *Config) *time.Duration { return &c.Kinds.GuestIdleTimeout }, "how long a guest's session lasts without activity"),
	settings.Duration("kinds.guest_lifetime", "SESSION_GUEST_LIFETIME_SECONDS", 24*time.Hour, func(c *Config) *time.Duration { return &c.Kinds.GuestLifetime }, "how long a guest's session lasts"),
	settings.Duration("cleanup.cleanup_interval", "SESSION_CLEANUP_INTERVAL_SECONDS", 30*time.Minute, func(c *Config) *time.Duration { return &c.Cleanup.CleanupInterval }, "how often ended sessions are cleaned up"),
	settings.Count("cleanup.batch_size", "SESSION_CLEANUP_BATCH_SIZE", 100, func(c *Config) *int { return &c.Cleanup.BatchSize }, "sessions to a transaction of the clean-up"),
	settings.Duration("cleanup.retention", "SESSION_RETENTION_SECONDS", 7*24*time.Hour, func(c *Config) *time.Duration { return &c.Cleanup.Retention }, "how long an ended session can say why it ended"),
	settings.Duration("sync.check_interval", "SESSION_SYNC_CHECK_INTERVAL_SECONDS", 2*time.Second, func(c *Config) *time.Duration { return &c.Sync.CheckInterval }, "how often a tab asks that cannot hold a stream"),
	settings.Duration("sync.heartbeat_interval", "SESSION_HEARTBEAT_INTERVAL_SECONDS", 30*time.Second, func(c *Config) *time.Duration { return &c.Sync.HeartbeatInterval }, "how often tabs and streams say that they are there"),
	settings.DurationOrNone("sync.lease", "SESSION_LEASE_SECONDS", 2*time.Second, func(c *Config) *time.Duration { return &c.Sync.Lease }, "how long a node may trust what it remembers; 0: every request asks the database"),
	settings.DurationOrNone("sync.outage_grace", "SESSION_OUTAGE_GRACE_SECONDS", 0, func(c *Config) *time.Duration { return &c.Sync.OutageGrace }, "how much longer it may, for reading, while the database is away; an end elsewhere is then seen late by as much; 0: not"),
	settings.CountOrNone("security.max_concurrent_per_user", "SESSION_MAX_CONCURRENT_PER_USER", 5, func(c *Config) *int { return &c.Security.MaxConcurrentPerUser }, "live sessions of one person; 0: any number"),
	settings.Choice("security.limit_policy", "SESSION_LIMIT_POLICY", []string{string(EvictOldest), string(EvictIdlest), string(DenyNewest)}, func(c *Config) *string { return (*string)(&c.Security.LimitPolicy) }, "at that limit: oldest or idlest ends that session, deny refuses the sign-in"),
	settings.CountOrNone("security.max_platform_switches_per_hour", "SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR", 50, func(c *Config) *int { return &c.Security.MaxPlatformSwitchesPerHour }, "more are refused, and a signal in the security information; 0: any number"),
	settings.Duration("security.rotation_overlap", "SESSION_ROTATION_OVERLAP_SECONDS", 10*time.Second, func(c *Config) *time.Duration { return &c.Security.RotationOverlap }, "how long the previous token stays good once the new one is used"),
	settings.Switch("security.enable_fingerprinting", "SESSION_ENABLE_FINGERPRINTING", func(c *Config) *bool { return &c.Security.NoFingerprinting }, "keep a keyed hash of what the browser says of itself, to notice a change"),
	settings.Switch("security.enable_audit_logging", "SESSION_ENABLE_AUDIT_LOGGING", func(c *Config) *bool { return &c.Security.NoAuditLogging }, "log what happens to sessions"),
	settings.Choice("security.preset", "SESSION_PRESET", []string{"none", "aal1", "aal2", "aal3"}, func(c *Config) *string { return &c.Security.Preset }, "time-outs of a level of NIST SP 800-63B-4: aal1, aal2 or aal3; what is set and stricter stays"),
	settings.Choice("security.looser_than_preset", "SESSION_LOOSER_THAN_PRESET", []string{"refuse", clocks.Allow}, func(c *Config) *string { return &c.Security.LooserThanPreset }, "what to do with a time-out that is looser than the preset's: refuse or allow"),
	settings.Switch("features.enable_cross_tab_sync", "SESSION_FEATURE_CROSS_TAB_SYNC", func(c *Config) *bool { return &c.Features.NoCrossTabSync }, "offer the event stream that tabs follow"),
	settings.Switch("features.enable_background_cleanup", "SESSION_FEATURE_BACKGROUND_CLEANUP", func(c *Config) *bool { return &c.Features.NoBackgroundCleanup }, "clean up by itself"),
}

func init() {
	policy := func(c *Config) *suspicion.Policy { return &c.Security.Suspicion }
	table = append(table,
		settings.CountOrNone("suspicion.note_score", "SESSION_SUSPICION_NOTE_SCORE", suspicion.DefaultNoteScore, func(c *Config) *int { return &policy(c).NoteScore }, "from this score on a session is marked as suspicious; 0: never"),
		settings.CountOrNone("suspicion.step_up_score", "SESSION_SUSPICION_STEP_UP_SCORE", suspicion.DefaultStepUpScore, func(c *Config) *int { return &policy(c).StepUpScore }, "from this score on it no longer counts as recently authenticated; 0: never"),
		settings.CountOrNone("suspicion.end_score", "SESSION_SUSPICION_END_SCORE", 0, func(c *Config) *int { return &policy(c).EndScore }, "from this score on it ends; 0: never"))
	for _, s := range suspicion.Signals() {
		table = append(table, settings.CountOrNone("suspicion."+s.String(), "SESSION_SUSPICION_"+strings.ToUpper(s.String()), s.Weight(), func(c *Config) *int { return &policy(c).Weights[s] }, "the weight of this signal; 0: it does not count"))
	}
}

// Setting describes one setting to whoever lets people choose it.
type Setting struct {
	Path    string // "timeout.idle_timeout", as in the JSON
	Env     string // "SESSION_IDLE_TIMEOUT_SECONDS"
	Default string // as [FromEnv] reads it; durations in seconds
	Help    string // one line
}

// Settings lists every setting that has a name in the environment.
func Settings() []Setting {
	list := make([]Setting, len(table))
	for i, s := range table {
		list[i] = Setting{Path: s.Path, Env: s.Env, Default: s.Default(), Help: s.Help}
	}
	return list
}

// FromEnv reads the SESSION_* variables out of environ, which has the form of
// os.Environ. Durations are seconds ("172800") or Go's ("48h"); a comment after a
// value is passed over ("172800  # 48 hours"). What is not there stays zero, the
// default. The error joins an [Error] for every mistake; the warnings name variables
// that look like a misspelt one.
func FromEnv(environ []string) (c Config, warnings []string, err error) {
	var found mistakes
	warnings = table.FromEnv(&c, environ, "SESSION_", found.add)
	_, contradictions := c.Complete()
	return c, warnings, errors.Join(errors.Join(found...), contradictions)
}

// MarshalJSON writes every setting under its name, durations in seconds. Keys are
// left out.
func (c Config) MarshalJSON() ([]byte, error) { return table.JSON(c) }

// Complete checks c and fills in the defaults. The error joins an [Error] for every
// mistake.
func (c Config) Complete() (Config, error) {
	given := c
	var found mistakes
	clocks.Preset(c.Security.Preset, c.Security.LooserThanPreset, (*clocks.Clocks)(&c.Timeout), found.add)
	table.Complete(&c, found.add)
	keyring.Check(c.Security.Keys, found.add)
	clocks.FitKinds(clocks.Kinds(given.Kinds), clocks.Clocks(c.Timeout), (*clocks.Kinds)(&c.Kinds), found.add)
	clocks.Fit(clocks.Clocks(given.Timeout), given.Sync.HeartbeatInterval, c.Kinds.UnrememberedIdleTimeout, (*clocks.Clocks)(&c.Timeout), found.add)
	return c, errors.Join(found...)
}

// mistakes are Errors.
type mistakes []error

func (m *mistakes) add(setting, problem string) { *m = append(*m, &Error{setting, problem}) }
