package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
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

// setting is one line of the table that decides names, defaults and ranges.
type setting struct {
	path, env string
	field     func(*Config) any // *time.Duration, *int, *LimitPolicy or disabled
	standard  any
	orNone    bool // 0 in the environment, and -1 in a Config, mean "none"
	help      string
}

// Setting describes one setting of a [Config] to whoever lets people choose it.
type Setting struct {
	Path    string // "timeout.idle_timeout", as in the JSON of a Config
	Env     string // "SESSION_IDLE_TIMEOUT_SECONDS"
	Default string // as [ConfigFromEnv] reads it; durations in seconds
	Help    string // one line
}

// Settings lists every setting that has a name in the environment.
func Settings() []Setting {
	list := make([]Setting, len(settings))
	for i, s := range settings {
		list[i] = Setting{Path: s.path, Env: s.env, Default: s.text(), Help: s.help}
	}
	return list
}

// text of the default.
func (s setting) text() string {
	switch v := s.standard.(type) {
	case nil:
		return "true" // a switch
	case time.Duration:
		return strconv.FormatFloat(v.Seconds(), 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// disabled is a switch that is on by default, so that its zero value is right.
type disabled struct{ off *bool }

var settings = []setting{
	{"timeout.session_lifetime", "SESSION_LIFETIME_SECONDS", func(c *Config) any { return &c.Timeout.SessionLifetime }, 48 * time.Hour, false, "how long a session lasts since sign-in or the last refresh"},
	{"timeout.idle_timeout", "SESSION_IDLE_TIMEOUT_SECONDS", func(c *Config) any { return &c.Timeout.IdleTimeout }, 24 * time.Hour, false, "how long a session lasts without activity"},
	{"timeout.absolute_timeout", "SESSION_ABSOLUTE_TIMEOUT_SECONDS", func(c *Config) any { return &c.Timeout.AbsoluteTimeout }, 7 * 24 * time.Hour, false, "how long a session lasts at most, whatever happens"},
	{"timeout.warning_threshold", "SESSION_WARNING_THRESHOLD_SECONDS", func(c *Config) any { return &c.Timeout.WarningThreshold }, 15 * time.Minute, false, "how long before the end people are warned"},
	{"timeout.activity_write_interval", "SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS", func(c *Config) any { return &c.Timeout.ActivityWriteInterval }, time.Minute, false, "activity is stored at most once in this time"},
	{"cleanup.cleanup_interval", "SESSION_CLEANUP_INTERVAL_SECONDS", func(c *Config) any { return &c.Cleanup.CleanupInterval }, 30 * time.Minute, false, "how often ended sessions are cleaned up"},
	{"cleanup.batch_size", "SESSION_CLEANUP_BATCH_SIZE", func(c *Config) any { return &c.Cleanup.BatchSize }, 100, false, "sessions to a transaction of the clean-up"},
	{"cleanup.retention", "SESSION_RETENTION_SECONDS", func(c *Config) any { return &c.Cleanup.Retention }, 7 * 24 * time.Hour, false, "how long an ended session can say why it ended"},
	{"sync.check_interval", "SESSION_SYNC_CHECK_INTERVAL_SECONDS", func(c *Config) any { return &c.Sync.CheckInterval }, 2 * time.Second, false, "how often a tab asks that cannot hold a stream"},
	{"sync.heartbeat_interval", "SESSION_HEARTBEAT_INTERVAL_SECONDS", func(c *Config) any { return &c.Sync.HeartbeatInterval }, 30 * time.Second, false, "how often tabs and streams say that they are there"},
	{"sync.lease", "SESSION_LEASE_SECONDS", func(c *Config) any { return &c.Sync.Lease }, 2 * time.Second, true, "how long a node may trust what it remembers; 0: every request asks the database"},
	{"security.max_concurrent_per_user", "SESSION_MAX_CONCURRENT_PER_USER", func(c *Config) any { return &c.Security.MaxConcurrentPerUser }, 5, true, "live sessions of one person; 0: any number"},
	{"security.limit_policy", "SESSION_LIMIT_POLICY", func(c *Config) any { return &c.Security.LimitPolicy }, EvictOldest, false, "at that limit: oldest or idlest ends that session, deny refuses the sign-in"},
	{"security.max_platform_switches_per_hour", "SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR", func(c *Config) any { return &c.Security.MaxPlatformSwitchesPerHour }, 50, true, "more are a signal in the security information; 0: none is"},
	{"security.rotation_overlap", "SESSION_ROTATION_OVERLAP_SECONDS", func(c *Config) any { return &c.Security.RotationOverlap }, 10 * time.Second, false, "how long the previous token stays good once the new one is used"},
	{"security.enable_fingerprinting", "SESSION_ENABLE_FINGERPRINTING", func(c *Config) any { return disabled{&c.Security.NoFingerprinting} }, nil, false, "keep a keyed hash of what the browser says of itself, to notice a change"},
	{"security.enable_audit_logging", "SESSION_ENABLE_AUDIT_LOGGING", func(c *Config) any { return disabled{&c.Security.NoAuditLogging} }, nil, false, "log what happens to sessions"},
	{"features.enable_cross_tab_sync", "SESSION_FEATURE_CROSS_TAB_SYNC", func(c *Config) any { return disabled{&c.Features.NoCrossTabSync} }, nil, false, "offer the event stream that tabs follow"},
	{"features.enable_background_cleanup", "SESSION_FEATURE_BACKGROUND_CLEANUP", func(c *Config) any { return disabled{&c.Features.NoBackgroundCleanup} }, nil, false, "clean up by itself"},
}

func (s setting) String() string { return s.path + " (" + s.env + ")" }

// complete checks c and fills in the defaults. The error joins a [ConfigError]
// for every mistake.
func (c Config) complete() (Config, error) {
	given := c
	var errs []error
	for _, s := range settings {
		if problem := s.complete(&c); problem != "" {
			errs = append(errs, &ConfigError{s.String(), problem})
		}
	}
	for i, key := range c.Security.Keys {
		if len(key) < 32 {
			errs = append(errs, &ConfigError{fmt.Sprintf("security.keys[%d]", i), fmt.Sprintf("has %d bytes: give at least 32 random ones", len(key))})
		}
	}
	if c.DirectoryTTL < 0 {
		errs = append(errs, &ConfigError{"DirectoryTTL", "is negative: leave it 0 for 1 minute"})
	}
	errs = append(errs, c.fit(given)...)
	if c.DirectoryTTL == 0 {
		c.DirectoryTTL = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Audit == nil {
		c.Audit = LogAudit(c.Logger)
	}
	return c, errors.Join(errs...)
}

// complete one setting; the result says what is wrong with it.
func (s setting) complete(c *Config) (problem string) {
	switch p := s.field(c).(type) {
	case *time.Duration:
		if *p == 0 {
			*p = s.standard.(time.Duration)
		} else if *p < 0 && (!s.orNone || *p != -1) {
			return fmt.Sprintf("is %v: give a positive duration, or leave it out for %v", *p, s.standard)
		}
	case *int:
		if *p == 0 {
			*p = s.standard.(int)
		} else if *p < 0 && (!s.orNone || *p != -1) {
			return fmt.Sprintf("is %d: give a positive number, or leave it out for %v", *p, s.standard)
		}
	case *LimitPolicy:
		switch *p {
		case "":
			*p = s.standard.(LimitPolicy)
		case EvictOldest, EvictIdlest, DenyNewest:
		default:
			return fmt.Sprintf("is %q: give oldest, idlest or deny", *p)
		}
	}
	return ""
}

// fit reports what was given and contradicts the rest, and lets defaults give way
// to what was given.
func (c *Config) fit(given Config) (errs []error) {
	t := &c.Timeout
	shortest := min(t.IdleTimeout, t.SessionLifetime, t.AbsoluteTimeout)
	if shortest <= 0 {
		return nil // reported already
	}
	contradiction := func(name, problem string, args ...any) {
		errs = append(errs, &ConfigError{name, fmt.Sprintf(problem, args...)})
	}
	if t.SessionLifetime > t.AbsoluteTimeout {
		contradiction("timeout.session_lifetime (SESSION_LIFETIME_SECONDS)", "is %v, longer than timeout.absolute_timeout (SESSION_ABSOLUTE_TIMEOUT_SECONDS), %v: shorten the one or lengthen the other", t.SessionLifetime, t.AbsoluteTimeout)
	}
	if given.Timeout.IdleTimeout > t.SessionLifetime {
		contradiction("timeout.idle_timeout (SESSION_IDLE_TIMEOUT_SECONDS)", "is %v, longer than timeout.session_lifetime (SESSION_LIFETIME_SECONDS), %v, and would never matter: shorten the one or lengthen the other", t.IdleTimeout, t.SessionLifetime)
	}
	if given.Timeout.WarningThreshold >= shortest {
		contradiction("timeout.warning_threshold (SESSION_WARNING_THRESHOLD_SECONDS)", "is %v, but a session may last only %v: choose less", t.WarningThreshold, shortest)
	} else if t.WarningThreshold >= shortest {
		t.WarningThreshold = shortest / 4
	}
	if given.Timeout.ActivityWriteInterval >= t.IdleTimeout {
		contradiction("timeout.activity_write_interval (SESSION_ACTIVITY_WRITE_INTERVAL_SECONDS)", "is %v, not less than timeout.idle_timeout, %v: a tenth of that or less is good", t.ActivityWriteInterval, t.IdleTimeout)
	} else if given.Timeout.ActivityWriteInterval == 0 {
		t.ActivityWriteInterval = min(t.ActivityWriteInterval, t.IdleTimeout/10)
	}
	if given.Sync.HeartbeatInterval >= t.IdleTimeout {
		contradiction("sync.heartbeat_interval (SESSION_HEARTBEAT_INTERVAL_SECONDS)", "is %v, not less than timeout.idle_timeout, %v: people at work would be signed out", c.Sync.HeartbeatInterval, t.IdleTimeout)
	}
	return errs
}

func (c Config) policy() Policy {
	return Policy{
		Idle: c.Timeout.IdleTimeout, WriteInterval: c.Timeout.ActivityWriteInterval,
		Lifetime: c.Timeout.SessionLifetime, Absolute: c.Timeout.AbsoluteTimeout,
		Overlap: c.Security.RotationOverlap,
	}
}

// MarshalJSON writes every setting under its name, durations in seconds. Keys are
// left out.
func (c Config) MarshalJSON() ([]byte, error) {
	groups := map[string]map[string]any{}
	for _, s := range settings {
		group, name, _ := strings.Cut(s.path, ".")
		if groups[group] == nil {
			groups[group] = map[string]any{}
		}
		switch p := s.field(&c).(type) {
		case *time.Duration:
			groups[group][name] = max(0, p.Seconds())
		case *int:
			groups[group][name] = max(0, *p)
		case *LimitPolicy:
			groups[group][name] = *p
		case disabled:
			groups[group][name] = !*p.off
		}
	}
	return json.Marshal(groups)
}
