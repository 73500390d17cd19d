package session

import (
	"context"
	"time"

	"github.com/vedfolnir/session/internal/background"
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
	return background.InBatches(batch, func() (int, error) {
		now := m.Now()
		ended, err := m.store.Expire(ctx, Expiring{User: user, Cutoffs: m.policy.Cutoffs(now), At: now, Limit: batch})
		if err != nil {
			return 0, storeError("expire sessions", err)
		}
		if len(ended) > 0 {
			m.stored(ended...)
		}
		m.auditEnds(ctx, ended)
		return len(ended), nil
	})
}

func (m *Manager) purge(ctx context.Context, p Purging) (int, error) {
	n, err := background.InBatches(p.Limit, func() (int, error) { return m.store.Purge(ctx, p) })
	return n, storeError("remove ended sessions", err)
}

// sweep cleans up in the background.
func (m *Manager) sweep() {
	background.Every(m.life.Background, m.config.Cleanup.CleanupInterval, func() {
		if n, err := m.Cleanup(m.life.Background, 0); err != nil && m.life.Background.Err() == nil {
			m.config.Logger.Warn("session: clean-up failed; the next one goes on", "error", err)
		} else if n > 0 {
			m.config.Logger.Debug("session: cleaned up", "sessions", n)
		}
	})
}

// flush stores activity in the background.
func (m *Manager) flush() {
	m.activity.Run(m.life.Background, flushDelay, storeTimeout, background.Told(m.config.Logger, "session: cannot store activity; it is tried again", ""))
}
