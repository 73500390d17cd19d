package directory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/background"
)

const (
	// gatherFor is how long uses of platforms are gathered before they are stored.
	gatherFor = 500 * time.Millisecond
	// storePatience is how long it may take to store them.
	storePatience = 5 * time.Second
)

// use of a platform.
type use struct {
	platform int64
	at       time.Time
}

// PlatformUsed notes when a platform was last used. It is stored a little later,
// at the latest by Close; a crash may lose the last second of it.
func (d *Directory) PlatformUsed(_ session.UserID, platform session.PlatformID, at time.Time) {
	if id, err := rowID(string(platform)); err == nil {
		d.used.Add(id, at)
	}
}

// keepUsed starts to store what PlatformUsed notes, until Close.
func (d *Directory) keepUsed() {
	d.used = background.Gather(d.storeUsed, func(platform int64, at time.Time) use { return use{platform, at} })
	d.life = background.NewLife(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), storePatience)
		defer cancel()
		return d.used.Flush(ctx)
	})
	d.life.Go(func() {
		d.used.Run(d.life.Background, gatherFor, storePatience, func(err error) {
			d.config.Logger.Warn("directory: cannot store when platforms were used; it is tried again", "error", err)
		})
	})
}

func (d *Directory) storeUsed(ctx context.Context, batch []use) error {
	slices.SortFunc(batch, func(a, b use) int { return cmp.Compare(a.platform, b.platform) }) // so that nodes do not wait for each other in a circle
	err := d.inTransaction(ctx, func(tx *transaction) error {
		for _, u := range batch {
			_, err := tx.ExecContext(ctx, `UPDATE directory_platforms SET last_used = ?1 WHERE id = ?2 AND last_used < ?1`, u.at.UnixMicro(), u.platform)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("directory: note platforms' use: %w", err)
	}
	return nil
}
