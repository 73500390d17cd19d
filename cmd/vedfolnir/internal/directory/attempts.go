package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Bucket holds so many attempts: all of them may be used at once, and each comes
// back after its part of an hour. (It is a token bucket, kept as the generic cell
// rate algorithm does: by the one instant at which it is full again.)
type Bucket struct {
	Name    string // is stored as it is
	PerHour int    // 1 or more
}

func (b Bucket) interval() time.Duration { return time.Hour / time.Duration(b.PerHour) }

// Attempt takes one out of each bucket, or out of none if one is empty: then wait
// says after what time to try again. All servers on the database share the buckets.
func (d *Directory) Attempt(ctx context.Context, now time.Time, buckets ...Bucket) (wait time.Duration, err error) {
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_attempts"); err != nil {
			return err
		}
		full := make([]time.Time, len(buckets))
		for i, b := range buckets {
			at, err := fullAt(ctx, tx, b, now)
			if err != nil {
				return err
			}
			full[i] = at.Add(b.interval())
			wait = max(wait, full[i].Sub(now.Add(time.Hour)))
		}
		if wait > 0 {
			return nil
		}
		for i, b := range buckets {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO directory_attempts (bucket, full_at) VALUES (?, ?)
				ON CONFLICT (bucket) DO UPDATE SET full_at = excluded.full_at`, b.Name, full[i].UnixMicro())
			if err != nil {
				return err
			}
		}
		// Those that are being forgiven are left alone: whoever forgives holds one bucket and
		// may be about to ask for another that is held here.
		_, err := tx.ExecContext(ctx, `
			DELETE FROM directory_attempts WHERE bucket IN (SELECT bucket FROM directory_attempts WHERE full_at <= ? LIMIT 16`+tx.dialect.skippingLocked()+`)`, now.UnixMicro())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("directory: count attempt: %w", err)
	}
	return wait, nil
}

// fullAt is between now and the hour that an empty bucket takes: a clock that was
// wrong, or a limit that was another, empties no bucket for longer.
func fullAt(ctx context.Context, tx *transaction, b Bucket, now time.Time) (time.Time, error) {
	var micros int64
	err := tx.QueryRowContext(ctx, `SELECT full_at FROM directory_attempts WHERE bucket = ?`, b.Name).Scan(&micros)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, err
	}
	at := time.UnixMicro(micros)
	if at.Before(now) {
		return now, nil
	}
	if empty := now.Add(time.Hour); at.After(empty) {
		return empty, nil
	}
	return at, nil
}

// Forgive puts back what Attempt took: it was no failure of who made it.
func (d *Directory) Forgive(ctx context.Context, buckets ...Bucket) error {
	err := d.inTransaction(ctx, func(tx *transaction) error {
		for _, b := range buckets {
			_, err := tx.ExecContext(ctx, `UPDATE directory_attempts SET full_at = full_at - ? WHERE bucket = ?`, b.interval().Microseconds(), b.Name)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("directory: forgive attempt: %w", err)
	}
	return nil
}
