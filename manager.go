package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/vedfolnir/session/internal/background"
	"github.com/vedfolnir/session/internal/keyring"
	"github.com/vedfolnir/session/internal/memory"
	"github.com/vedfolnir/session/internal/noticing"
	"github.com/vedfolnir/session/internal/people"
	"github.com/vedfolnir/session/internal/storeclock"
	"github.com/vedfolnir/session/internal/wake"
)

const (
	// storeTimeout bounds each call to the store that nobody else bounds.
	storeTimeout = 5 * time.Second
	// feedInterval is how often the feed is read without a lease to renew.
	feedInterval = 500 * time.Millisecond
	// flushDelay is how long activity is gathered before it is stored.
	flushDelay = 500 * time.Millisecond
)

// Manager is the one place where sessions are created, checked, changed and
// ended. All of its methods are safe for concurrent use. A method that returns
// nil has stored its change durably, and this node refuses what it ended.
type Manager struct {
	config    Config
	policy    Policy
	store     Store
	directory Directory
	ask       func(context.Context, string) (*profile, error)
	keys      keyring.Ring
	marks     [][]byte // keys of fingerprints, the first in use; none: none are taken
	eye       *noticing.Eye

	clock    *storeclock.Clock
	memory   *memory.Memory[Record, *profile]
	feed     wake.Bell // rung when the store's feed has grown
	cursor   uint64    // in the feed
	activity *background.Gathered[ID, Activity]
	watchers wake.Registry[UserID]

	life     *background.Life
	leaveBus func()
	tellBus  func()
}

// New returns a manager that works, or an error that joins a [ConfigError] for
// every mistake. A nil directory trusts every user id and knows no platforms. The
// store stays the caller's: close it after the manager.
func New(store Store, directory Directory, config Config) (*Manager, error) {
	config, err := config.complete()
	if store == nil {
		err = errors.Join(err, &ConfigError{Setting: "store", Problem: "is nil: give one, memstore.New() for a start"})
	}
	if err != nil {
		return nil, fmt.Errorf("session: configuration:\n%w", err)
	}
	keys, err := keyring.New(config.Security.Keys)
	if err != nil {
		return nil, fmt.Errorf("session: make key: %w", err)
	}
	if config.Security.NoAuditLogging {
		config.Audit = LogAudit(slog.New(slog.DiscardHandler))
	}
	m := &Manager{
		config: config, policy: config.policy(), store: store, directory: cmp.Or(directory, Directory(trusting{})),
		clock: storeclock.New(config.Now),
		keys:  keys, feed: wake.NewBell(), tellBus: func() {}, leaveBus: func() {},
		activity: background.Gather(store.Touch, func(id ID, at time.Time) Activity { return Activity{id, at} }),
	}
	if !config.Security.NoFingerprinting {
		m.marks = keys.Derive("fingerprint")
	}
	m.ask = people.Asking(m.Now, m.askDirectory, Person.clientView)
	m.eye = noticing.New(config.Security.Suspicion, m.marks)
	m.memory = memory.New[Record, *profile](m.snapshot, config.Sync.Lease, storeTimeout, ErrClosed)
	m.life = background.NewLife(m.shutDown)
	if config.Bus != nil {
		m.tellBus, m.leaveBus = config.Bus.Join(m.feed.Ring)
	}
	m.life.Go(m.follow)
	m.life.Go(m.flush)
	if !config.Features.NoBackgroundCleanup {
		m.life.Go(m.sweep)
	}
	return m, nil
}

// Drain ends every subscription with [ErrClosed] and refuses new ones; everything
// else goes on. A server calls it first when it shuts down, so that its streams do
// not keep it from finishing the rest.
func (m *Manager) Drain() { m.life.Drain() }

// Close drains the manager, stores the activity that waits, and returns when none
// of its goroutines is left. It may be called twice. Reads that are under way
// finish; later ones fail with [ErrClosed].
func (m *Manager) Close() error { return m.life.Close() }

func (m *Manager) shutDown() error {
	m.leaveBus()
	m.memory.Close()
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return storeError("store activity", m.activity.Flush(ctx))
}

// Config returns the settings in force, every default filled in.
func (m *Manager) Config() Config { return m.config }

// InGrace reports whether the store is away, the lease over, and what is remembered
// good for Sync.OutageGrace all the same: for reading. Who is to change something
// should be told [ErrUnavailable] meanwhile.
func (m *Manager) InGrace() bool { return m.memory.Lingers() }

// Now is the time that deadlines are held against, in UTC with microseconds: the
// store's, if it tells one, else that of this node's clock. Jumps are followed slowly.
func (m *Manager) Now() time.Time { return m.clock.Now().UTC().Truncate(time.Microsecond) }

// Policy returns the clocks in force.
func (m *Manager) Policy() Policy { return m.policy }

// DeriveKeys returns a 32-byte key for the named purpose from each of the
// configured Keys: make with the first, accept all.
func (m *Manager) DeriveKeys(purpose string) [][]byte { return m.keys.Derive(purpose) }

func (m *Manager) auditEnds(ctx context.Context, ended []Record) {
	for _, r := range ended {
		m.audit(ctx, "ended", r, r.EndedBy)
	}
}

// audit fills in what every event has.
func (m *Manager) audit(ctx context.Context, action string, r Record, by string) {
	m.config.Audit.Audit(ctx, AuditEvent{
		Time: m.Now(), Action: action, User: r.UserID, Session: r.ID, Platform: r.PlatformID,
		Reason: r.EndReason, By: by, Client: r.Client,
	})
}

// follow keeps the lease for as long as the manager lives.
func (m *Manager) follow() {
	defer m.memory.EndLease()
	interval := cmp.Or(max(0, m.config.Sync.Lease)/4, feedInterval)
	background.Follow(m.life.Background, m.feed, interval, max(interval, feedInterval), m.readFeed, m.memory.Renew, background.Told(m.config.Logger,
		"session: cannot read the store's changes; every request asks the store until it answers", "session: the store answers again"))
}

// readFeed takes in what changed. Only then is the lease renewed, if it is to be,
// counted from before the read was sent.
func (m *Manager) readFeed(ctx context.Context, renew bool) error {
	sent := m.clock.Local()
	feed, err := m.store.Changes(ctx, m.cursor, renew)
	if err != nil {
		m.memory.Linger(m.config.Sync.OutageGrace)
		return err
	}
	if jump := m.clock.Follow(feed.Now, sent); jump != 0 {
		m.config.Logger.Warn("session: the clock has jumped, the store's or, if it tells none, this machine's; it is followed slowly, so that nobody is signed out by it. Set the clocks of these machines by NTP", "by", jump.String())
	}
	if m.cursor == 0 || feed.Gap {
		m.memory.ForgetAll()
		m.watchers.RingAll()
	}
	m.sawEpoch(feed.Epoch)
	m.cursor = feed.Next
	for _, ch := range feed.Changes {
		m.heard(ch)
	}
	return nil
}
