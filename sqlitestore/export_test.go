package sqlitestore

import "context"

// WriteOnAReader tries what must not work.
func (s *Store) WriteOnAReader(ctx context.Context) error {
	_, err := read(ctx, s, func(ctx context.Context, c *conn) (int, error) {
		return c.exec(ctx, "DELETE FROM sessions")
	})
	return err
}
