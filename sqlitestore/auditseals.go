package sqlitestore

import (
	"context"

	"github.com/vedfolnir/session/audit"
)

var _ audit.Store = (*Store)(nil)

const (
	checkpointColumns = `number, at, oldest, first, before, last, link, key, signature`
	newestCheckpoint  = `SELECT ` + checkpointColumns + ` FROM session_audit_checkpoints ORDER BY number DESC LIMIT 1`
	auditState        = `SELECT (SELECT max(seq) FROM session_audit), holder, until FROM (SELECT 1) LEFT JOIN session_audit_lease`
)

// AuditState implements [audit.Store].
func (s *Store) AuditState(ctx context.Context) (audit.State, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (state audit.State, err error) {
		// The checkpoint first: what is read later may only be newer.
		if state.Newest, err = newest(ctx, c); err != nil {
			return state, err
		}
		r, err := c.one(ctx, auditState)
		if err != nil || r == nil {
			return state, err
		}
		state.End, state.Holder, state.Until = r.counter(0), r.text(1), r.time(2)
		return state, nil
	})
}

func newest(ctx context.Context, c *conn) (audit.Checkpoint, error) {
	r, err := c.one(ctx, newestCheckpoint)
	if err != nil || r == nil {
		return audit.Checkpoint{}, err
	}
	return scanCheckpoint(r), nil
}

func scanCheckpoint(r row) audit.Checkpoint {
	c := audit.Checkpoint{
		Number: r.counter(0), At: r.time(1), Oldest: r.counter(2), From: r.counter(3), Last: r.counter(5),
		Key: r.text(7), Sign: r.blob(8),
	}
	copy(c.Before[:], r.blob(4))
	copy(c.Link[:], r.blob(6))
	return c
}

const (
	takeLease = `INSERT INTO session_audit_lease VALUES (1, ?1, ?3) ON CONFLICT DO UPDATE SET holder = ?1, until = ?3
	WHERE holder = ?1 OR until <= ?2 OR until > ?4 RETURNING 1`
	sealAudit = `INSERT INTO session_audit_checkpoints (` + checkpointColumns + `, links) VALUES (?,?,?,?,?,?,?,?,?,?)`
)

// SealAudit implements [audit.Store].
func (s *Store) SealAudit(ctx context.Context, b audit.Sealing) error {
	links := make([]byte, 0, len(b.Links)*len(audit.Digest{}))
	for _, l := range b.Links {
		links = append(links, l[:]...)
	}
	_, err := write(ctx, s, func(t *tx) (none struct{}, err error) {
		last, err := newest(t.ctx, t.conn)
		if err != nil {
			return none, err
		}
		if last.Number != b.After {
			return none, refuse(audit.ErrNotSealer)
		}
		ours, err := t.one(takeLease, b.Holder, micros(b.Now), micros(b.Until), micros(b.Latest))
		if err == nil && ours == nil {
			err = refuse(audit.ErrNotSealer)
		}
		if err != nil {
			return none, err
		}
		return none, t.exec(sealAudit, int64(b.Number), micros(b.At), int64(b.Oldest), int64(b.From), b.Before[:],
			int64(b.Last), b.Link[:], b.Key, b.Sign, links)
	})
	return err
}

const checkpointsAfter = `SELECT ` + checkpointColumns + `, links FROM session_audit_checkpoints
	WHERE number > ? AND (first >= ?2 OR last >= ?2) ORDER BY number LIMIT ?3`

// CheckpointsAfter implements [audit.Store].
func (s *Store) CheckpointsAfter(ctx context.Context, number, oldest uint64, limit int) ([]audit.Batch, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (batches []audit.Batch, err error) {
		err = c.each(ctx, func(r row) {
			b := audit.Batch{Checkpoint: scanCheckpoint(r)}
			links := r.blob(9)
			b.Links = make([]audit.Digest, len(links)/len(audit.Digest{}))
			for i := range b.Links {
				copy(b.Links[i][:], links[i*len(audit.Digest{}):])
			}
			batches = append(batches, b)
		}, checkpointsAfter, int64(number), int64(oldest), int64(limit))
		return batches, err
	})
}

const (
	removeAudit = `DELETE FROM session_audit WHERE seq IN (SELECT seq FROM session_audit
	WHERE seq < ?1 AND seq < (SELECT max(seq) FROM session_audit) ORDER BY seq LIMIT ?2)`
	// The newest checkpoint stays: numbers go on from it.
	removeCheckpoints = `DELETE FROM session_audit_checkpoints WHERE first < ?1 AND last < ?1
	AND number < (SELECT max(number) FROM session_audit_checkpoints)`
)

// RemoveAudit implements [audit.Store].
func (s *Store) RemoveAudit(ctx context.Context, oldest uint64, limit int) (int, error) {
	return write(ctx, s, func(t *tx) (int, error) {
		n, err := t.conn.exec(t.ctx, removeAudit, int64(oldest), int64(limit))
		if err == nil && n < limit {
			err = t.exec(removeCheckpoints, int64(oldest))
		}
		return n, err
	})
}
