package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedfolnir/session/audit"
)

var _ audit.Store = (*Store)(nil)

const (
	checkpointColumns = `number, at, oldest, first, before, last, link, key, signature`
	newestCheckpoint  = `SELECT ` + checkpointColumns + ` FROM session_audit_checkpoints ORDER BY number DESC LIMIT 1`
	auditState        = `SELECT coalesce(holder, ''), coalesce(until, 0), (SELECT coalesce(max(seq), 0) FROM session_audit WHERE seq IS NOT NULL)
	FROM (SELECT 1) one LEFT JOIN session_audit_lease ON true`
)

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// AuditState implements [audit.Store].
func (s *Store) AuditState(ctx context.Context) (state audit.State, err error) {
	if err := s.number(ctx); err != nil {
		return state, err
	}
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (state audit.State, err error) {
		// The checkpoint first: what is read later may only be newer.
		if state.Newest, err = newest(ctx, p); err != nil {
			return state, err
		}
		var until int64
		err = p.QueryRow(ctx, auditState).Scan(&state.Holder, &until, &state.End)
		state.Until = moment(&until)
		return state, err
	})
}

func newest(ctx context.Context, q querier) (audit.Checkpoint, error) {
	c, err := scanCheckpoint(q.QueryRow(ctx, newestCheckpoint))
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Checkpoint{}, nil
	}
	return c, err
}

func scanCheckpoint(row pgx.Row, more ...any) (c audit.Checkpoint, err error) {
	var at int64
	var before, link []byte
	err = row.Scan(append([]any{&c.Number, &at, &c.Oldest, &c.From, &before, &c.Last, &link, &c.Key, &c.Sign}, more...)...)
	c.At = moment(&at)
	copy(c.Before[:], before)
	copy(c.Link[:], link)
	return c, err
}

const (
	takeLease = `INSERT INTO session_audit_lease AS l VALUES (1, $1, $3) ON CONFLICT (one) DO UPDATE SET holder = $1, until = $3
	WHERE l.holder = $1 OR l.until <= $2 OR l.until > $4`
	sealAudit = `INSERT INTO session_audit_checkpoints (` + checkpointColumns + `, links) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`
)

// SealAudit implements [audit.Store]. Whoever holds the row of the lease is alone.
func (s *Store) SealAudit(ctx context.Context, b audit.Sealing) error {
	links := make([]byte, 0, len(b.Links)*len(audit.Digest{}))
	for _, l := range b.Links {
		links = append(links, l[:]...)
	}
	_, err := read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (none struct{}, err error) {
		return none, pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			ours, err := tx.Exec(ctx, takeLease, b.Holder, micros(b.Now), micros(b.Until), micros(b.Latest))
			if err != nil {
				return err
			}
			last, err := newest(ctx, tx)
			if err != nil {
				return err
			}
			if ours.RowsAffected() == 0 || last.Number != b.After {
				return refuse(audit.ErrNotSealer)
			}
			_, err = tx.Exec(ctx, sealAudit, int64(b.Number), micros(b.At), int64(b.Oldest), int64(b.From), b.Before[:],
				int64(b.Last), b.Link[:], b.Key, b.Sign, links)
			return err
		})
	})
	return err
}

const checkpointsAfter = `SELECT ` + checkpointColumns + `, links FROM session_audit_checkpoints
	WHERE number > $1 AND (first >= $2 OR last >= $2) ORDER BY number LIMIT $3`

// CheckpointsAfter implements [audit.Store].
func (s *Store) CheckpointsAfter(ctx context.Context, number, oldest uint64, limit int) ([]audit.Batch, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) ([]audit.Batch, error) {
		rows, err := p.Query(ctx, checkpointsAfter, int64(number), int64(oldest), limit)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b audit.Batch, err error) {
			var links []byte
			if b.Checkpoint, err = scanCheckpoint(row, &links); err != nil {
				return b, err
			}
			b.Links = make([]audit.Digest, len(links)/len(audit.Digest{}))
			for i := range b.Links {
				copy(b.Links[i][:], links[i*len(audit.Digest{}):])
			}
			return b, nil
		})
	})
}

const (
	removeAudit = `DELETE FROM session_audit WHERE seq = ANY(ARRAY(SELECT seq FROM session_audit
	WHERE seq < $1 AND seq < (SELECT max(seq) FROM session_audit WHERE seq IS NOT NULL) ORDER BY seq LIMIT $2))`
	// The newest checkpoint stays: numbers go on from it.
	removeCheckpoints = `DELETE FROM session_audit_checkpoints WHERE first < $1 AND last < $1
	AND number < (SELECT max(number) FROM session_audit_checkpoints)`
)

// RemoveAudit implements [audit.Store].
func (s *Store) RemoveAudit(ctx context.Context, oldest uint64, limit int) (int, error) {
	return read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (n int, err error) {
		err = pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			done, err := tx.Exec(ctx, removeAudit, int64(oldest), limit)
			n = int(done.RowsAffected())
			if err == nil && n < limit {
				_, err = tx.Exec(ctx, removeCheckpoints, int64(oldest))
			}
			return err
		})
		return n, err
	})
}
