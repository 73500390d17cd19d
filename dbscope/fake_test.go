package dbscope_test

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeDB is a database of one list of words, behind a real database/sql driver:
// "add WORD" is seen by nobody until its transaction commits.
type fakeDB struct {
	failBegin, failCommit, failRollback error
	onCommit                            func() // runs before a commit is done
	onBegin                             func(context.Context) error

	mu     sync.Mutex
	events []string
	kept   []string
}

var errDisk = errors.New("disk full")

// open returns a pool over f, closed at the end of the test.
func (f *fakeDB) open(t testing.TB) *sql.DB {
	t.Helper()
	db := sql.OpenDB(f)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (f *fakeDB) Connect(context.Context) (driver.Conn, error) { return &fakeConn{db: f}, nil }
func (f *fakeDB) Driver() driver.Driver                        { return f }
func (f *fakeDB) Open(string) (driver.Conn, error)             { return &fakeConn{db: f}, nil }

func (f *fakeDB) record(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

// history is what happened to transactions, in order.
func (f *fakeDB) history() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.events, " ")
}

func (f *fakeDB) words() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.kept, " ")
}

func (f *fakeDB) count(event string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events) - len(slices.DeleteFunc(slices.Clone(f.events), func(e string) bool { return e == event }))
}

// fakeConn, like a real one, has one transaction at most and cannot be used by two
// goroutines at once.
type fakeConn struct {
	db   *fakeDB
	busy sync.Mutex
	tx   *fakeTx
}

// fakeTx, like that of pgx, ends under the context that it was begun with.
type fakeTx struct {
	ctx     context.Context
	conn    *fakeConn
	pending []string
}

func (c *fakeConn) use() func() {
	if !c.busy.TryLock() {
		panic("a connection is used by two goroutines at once")
	}
	return c.busy.Unlock
}

func (c *fakeConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	defer c.use()()
	if c.tx != nil {
		return nil, errors.New("a transaction is open already")
	}
	if c.db.onBegin != nil {
		if err := c.db.onBegin(ctx); err != nil {
			return nil, err
		}
	}
	if c.db.failBegin != nil {
		return nil, c.db.failBegin
	}
	c.db.record("begin")
	c.tx = &fakeTx{ctx: ctx, conn: c}
	return c.tx, nil
}

func (c *fakeConn) ExecContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	defer c.use()()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	word, ok := strings.CutPrefix(query, "add ")
	switch {
	case !ok:
		return nil, fmt.Errorf("syntax error at %q", query)
	case c.tx != nil:
		c.tx.pending = append(c.tx.pending, word)
	default:
		c.db.keep(word)
	}
	return driver.RowsAffected(1), nil
}

func (f *fakeDB) keep(words ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, words...)
}

func (t *fakeTx) Commit() error {
	defer t.conn.use()()
	if t.conn.db.onCommit != nil {
		t.conn.db.onCommit()
	}
	t.conn.tx = nil
	if err := cmp.Or(t.conn.db.failCommit, t.ctx.Err()); err != nil {
		t.conn.db.record("commit-failed")
		return err
	}
	t.conn.db.keep(t.pending...)
	t.conn.db.record("commit")
	return nil
}

func (t *fakeTx) Rollback() error {
	defer t.conn.use()()
	t.conn.tx = nil
	t.conn.db.record("rollback")
	return t.conn.db.failRollback
}

func (c *fakeConn) ResetSession(context.Context) error  { return nil }
func (c *fakeConn) IsValid() bool                       { return true }
func (c *fakeConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }
func (c *fakeConn) Close() error                        { return nil }
func (c *fakeConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}
