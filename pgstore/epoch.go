package pgstore

import "context"

// history names whose history the rows are. It is another one after a failover and
// in a restored backup: another server, another timeline of it, or other tables.
const history = `(SELECT system_identifier FROM pg_control_system()) || ':' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
	|| ':' || 'sessions'::regclass::oid`

// raiseEpoch also empties the feed: what its rows say of transactions is another
// server's, and every reader of the new epoch begins anew.
const raiseEpoch = `WITH meta AS (
		UPDATE session_meta SET epoch = greatest(epoch + 1, extract(epoch FROM now())::bigint), history = ` + history + `, trimmed = '1:1:'
		WHERE history <> ` + history + ` RETURNING epoch)
	DELETE FROM session_feed WHERE EXISTS (SELECT FROM meta)`

// noticeLostHistory raises the epoch if the rows are not where they were. Of
// several nodes that notice it at once, one does.
func (s *Store) noticeLostHistory(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, raiseEpoch)
	return err
}
