package pgstore

// history names whose history the rows are. It is another one after a failover and
// in a restored backup: another server, another timeline of it, or other tables. A
// copy of the server's files that is put back has the same; but that takes a start of
// the server, and so every start counts as one that may have lost something.
const (
	history = `(SELECT system_identifier FROM pg_control_system()) || ':' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
	|| ':' || 'sessions'::regclass::oid`
	started = `extract(epoch FROM pg_postmaster_start_time())`
)

// raiseEpoch raises it if the rows are not where they were; of several nodes that
// notice it at once, one does. It also empties the feed: what its rows say of
// transactions is another server's, and every reader of the new epoch begins anew.
const raiseEpoch = `WITH meta AS (
		UPDATE session_meta SET epoch = greatest(epoch + 1, extract(epoch FROM now())::bigint), history = ` + history + `, started = ` + started + `, trimmed = '1:1:'
		WHERE history <> ` + history + ` OR started IS DISTINCT FROM ` + started + ` RETURNING epoch)
	DELETE FROM session_feed WHERE EXISTS (SELECT FROM meta)`
