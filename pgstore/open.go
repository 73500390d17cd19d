package pgstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/vedfolnir/session"
)

// Config of a [Store]. The zero value is right for a server.
type Config struct {
	// Conns is how many reads may be under way at once, together with what uses
	// [Store.DB]. The writer and the feed have one connection each beside them.
	// Default: 8.
	Conns int
	// Patience is how long a change waits for rows that another transaction holds, and
	// a read for a free connection, before they fail; and how long a node that stops
	// in the middle of a change holds rows. Default: 5 seconds.
	Patience time.Duration
	// Audit writes a line for every change, in the change's own transaction. An
	// [audit.Sealer] makes them evidence, and removes the old ones.
	Audit bool
	// Committed is told of every commit of sessions: how many changes it holds and
	// how long it took. It must not block.
	Committed func(changes int, took time.Duration)
	// Logger is told what no caller is: that the feed cannot be trimmed. Default:
	// slog.Default().
	Logger *slog.Logger
}

// ErrClosed is returned by every call after [Store.Close].
var ErrClosed = errors.New("pgstore: closed: open a new store")

// Store is a [session.Store] in a PostgreSQL database.
type Store struct {
	pool     *pgxpool.Pool
	db       *sql.DB
	patience time.Duration // for a connection
	writer   *writer
	cursors  *cursors
	node     string // in the table of nodes

	turn  sync.Mutex    // held while the feed is read
	epoch atomic.Uint64 // that it told last; 0: it was not read yet
	feed  link          // its own: it is read, and the lease renewed, however many reads wait

	close sync.Once
}

var _ session.Store = (*Store)(nil)

// Open connects to the database and brings its tables up to date; of several nodes
// that do so at once, one does it and the others wait. The address is a URL,
// postgres://user@host/database, or a list of keywords and values, as libpq takes
// it; the password may come from PGPASSWORD or a file. Of several hosts the primary
// is used.
//
// A database that a newer version has written, or in which other tables have the
// names of ours, is refused and left as it is; so is one behind a pooler that pools by
// transaction.
func Open(ctx context.Context, address string, cfg Config) (*Store, error) {
	cfg.Conns = cmp.Or(max(0, cfg.Conns), 8)
	cfg.Patience = cmp.Or(max(0, cfg.Patience), 5*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	s, err := open(ctx, address, cfg)
	if err != nil {
		return nil, fmt.Errorf("pgstore: open: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, address string, cfg Config) (_ *Store, err error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err // without the password
	}
	config.MaxConns = int32(cfg.Conns)
	config.ConnConfig.ConnectTimeout = cmp.Or(config.ConnConfig.ConnectTimeout, connectTimeout)
	s := &Store{cursors: newCursors(), node: rand.Text(), patience: cfg.Patience}
	config.ConnConfig.ValidateConnect = s.validate
	g := &gate{lost: func() { s.pool.Reset() }}
	config.ConnConfig.Tracer = g
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return g.enter() }
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return setUp(ctx, c, "") }
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	s.db = sql.OpenDB(connector{stdlib.GetPoolConnector(s.pool), cfg.Patience})
	s.db.SetMaxIdleConns(0) // they are the pool's
	defer func() {
		if err != nil {
			err = errors.Join(err, s.db.Close())
			s.pool.Close()
		}
	}()
	if err := s.refusePooler(ctx, config.ConnConfig); err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.db); err != nil {
		return nil, err
	}
	if _, err := s.pool.Exec(ctx, raiseEpoch); err != nil {
		return nil, err
	}
	connect := func(ctx context.Context, settings string) (*pgx.Conn, error) {
		c, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
		if err != nil {
			return nil, err
		}
		if err := setUp(ctx, c, settings); err != nil {
			return nil, errors.Join(err, c.Close(ctx))
		}
		return c, nil
	}
	// The feed is read now and then in any case: it asks, and the others wait for what
	// that tells.
	s.feed.connect = func(ctx context.Context) (*pgx.Conn, error) { return connect(ctx, shortStatements) }
	s.writer = startWriter(func(ctx context.Context) (*pgx.Conn, error) {
		if err := g.enter(); err != nil {
			return nil, err
		}
		return connect(ctx, writerSettings(cfg.Patience))
	}, cfg)
	return s, nil
}

// connector bounds how long the pool may keep somebody waiting.
type connector struct {
	driver.Connector
	wait time.Duration
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	return c.Connector.Connect(ctx)
}

// refusePooler finds out whether a pooler in between pools by transaction: then two
// connections have the same process of the server.
func (s *Store) refusePooler(ctx context.Context, config *pgx.ConnConfig) error {
	const asked = `SELECT pg_backend_pid()`
	var first, second int
	if err := s.pool.QueryRow(ctx, asked, pgx.QueryExecModeSimpleProtocol).Scan(&first); err != nil {
		return err
	}
	other, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return err
	}
	err = other.QueryRow(ctx, asked, pgx.QueryExecModeSimpleProtocol).Scan(&second)
	err = errors.Join(err, other.Close(ctx))
	if err == nil && first == second {
		err = errors.New("a pooler in between pools by transaction, and what is set for a connection would be lost: let it pool by session, or lead past it")
	}
	return err
}

// validate refuses a server that is no primary, so that the next host of the address is
// tried; and one that this node knows to have a successor: it may live, take changes, and
// know nothing of that.
func (s *Store) validate(ctx context.Context, c *pgconn.PgConn) error {
	if err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, c); err != nil {
		return err
	}
	known := s.epoch.Load()
	if known == 0 {
		return nil
	}
	behind := fmt.Sprintf(`SELECT epoch FROM session_meta WHERE epoch < %d`, known)
	for _, statement := range []string{behind, raiseEpoch, behind} { // a restored backup is raised above what was
		results, err := c.Exec(ctx, statement).ReadAll()
		switch {
		case err != nil:
			return err
		case statement == behind && len(results[0].Rows) == 0:
			return nil
		}
	}
	return errSucceeded
}

var errSucceeded = errors.New("the server has a successor, and is asked nothing more: lead its address to that, and end it")

// setUp makes a connection wait for the disk, whatever the default is.
func setUp(ctx context.Context, c *pgx.Conn, more string) error {
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false)
		WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');`+more, pgx.QueryExecModeSimpleProtocol)
	return err
}

// shortStatements are those of the writer and of the feed: each goes by an index,
// whatever the statistics of a young table say, and is too short to be compiled.
const shortStatements = `SET enable_seqscan = off; SET enable_mergejoin = off; SET jit = off`

// writerSettings bound how long rows are waited for, and held.
func writerSettings(patience time.Duration) string {
	return fmt.Sprintf(`SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d; %s`,
		patience.Milliseconds(), patience.Milliseconds(), shortStatements)
}

// DB is for an application's own tables in the same database, with migrations of
// their own: give them a prefix, and leave alone what begins with "session". Its
// connections are those of the store's reads. It is closed by [Store.Close].
func (s *Store) DB() *sql.DB { return s.db }

// closeTimeout bounds the farewell of a node.
const closeTimeout = 2 * time.Second

// Close implements [session.Store].
func (s *Store) Close() (err error) {
	s.close.Do(func() {
		s.writer.close()
		s.turn.Lock()
		s.feed.disconnect()
		s.feed.connect = func(context.Context) (*pgx.Conn, error) { return nil, ErrClosed }
		s.turn.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_, _ = s.pool.Exec(ctx, `DELETE FROM session_nodes WHERE node = $1`, s.node) // it would go by itself in a day
		err = s.db.Close()
		s.pool.Close()
	})
	return err
}

// read has do ask the database.
func read[T any](ctx context.Context, s *Store, do func(context.Context, *pgxpool.Conn) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	waiting, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	conn, err := s.pool.Acquire(waiting)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			err = fmt.Errorf("all %d connections were busy for %v: %w", s.pool.Config().MaxConns, s.patience, err)
		}
		return none, answer(err)
	}
	defer conn.Release()
	result, err := do(ctx, conn)
	if err != nil {
		return none, answer(err)
	}
	return result, nil
}

// Ping returns nil if the primary answers. It waits for no connection that reads use.
func (s *Store) Ping(ctx context.Context) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	err := s.feed.ready(ctx)
	if err == nil {
		err = s.feed.ping(ctx)
	}
	if err != nil {
		s.feed.disconnect()
		return answer(err)
	}
	s.feed.used = time.Now()
	return nil
}
