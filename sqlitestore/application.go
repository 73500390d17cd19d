package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// DB is for an application's own tables in the same file, with migrations of their
// own: give them a prefix, and leave alone what begins with "session". Its
// transactions begin as writers at once (BEGIN IMMEDIATE), except for read-only
// ones, and the store's changes wait until they end: keep them short, and ask the
// store for none within one. It is closed by [Store.Close].
func (s *Store) DB() *sql.DB { return s.db }

// turn is held by whoever writes to the file within this process. SQLite has its
// waiters look again in growing intervals, up to a tenth of a second, and a writer
// that never pauses would keep them out for seconds; here they stand in line.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) release() { <-t }

// inTurn makes the connections of an application take turns with the writer.
type inTurn struct {
	driver.Connector
	turn turn
}

func (i inTurn) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := i.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	c, ok := raw.(completeConn)
	if !ok {
		raw.Close()
		return nil, fmt.Errorf("sqlitestore: the driver's %T lacks methods", raw)
	}
	return &applicationConn{completeConn: c, turn: i.turn}, nil
}

// completeConn is all that database/sql looks for.
type completeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// applicationConn takes its turn for transactions and for statements outside of
// them. Prepared statements outside of transactions have SQLite's own wait.
type applicationConn struct {
	completeConn
	turn  turn
	holds bool
}

// Unwrap lets the driver's own functions find its connection.
func (c *applicationConn) Unwrap() driver.Conn { return c.completeConn }

func (c *applicationConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.ReadOnly {
		return c.completeConn.BeginTx(ctx, opts)
	}
	if err := c.turn.take(ctx); err != nil {
		return nil, err
	}
	tx, err := c.completeConn.BeginTx(ctx, opts)
	if err != nil {
		c.turn.release()
		return nil, err
	}
	c.holds = true
	return applicationTx{tx, c}, nil
}

func (c *applicationConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !c.holds {
		if err := c.turn.take(ctx); err != nil {
			return nil, err
		}
		defer c.turn.release()
	}
	return c.completeConn.ExecContext(ctx, query, args)
}

func (c *applicationConn) Close() error {
	defer c.done()
	return c.completeConn.Close()
}

func (c *applicationConn) done() {
	if c.holds {
		c.holds = false
		c.turn.release()
	}
}

type applicationTx struct {
	driver.Tx
	conn *applicationConn
}

func (t applicationTx) Commit() error {
	defer t.conn.done()
	return t.Tx.Commit()
}

func (t applicationTx) Rollback() error {
	defer t.conn.done()
	return t.Tx.Rollback()
}
