package session

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/vedfolnir/session/internal/clocks"
	"github.com/vedfolnir/session/internal/keyring"
	"github.com/vedfolnir/session/internal/settings"
)

// Config of a [Manager]. The zero value is right for most: every zero field
// stands for the default named beside it. [ConfigFromEnv] reads one from the
// environment.
type Config struct {
	Timeout  Timeout
	Cleanup  Cleanup
	Sync     Sync
	Security Security
	Features Features

	// DirectoryTTL is how long what the directory said of a person is good when
	// nobody calls DirectoryChanged. Default 1 minute.
	DirectoryTTL time.Duration
	// Logger gets what an operator should see. Default slog.Default().
	Logger *slog.Logger
	// Audit gets one event for each thing that happens to a session. Default:
	// lines of Logger.
	Audit Auditor
	// Bus wakes other managers on the same store. Default none: they notice
	// within a quarter of the lease.
	Bus Bus
	// Now is the clock that deadlines are held against. Default time.Now.
	Now func() time.Time
}

// Timeout holds the clocks of a session.
type Timeout struct {
	SessionLifetime       time.Duration // since creation or the last Refresh; 48 h
	IdleTimeout           time.Duration // without activity; 24 h
	AbsoluteTimeout       time.Duration // since creation; 7 days
	WarningThreshold      time.Duration // before the end, when people are warned; 15 min, or a quarter of the shortest clock
	ActivityWriteInterval time.Duration // at most one stored activity in it; 60 s, or a tenth of IdleTimeout
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
}

// Security limits.
type Security struct {
	MaxConcurrentPerUser       int           // live sessions; 5; [NoLimit]: any number
	LimitPolicy                LimitPolicy   // at that limit; EvictOldest
	MaxPlatformSwitchesPerHour int           // more are a signal in SecurityInfo; 50; [NoLimit]: none is
	RotationOverlap            time.Duration // for the previous token; 10 s
	NoFingerprinting           bool          // keep no fingerprint of clients
	NoAuditLogging             bool          // tell Audit nothing
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
	Keys [][]byte
}

// Features that can be switched off.
type Features struct {
	NoCrossTabSync      bool // no event stream; the client follows nothing by itself
	NoBackgroundCleanup bool // no sweep: call Cleanup or EnforceTimeouts
}

const (
	// NoLimit lifts a limit whose zero value stands for its default.
	NoLimit = -1
	// NoLease makes every Authenticate ask the store.
	NoLease time.Duration = -1
)

// ConfigError is one mistake in a Config. [New] and [ConfigFromEnv] join all of
// them into one error.
type ConfigError struct {
	Setting string // as in the JSON of a Config, with its environment variable
	Problem string // and what to do about it
}

func (e *ConfigError) Error() string { return e.Setting + " " + e.Problem }

// table decides the settings' names, defaults and ranges.
var table = settings.Table[Config]{
	settings.Duration("timeout.session_lifetime", "SESSION_LIFETIME_SECONDS", 48*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.SessionLifetime }, "how long a session lasts since sign-in or the last refresh"),
	settings.Duration("timeout.idle_timeout", "SESSION_IDLE_TIMEOUT_SECONDS", 24*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.IdleTimeout }, "how long a session lasts without activity"),
	settings.Duration("timeout.absolute_timeout", "SESSION_ABSOLUTE_TIMEOUT_SECONDS", 7*24*time.Hour, func(c *Config) *time.Duration { return &c.Timeout.AbsoluteTimeout }, "how long a session lasts at most, whatever happens"),
	settings.Duration("timeout.warning_threshold", "SESSION_WARNING_THRESHOLD_SECONDS", 15*time.Minute, func(c *Config) *time.Duration { return &c.Timeout.WarningThreshold }, "how long before the end people are warned"),
	settings.Duration("timeout.activity_write_interval", "SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS", time.Minute, func(c *Config) *time.Duration { return &c.Timeout.ActivityWriteInterval }, "activity is stored at most once in this time"),
	settings.Duration("cleanup.cleanup_interval", "SESSION_CLEANUP_INTERVAL_SECONDS", 30*time.Minute, func(c *Config) *time.Duration { return &c.Cleanup.CleanupInterval }, "how often ended sessions are cleaned up"),
	settings.Count("cleanup.batch_size", "SESSION_CLEANUP_BATCH_SIZE", 100, func(c *Config) *int { return &c.Cleanup.BatchSize }, "sessions to a transaction of the clean-up"),
	settings.Duration("cleanup.retention", "SESSION_RETENTION_SECONDS", 7*24*time.Hour, func(c *Config) *time.Duration { return &c.Cleanup.Retention }, "how long an ended session can say why it ended"),
	settings.Duration("sync.check_interval", "SESSION_SYNC_CHECK_INTERVAL_SECONDS", 2*time.Second, func(c *Config) *time.Duration { return &c.Sync.CheckInterval }, "how often a tab asks that cannot hold a stream"),
	settings.Duration("sync.heartbeat_interval", "SESSION_HEARTBEAT_INTERVAL_SECONDS", 30*time.Second, func(c *Config) *time.Duration { return &c.Sync.HeartbeatInterval }, "how often tabs and streams say that they are there"),
	settings.DurationOrNone("sync.lease", "SESSION_LEASE_SECONDS", 2*time.Second, func(c *Config) *time.Duration { return &c.Sync.Lease }, "how long a node may trust what it remembers; 0: every request asks the database"),
	settings.CountOrNone("security.max_concurrent_per_user", "SESSION_MAX_CONCURRENT_PER_USER", 5, func(c *Config) *int { return &c.Security.MaxConcurrentPerUser }, "live sessions of one person; 0: any number"),
	settings.Choice("security.limit_policy", "SESSION_LIMIT_POLICY", []string{string(EvictOldest), string(EvictIdlest), string(DenyNewest)}, func(c *Config) *string { return (*string)(&c.Security.LimitPolicy) }, "at that limit: oldest or idlest ends that session, deny refuses the sign-in"),
	settings.CountOrNone("security.max_platform_switches_per_hour", "SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR", 50, func(c *Config) *int { return &c.Security.MaxPlatformSwitchesPerHour }, "more are a signal in the security information; 0: none is"),
	settings.Duration("security.rotation_overlap", "SESSION_ROTATION_OVERLAP_SECONDS", 10*time.Second, func(c *Config) *time.Duration { return &c.Security.RotationOverlap }, "how long the previous token stays good once the new one is used"),
	settings.Switch("security.enable_fingerprinting", "SESSION_ENABLE_FINGERPRINTING", func(c *Config) *bool { return &c.Security.NoFingerprinting }, "keep a keyed hash of what the browser says of itself, to notice a change"),
	settings.Switch("security.enable_audit_logging", "SESSION_ENABLE_AUDIT_LOGGING", func(c *Config) *bool { return &c.Security.NoAuditLogging }, "log what happens to sessions"),
	settings.Choice("security.preset", "SESSION_PRESET", []string{"none", "aal1", "aal2", "aal3"}, func(c *Config) *string { return &c.Security.Preset }, "time-outs of a level of NIST SP 800-63B-4: aal1, aal2 or aal3; what is set and stricter stays"),
	settings.Choice("security.looser_than_preset", "SESSION_LOOSER_THAN_PRESET", []string{"refuse", clocks.Allow}, func(c *Config) *string { return &c.Security.LooserThanPreset }, "what to do with a time-out that is looser than the preset's: refuse or allow"),
	settings.Switch("features.enable_cross_tab_sync", "SESSION_FEATURE_CROSS_TAB_SYNC", func(c *Config) *bool { return &c.Features.NoCrossTabSync }, "offer the event stream that tabs follow"),
	settings.Switch("features.enable_background_cleanup", "SESSION_FEATURE_BACKGROUND_CLEANUP", func(c *Config) *bool { return &c.Features.NoBackgroundCleanup }, "clean up by itself"),
}

// Setting describes one setting of a [Config] to whoever lets people choose it.
type Setting struct {
	Path    string // "timeout.idle_timeout", as in the JSON of a Config
	Env     string // "SESSION_IDLE_TIMEOUT_SECONDS"
	Default string // as [ConfigFromEnv] reads it; durations in seconds
	Help    string // one line
}

// Settings lists every setting that has a name in the environment.
func Settings() (list []Setting) {
	for _, s := range table {
		list = append(list, Setting{Path: s.Path, Env: s.Env, Default: s.Default(), Help: s.Help})
	}
	return list
}

// ConfigFromEnv reads the SESSION_* variables out of environ, which has the form
// of os.Environ. Durations are seconds ("172800") or Go's ("48h"); a comment after
// a value is passed over ("172800  # 48 hours"). What is not there stays zero, the
// default. The error joins a [ConfigError] for every mistake; the warnings name
// variables that look like a misspelt one.
func ConfigFromEnv(environ []string) (c Config, warnings []string, err error) {
	var found mistakes
	warnings = table.FromEnv(&c, environ, "SESSION_", found.add)
	_, contradictions := c.complete()
	return c, warnings, errors.Join(errors.Join(found...), contradictions)
}

// MarshalJSON writes every setting under its name, durations in seconds. Keys are
// left out.
func (c Config) MarshalJSON() ([]byte, error) { return table.JSON(c) }

// mistakes are ConfigErrors.
type mistakes []error

func (m *mistakes) add(setting, problem string) { *m = append(*m, &ConfigError{setting, problem}) }

// complete checks c and fills in the defaults. The error joins a [ConfigError]
// for every mistake.
func (c Config) complete() (Config, error) {
	given := c
	var found mistakes
	clocks.Preset(c.Security.Preset, c.Security.LooserThanPreset, (*clocks.Clocks)(&c.Timeout), found.add)
	table.Complete(&c, found.add)
	keyring.Check(c.Security.Keys, found.add)
	if c.DirectoryTTL < 0 {
		found.add("DirectoryTTL", "is negative: leave it 0 for 1 minute")
	}
	clocks.Fit(clocks.Clocks(given.Timeout), given.Sync.HeartbeatInterval, (*clocks.Clocks)(&c.Timeout), found.add)
	c.DirectoryTTL = cmp.Or(c.DirectoryTTL, time.Minute)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Audit == nil {
		c.Audit = LogAudit(c.Logger)
	}
	return c, errors.Join(found...)
}

func (c Config) policy() Policy {
	return Policy{
		Idle: c.Timeout.IdleTimeout, WriteInterval: c.Timeout.ActivityWriteInterval,
		Lifetime: c.Timeout.SessionLifetime, Absolute: c.Timeout.AbsoluteTimeout, Overlap: c.Security.RotationOverlap,
	}
}
