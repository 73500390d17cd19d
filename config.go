package session

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/vedfolnir/session/config"
)

// What can be set; [config] has the fields, with their units and defaults.
type (
	// Timeout holds the clocks of a session: the fields of [config.Timeout].
	Timeout = config.Timeout
	// Cleanup says how ended sessions go: the fields of [config.Cleanup].
	Cleanup = config.Cleanup
	// Sync says how tabs and nodes keep up: the fields of [config.Sync].
	Sync = config.Sync
	// Security holds limits, keys and the policy for what is suspicious: the fields of
	// [config.Security].
	Security = config.Security
	// Features can be switched off: the fields of [config.Features].
	Features = config.Features
	// Kinds holds the limits of people who are not to be remembered, of guests, and of
	// operators who act as somebody: the fields of [config.Kinds].
	Kinds = config.Kinds
	// LimitPolicy says what happens to a sign-in at the limit of concurrent sessions. The
	// zero value is [EvictOldest].
	LimitPolicy = config.LimitPolicy
	// Setting is one line of [Settings]: the fields of [config.Setting].
	Setting = config.Setting
	// ConfigError is one mistake in a Config. [New] and [ConfigFromEnv] join all of
	// them into one error.
	ConfigError = config.Error
)

const (
	EvictOldest = config.EvictOldest // the session created first ends
	EvictIdlest = config.EvictIdlest // the session with the oldest activity ends
	DenyNewest  = config.DenyNewest  // the sign-in is refused with [ErrLimit]

	NoLimit = config.NoLimit // lifts a limit whose zero value stands for its default
	NoLease = config.NoLease // makes every Authenticate ask the store
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
	Kinds    Kinds

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
	// Now is this node's clock. Deadlines are held against it, or against the time of
	// a store that tells one, and then it says what has passed since. A jump of its wall
	// clock that its monotonic reading does not share is followed slowly; without such a
	// reading it is believed. Default time.Now.
	Now func() time.Time
}

// Settings lists every setting that has a name in the environment.
func Settings() []Setting { return config.Settings() }

// ConfigFromEnv reads the SESSION_* variables out of environ, which has the form
// of os.Environ. Durations are seconds ("172800") or Go's ("48h"); a comment after
// a value is passed over ("172800  # 48 hours"). What is not there stays zero, the
// default. The error joins a [ConfigError] for every mistake; the warnings name
// variables that look like a misspelt one.
func ConfigFromEnv(environ []string) (Config, []string, error) {
	set, warnings, err := config.FromEnv(environ)
	return Config{}.with(set), warnings, err
}

// MarshalJSON writes every setting under its name, durations in seconds. Keys are
// left out.
func (c Config) MarshalJSON() ([]byte, error) { return c.set().MarshalJSON() }

func (c Config) set() config.Config {
	return config.Config{Timeout: c.Timeout, Cleanup: c.Cleanup, Sync: c.Sync, Security: c.Security, Features: c.Features, Kinds: c.Kinds}
}

func (c Config) with(set config.Config) Config {
	c.Timeout, c.Cleanup, c.Sync, c.Security, c.Features, c.Kinds = set.Timeout, set.Cleanup, set.Sync, set.Security, set.Features, set.Kinds
	return c
}

// complete checks c and fills in the defaults. The error joins a [ConfigError]
// for every mistake.
func (c Config) complete() (Config, error) {
	set, err := c.set().Complete()
	if c = c.with(set); c.DirectoryTTL < 0 {
		err = errors.Join(err, &ConfigError{Setting: "DirectoryTTL", Problem: "is negative: leave it 0 for 1 minute"})
	}
	c.DirectoryTTL = cmp.Or(c.DirectoryTTL, time.Minute)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Audit = cmp.Or(c.Audit, LogAudit(c.Logger))
	return c, err
}

func (c Config) policy() Policy {
	t := c.Timeout
	return Policy{t.IdleTimeout, t.ActivityWriteInterval, t.SessionLifetime, t.AbsoluteTimeout, c.Security.RotationOverlap}
}
