package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/internal/gather"
)

// batchLimit bounds how long one commit takes, and so how long others wait for it.
const batchLimit = 256

// writer is the only goroutine that changes sessions. While it commits, changes
// gather; the next commit takes them all.
type writer struct {
	conn     *conn
	turn     turn
	patience time.Duration // for its turn
	audited  bool
	told     func(changes int, took time.Duration)
	queue    *gather.Queue[*change]
}

// change waits for its commit. do may be called twice, if the first transaction
// is rolled back.
type change struct {
	do      func(*tx) error
	request string // its id
	err     error
	done    chan struct{}
}

// refusal is an answer of the state: the change did nothing, and the others of
// its batch go on.
type refusal struct{ answer error }

func (r refusal) Error() string { return r.answer.Error() }

func refuse(answer error) error { return refusal{answer} }

// tx is the transaction of one batch.
type tx struct {
	conn *conn
	ctx  context.Context // never done: a batch is not its callers'
	feed []session.Change

	audited bool
	request string // of the change under way
	lines   []audit.Line
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.conn.exec(t.ctx, query, args...)
	return err
}

func (t *tx) one(query string, args ...any) (row, error) { return t.conn.one(t.ctx, query, args...) }

func (t *tx) each(f func(row), query string, args ...any) error {
	return t.conn.each(t.ctx, f, query, args...)
}

func (t *tx) user(id session.UserID) (user, error) { return t.conn.user(t.ctx, id) }

// write has do done in the next transaction and waits until it is on the disk. If
// ctx ends before, the wait does, not the change.
func write[T any](ctx context.Context, s *Store, do func(*tx) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	result := new(T)
	c := &change{done: make(chan struct{}), request: audit.RequestID(ctx), do: func(t *tx) (err error) {
		*result, err = do(t)
		return err
	}}
	if err := s.writer.add(c); err != nil {
		return none, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if c.err != nil {
		return none, answer(c.err)
	}
	return *result, nil
}

// answer makes an error presentable: an answer is itself.
func answer(err error) error {
	var r refusal
	if errors.As(err, &r) {
		return r.answer
	}
	return fmt.Errorf("sqlitestore: %w", err)
}

func startWriter(c *conn, turn turn, cfg Config) *writer {
	w := &writer{conn: c, turn: turn, patience: cfg.BusyTimeout, audited: cfg.Audit, told: cfg.Committed}
	w.queue = gather.Start(gather.UpTo[*change](batchLimit), w.commit)
	return w
}

func (w *writer) add(c *change) error {
	if !w.queue.Add(c) {
		return ErrClosed
	}
	return nil
}

// close returns when every change that was asked for has been answered.
func (w *writer) close() { w.queue.Close() }

// commit answers every change of the batch. If they fail together, each is tried
// alone, so that one bad change fails alone.
func (w *writer) commit(batch []*change) {
	start := time.Now()
	err := w.transaction(batch)
	if err == nil && w.told != nil {
		w.told(len(batch), time.Since(start))
	}
	if err != nil && len(batch) > 1 && !busy(err) && !errors.Is(err, errNoTurn) {
		for _, c := range batch {
			c.settle(w.transaction([]*change{c}))
		}
		return
	}
	for _, c := range batch {
		c.settle(err)
	}
}

func (c *change) settle(err error) {
	if err != nil {
		c.err = err
	}
	close(c.done)
}

// transaction does all of the batch and commits it, or does nothing and says why.
// The answers of changes are kept with them.
func (w *writer) transaction(batch []*change) (err error) {
	t := &tx{conn: w.conn, ctx: context.Background(), audited: w.audited}
	if err := w.begin(t); err != nil {
		return err
	}
	defer w.turn.release()
	defer func() {
		if err != nil {
			_ = t.exec("ROLLBACK") // refused if the engine has rolled back by itself
		}
	}()
	for _, c := range batch {
		if err := c.attempt(t); err != nil {
			return err
		}
	}
	if err := t.publish(); err != nil {
		return err
	}
	if err := t.writeLines(); err != nil {
		return err
	}
	return t.exec("COMMIT")
}

// attempt keeps an answer with the change and returns any other error. A panic is
// the change's own failure, not the end of all others.
func (c *change) attempt(t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	t.request = c.request
	c.err = c.do(t)
	if _, ok := c.err.(refusal); ok {
		return nil
	}
	return c.err
}

// begin waits for its turn, first in this process, then among processes. SQLite's
// own wait grows to a tenth of a second between two looks, in which a busy
// neighbour takes many turns; this one looks often enough to get its share.
func (w *writer) begin(t *tx) error {
	ctx, cancel := context.WithTimeout(t.ctx, w.patience)
	defer cancel()
	if err := w.turn.take(ctx); err != nil {
		return errNoTurn
	}
	err := insist(ctx, func() error { return t.exec("BEGIN IMMEDIATE") })
	if err != nil {
		w.turn.release()
	}
	return err
}

// insist repeats what other processes are in the way of, until ctx is done.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !busy(err) {
			return err
		}
		pause := time.NewTimer(200*time.Microsecond + rand.N(time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}

// errNoTurn means that an application's transaction took too long.
var errNoTurn = errors.New("a transaction of the application in the same database has not ended in time: shorten it")

// busy reports whether another process has its turn.
func busy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_PROTOCOL)
}
