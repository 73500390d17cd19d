package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
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
	keys      keyring
	marks     [][]byte // keys of fingerprints, the first in use

	cache    cache
	sessions reads[ID, Record]
	people   reads[UserID, *profile]
	lease    lease
	epoch    atomic.Uint64
	feed     follower
	activity flusher
	watchers watchers

	background context.Context // ends with Close
	stop       context.CancelFunc
	following  context.Context // ends with Drain
	drain      context.CancelFunc
	goroutines sync.WaitGroup
	leaveBus   func()
	tellBus    func()
	close      sync.Once
	closeErr   error
}

// New returns a manager that works, or an error that joins a [ConfigError] for
// every mistake. A nil directory trusts every user id and knows no platforms. The
// store stays the caller's: close it after the manager.
func New(store Store, directory Directory, config Config) (*Manager, error) {
	config, err := config.complete()
	if store == nil {
		err = errors.Join(err, &ConfigError{"store", "is nil: give one, memstore.New() for a start"})
	}
	if err != nil {
		return nil, fmt.Errorf("session: configuration:\n%w", err)
	}
	keys, err := newKeyring(config.Security.Keys)
	if err != nil {
		return nil, err
	}
	if directory == nil {
		directory = trusting{}
	}
	if config.Security.NoAuditLogging {
		config.Audit = noAudit{}
	}
	m := &Manager{
		config: config, policy: config.policy(), store: store, directory: directory,
		keys: keys, marks: keys.derive("fingerprint"), tellBus: func() {}, leaveBus: func() {},
	}
	m.background, m.stop = context.WithCancel(context.Background())
	m.following, m.drain = context.WithCancel(m.background)
	m.feed.woken = make(chan struct{}, 1)
	m.activity.woken = make(chan struct{}, 1)
	if config.Bus != nil {
		m.tellBus, m.leaveBus = config.Bus.Join(m.feed.wake)
	}
	m.goroutines.Go(m.follow)
	m.goroutines.Go(m.flushActivity)
	if !config.Features.NoBackgroundCleanup {
		m.goroutines.Go(m.sweep)
	}
	return m, nil
}

// Drain ends every subscription with [ErrClosed] and refuses new ones; everything
// else goes on. A server calls it first when it shuts down, so that its streams do
// not keep it from finishing the rest.
func (m *Manager) Drain() { m.drain() }

// Close drains the manager, stores the activity that waits, and returns when none
// of its goroutines is left. It may be called twice. Reads that are under way
// finish; later ones fail with [ErrClosed].
func (m *Manager) Close() error {
	m.close.Do(func() {
		m.leaveBus()
		m.stop()
		m.goroutines.Wait()
		m.sessions.close()
		m.people.close()
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		m.closeErr = m.flush(ctx)
	})
	return m.closeErr
}

// Config returns the settings in force, every default filled in.
func (m *Manager) Config() Config { return m.config }

// Now is the manager's clock, in UTC with microseconds.
func (m *Manager) Now() time.Time { return m.config.Now().UTC().Truncate(time.Microsecond) }

// Policy returns the clocks in force.
func (m *Manager) Policy() Policy { return m.policy }

// DeriveKeys returns a 32-byte key for the named purpose from each of the
// configured Keys: make with the first, accept all.
func (m *Manager) DeriveKeys(purpose string) [][]byte { return m.keys.derive(purpose) }

// audit fills in what every event has.
func (m *Manager) audit(ctx context.Context, action string, r Record, by string) {
	m.config.Audit.Audit(ctx, AuditEvent{
		Time: m.Now(), Action: action, User: r.UserID, Session: r.ID, Platform: r.PlatformID,
		Reason: r.EndReason, By: by, Client: r.Client,
	})
}

// lease says until when this node may answer from what it remembers. It ends by
// the monotonic or by the wall clock, whichever has gone further: the one stands
// still while a machine sleeps, the other may be set back.
type lease struct{ until atomic.Pointer[time.Time] }

func (l *lease) holds(now time.Time) bool {
	until := l.until.Load()
	return until != nil && now.Before(*until) && now.Round(0).Before(until.Round(0))
}

func (l *lease) renew(until time.Time) { l.until.Store(&until) }
func (l *lease) end()                  { l.until.Store(nil) }

// follower reads the store's feed of changes.
type follower struct {
	woken  chan struct{}
	cursor uint64
	failed bool
}

func (f *follower) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// follow keeps the lease for as long as the manager lives.
func (m *Manager) follow() {
	defer m.lease.end()
	interval := feedInterval
	if m.config.Sync.Lease > 0 {
		interval = m.config.Sync.Lease / 4
	}
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		m.readFeed(max(interval, feedInterval))
		timer.Reset(interval)
		select {
		case <-m.feed.woken:
		case <-timer.C:
		case <-m.background.Done():
			return
		}
	}
}

// readFeed takes in what changed, and only then renews the lease, counted from
// before the read was sent.
func (m *Manager) readFeed(patience time.Duration) {
	ctx, cancel := context.WithTimeout(m.background, patience)
	defer cancel()
	start := time.Now()
	feed, err := m.store.Changes(ctx, m.feed.cursor)
	if err != nil {
		if m.background.Err() == nil && !m.feed.failed {
			m.feed.failed = true
			m.config.Logger.Warn("session: cannot read the store's changes; every request asks the store until it answers", "error", err)
		}
		return
	}
	if m.feed.failed {
		m.feed.failed = false
		m.config.Logger.Info("session: the store answers again")
	}
	if first := m.feed.cursor == 0; first || feed.Gap {
		m.forgetAll()
		m.watchers.wakeAll()
	}
	m.sawEpoch(feed.Epoch)
	m.feed.cursor = feed.Next
	for _, ch := range feed.Changes {
		m.heard(ch)
	}
	if m.config.Sync.Lease > 0 {
		m.lease.renew(start.Add(m.config.Sync.Lease))
	}
}

// heard takes in one change: first no read that is in flight may still be kept,
// then the snapshots go.
func (m *Manager) heard(ch Change) {
	m.spoilSessions(ch.User)
	if ch.Directory {
		m.people.spoil(func(user UserID) bool { return user == ch.User })
	}
	m.cache.heard(ch)
	m.watchers.wake(ch.User)
}

// stored takes in changes that this node has made.
func (m *Manager) stored(records ...Record) {
	for _, r := range records {
		m.spoilSessions(r.UserID)
		m.cache.changed(r)
		m.watchers.wake(r.UserID)
	}
	m.tellBus()
}

// spoilSessions spoils the reads of all of the user's sessions: with each the
// user's rev is read, which a change of another one may raise. (Handles of the
// same shard are another user's now and then, who reads again.)
func (m *Manager) spoilSessions(user UserID) {
	shard := shardOf(user)
	m.sessions.spoil(func(id ID) bool { return [2]byte(id[:2]) == shard })
}

// unsure is called after a change whose outcome is not known.
func (m *Manager) unsure(id ID) {
	m.sessions.spoil(func(other ID) bool { return other == id })
	m.cache.forget(id)
	m.feed.wake()
}

func (m *Manager) forgetAll() {
	m.sessions.spoil(func(ID) bool { return true })
	m.people.spoil(func(UserID) bool { return true })
	m.cache.forgetAll()
}

// sawEpoch drops everything when history was lost.
func (m *Manager) sawEpoch(epoch uint64) {
	for {
		have := m.epoch.Load()
		if epoch <= have {
			return
		}
		if m.epoch.CompareAndSwap(have, epoch) {
			if have != 0 {
				m.forgetAll()
				m.watchers.wakeAll()
			}
			return
		}
	}
}
