package sqlitestore

import (
	"context"

	"github.com/vedfolnir/session"
)

var _ session.Pooler = (*Store)(nil)

// PoolStatus implements [session.Pooler]. It counts readers.
func (s *Store) PoolStatus() session.PoolStatus {
	idle, size := len(s.readers.places), cap(s.readers.places)
	return session.PoolStatus{CheckedOut: size - idle, PoolSize: size, Idle: idle}
}

// OptimizePool implements [session.Pooler].
func (s *Store) OptimizePool(ctx context.Context) error {
	_, err := write(ctx, s, func(t *tx) (none struct{}, err error) {
		return none, t.exec("PRAGMA optimize")
	})
	if err != nil {
		return err
	}
	return s.readers.letGo()
}
