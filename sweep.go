package session

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// EnforceTimeouts ends every session that is past a deadline, in batches, and
// returns how many. A session renewed meanwhile is left alone.
func (m *Manager) EnforceTimeouts(ctx context.Context) (int, error) {
	return m.expire(ctx, "", m.config.Cleanup.BatchSize)
}

// Cleanup does what the background sweep does: it ends the sessions past a
// deadline and removes those whose retention is over, batch sessions to a
// transaction (0: the configured size). It returns how many it ended or removed.
func (m *Manager) Cleanup(ctx context.Context, batch int) (int, error) {
	if batch <= 0 {
		batch = m.config.Cleanup.BatchSize
	}
	expired, err := m.expire(ctx, "", batch)
	if err != nil {
		return expired, err
	}
	purged, err := m.purge(ctx, Purging{EndedBefore: m.Now().Add(-m.config.Cleanup.Retention), Limit: batch})
	return expired + purged, err
}

// CleanupUser removes the user's ended and expired sessions at once, and returns
// how many. Live ones are not touched.
func (m *Manager) CleanupUser(ctx context.Context, user UserID) (int, error) {
	if _, err := m.expire(ctx, user, m.config.Cleanup.BatchSize); err != nil {
		return 0, err
	}
	return m.purge(ctx, Purging{User: user, EndedBefore: m.Now().Add(time.Microsecond), Limit: m.config.Cleanup.BatchSize})
}

// expire computes the cutoffs anew for each batch, so that they never lag behind.
func (m *Manager) expire(ctx context.Context, user UserID, batch int) (int, error) {
	return inBatches(batch, func() (int, error) {
		now := m.Now()
		ended, err := m.store.Expire(ctx, Expiring{User: user, Cutoffs: m.policy.Cutoffs(now), At: now, Limit: batch})
		if err != nil {
			return 0, storeError("expire sessions", err)
		}
		if len(ended) > 0 {
			m.stored(ended...)
		}
		for _, r := range ended {
			m.audit(ctx, "ended", r, r.EndedBy)
		}
		return len(ended), nil
	})
}

func (m *Manager) purge(ctx context.Context, p Purging) (int, error) {
	return inBatches(p.Limit, func() (int, error) {
		n, err := m.store.Purge(ctx, p)
		return n, storeError("remove ended sessions", err)
	})
}

// inBatches repeats do until a batch is not full.
func inBatches(size int, do func() (int, error)) (total int, err error) {
	for n := size; n >= size; {
		if n, err = do(); err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// sweep cleans up at the configured interval, give or take a tenth, so that nodes
// do not sweep in step.
func (m *Manager) sweep() {
	interval := m.config.Cleanup.CleanupInterval
	for {
		select {
		case <-time.After(interval - interval/10 + rand.N(interval/5+1)):
		case <-m.background.Done():
			return
		}
		if n, err := m.Cleanup(m.background, 0); err != nil && m.background.Err() == nil {
			m.config.Logger.Warn("session: clean-up failed; the next one goes on", "error", err)
		} else if n > 0 {
			m.config.Logger.Debug("session: cleaned up", "sessions", n)
		}
	}
}

// flusher gathers activity to be stored.
type flusher struct {
	mu      sync.Mutex
	waiting map[ID]time.Time
	woken   chan struct{}
}

func (f *flusher) add(a Activity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.waiting = map[ID]time.Time{}
	}
	if a.At.After(f.waiting[a.ID]) {
		f.waiting[a.ID] = a.At
	}
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

func (f *flusher) take() (batch []Activity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, at := range f.waiting {
		batch = append(batch, Activity{id, at})
	}
	clear(f.waiting)
	return batch
}

func (m *Manager) flushActivity() {
	for {
		select {
		case <-m.activity.woken:
		case <-m.background.Done():
			return // Close flushes
		}
		select {
		case <-time.After(flushDelay):
		case <-m.background.Done():
			return
		}
		ctx, cancel := context.WithTimeout(m.background, storeTimeout)
		if err := m.flush(ctx); err != nil && m.background.Err() == nil {
			m.config.Logger.Warn("session: cannot store activity; it is tried again", "error", err)
		}
		cancel()
	}
}

// flush stores the activity that waits; what could not be stored waits on.
func (m *Manager) flush(ctx context.Context) error {
	batch := m.activity.take()
	if len(batch) == 0 {
		return nil
	}
	err := m.store.Touch(ctx, batch)
	if err != nil {
		for _, a := range batch {
			m.activity.add(a)
		}
	}
	return storeError("store activity", err)
}

// live sorts out what is past a deadline and has not been swept yet.
func (m *Manager) live(records []Record) []Detail {
	now := m.Now()
	details := make([]Detail, 0, len(records))
	for _, r := range records {
		if m.policy.Check(r.Session, now) == "" {
			details = append(details, Detail{r.Session, r.Client})
		}
	}
	slices.SortFunc(details, func(a, b Detail) int {
		return cmp.Or(b.LastActivity.Compare(a.LastActivity), b.CreatedAt.Compare(a.CreatedAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	return details
}
