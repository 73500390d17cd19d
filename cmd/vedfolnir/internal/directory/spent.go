package directory

import (
	"context"
	"errors"
	"time"
)

// ErrSpent: it is good for one time, and has been used.
var ErrSpent = errors.New("it has been used already")

// Once is what is good for one time, such as the answer to a challenge.
type Once struct {
	Thing []byte
	Until time.Time // it is good no more anyhow
}

// spend notes that it is used now, or returns [ErrSpent]. What is good no more is
// forgotten in passing.
func (tx *transaction) spend(ctx context.Context, now time.Time, o Once) error {
	if err := tx.forget(ctx, now, "directory_spent", "thing"); err != nil {
		return err
	}
	return tx.change(ctx, ErrSpent, `INSERT INTO directory_spent (thing, good_until) VALUES (?, ?) ON CONFLICT DO NOTHING`, o.Thing, o.Until.UnixMicro())
}
