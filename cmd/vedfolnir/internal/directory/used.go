package directory

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vedfolnir/session"
)

// gatherFor is how long uses of platforms are gathered before they are stored.
const gatherFor = 500 * time.Millisecond

// PlatformUsed notes when a platform was last used. It is stored a little later,
// at the latest by Close; a crash may lose the last second of it.
func (d *Directory) PlatformUsed(_ session.UserID, platform session.PlatformID, at time.Time) {
	if id, err := rowID(string(platform)); err == nil {
		d.used.add(id, at)
	}
}

func (d *Directory) storeUsed(ctx context.Context, batch map[int64]time.Time) error {
	return d.inTransaction(ctx, func(tx *transaction) error {
		for _, id := range slices.Sorted(maps.Keys(batch)) { // so that nodes do not wait for each other in a circle
			_, err := tx.ExecContext(ctx, `UPDATE directory_platforms SET last_used = ?1 WHERE id = ?2 AND last_used < ?1`, batch[id].UnixMicro(), id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// notes gathers uses, so that telling of one never waits for the database.
type notes struct {
	store func(context.Context, map[int64]time.Time) error
	log   *slog.Logger

	mu      sync.Mutex
	waiting map[int64]time.Time
	woken   chan struct{}

	background context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup
	once       sync.Once
	err        error
}

func newNotes(store func(context.Context, map[int64]time.Time) error, log *slog.Logger) *notes {
	n := &notes{store: store, log: log, waiting: map[int64]time.Time{}, woken: make(chan struct{}, 1)}
	n.background, n.stop = context.WithCancel(context.Background())
	n.running.Go(n.run)
	return n
}

func (n *notes) add(platform int64, at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.After(n.waiting[platform]) {
		n.waiting[platform] = at
	}
	select {
	case n.woken <- struct{}{}:
	default:
	}
}

func (n *notes) run() {
	for {
		select {
		case <-n.woken:
		case <-n.background.Done():
			return // close stores the rest
		}
		select {
		case <-time.After(gatherFor):
		case <-n.background.Done():
			return
		}
		if err := n.flush(); err != nil {
			n.log.Warn("directory: cannot store when platforms were used; it is tried again", "error", err)
		}
	}
}

// flush stores what waits; what could not be stored waits on.
func (n *notes) flush() error {
	n.mu.Lock()
	batch := n.waiting
	n.waiting = map[int64]time.Time{}
	n.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := n.store(ctx, batch)
	if err != nil {
		for platform, at := range batch {
			n.add(platform, at)
		}
		return fmt.Errorf("directory: note platforms' use: %w", err)
	}
	return nil
}

func (n *notes) close() error {
	n.once.Do(func() {
		n.stop()
		n.running.Wait()
		n.err = n.flush()
	})
	return n.err
}
