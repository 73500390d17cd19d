package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vedfolnir/session"
)

var _ session.Pooler = (*Store)(nil)

// PoolStatus implements [session.Pooler]. The writer's connection is not among them.
func (s *Store) PoolStatus() session.PoolStatus {
	p := s.pool.Stat()
	return session.PoolStatus{CheckedOut: int(p.AcquiredConns()), PoolSize: int(p.MaxConns()), Idle: int(p.IdleConns())}
}

// OptimizePool implements [session.Pooler].
func (s *Store) OptimizePool(ctx context.Context) error {
	_, err := read(ctx, s, func(ctx context.Context, p *pgxpool.Conn) (none struct{}, err error) {
		_, err = p.Exec(ctx, `ANALYZE sessions, session_users, session_feed`)
		return none, err
	})
	s.pool.Reset()
	return err
}
