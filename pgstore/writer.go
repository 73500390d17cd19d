package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/gather"
)

const (
	// batchLimit bounds how long one commit takes, and so how long others wait for it.
	batchLimit = 256
	// grace is how long a batch may take in all, beside waiting for rows.
	grace = 10 * time.Second
)

// writer is the only goroutine of this node that changes sessions. While it
// commits, changes gather; the next commit takes them all.
type writer struct {
	link
	patience time.Duration // for rows that others hold
	audited  bool
	told     func(changes int, took time.Duration)
	log      *slog.Logger
	trimmer  trimmer

	turn sync.Mutex // held while a batch is committed

	queue *gather.Queue[*change]
}

// change waits for its commit: that of single sessions, or that of what a user has.
type change struct {
	steps []*step
	user  *userChange
	err   error
	done  chan struct{}
}

// fits reports whether two changes may share a batch. A sweep is on its own.
func (c *change) fits(first *change) bool {
	if c.user == nil || first.user == nil {
		return c.user == nil && first.user == nil
	}
	return c == first || c.user.sweep == nil && first.user.sweep == nil
}

func (c *change) size() int { return max(1, len(c.steps)) }

// refusal is an answer of the state: the change did nothing, and the others of
// its batch go on.
type refusal struct{ answer error }

func (r refusal) Error() string { return r.answer.Error() }

func refuse(answer error) error { return refusal{answer} }

// answer makes an error presentable: an answer is itself.
func answer(err error) error {
	var r refusal
	if errors.As(err, &r) {
		return r.answer
	}
	return fmt.Errorf("pgstore: %w", err)
}

// write has the change done with the next commit and waits until it is on the disk.
// If ctx ends before, the wait does, not the change.
func (s *Store) write(ctx context.Context, c *change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan struct{})
	if err := s.writer.add(c); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.err != nil {
		return answer(c.err)
	}
	return nil
}

func startWriter(connect func(context.Context) (*pgx.Conn, error), cfg Config) *writer {
	w := &writer{link: link{connect: connect}, patience: cfg.Patience, audited: cfg.Audit, told: cfg.Committed, log: cfg.Logger}
	w.queue = gather.Start(pick, w.commitInTurn)
	return w
}

func (w *writer) add(c *change) error {
	if !w.queue.Add(c) {
		return ErrClosed
	}
	return nil
}

// close returns when every change that was asked for has been answered.
func (w *writer) close() {
	w.queue.Close()
	w.disconnect()
}

// pick the one that has waited longest, and what may share its batch.
func pick(waiting []*change) (batch, rest []*change) {
	size := 0
	for i, c := range waiting {
		if i > 0 && (size+c.size() > batchLimit || !c.fits(waiting[0])) {
			rest = append(rest, c)
			continue
		}
		batch, size = append(batch, c), size+c.size()
	}
	return batch, rest
}

func (w *writer) commitInTurn(batch []*change) {
	w.turn.Lock()
	defer w.turn.Unlock()
	w.commit(batch)
}

// commit answers every change of the batch. If the server refuses them together,
// each is tried alone, so that one bad change fails alone.
func (w *writer) commit(batch []*change) {
	start := time.Now()
	err := w.transaction(batch)
	if err == nil && w.told != nil {
		w.told(len(batch), time.Since(start))
	}
	if err != nil && len(batch) > 1 && undone(err) {
		for _, c := range batch {
			c.settle(w.transaction([]*change{c}))
		}
		return
	}
	for _, c := range batch {
		c.settle(err)
	}
	w.trimNowAndThen()
}

func (c *change) settle(err error) {
	if err != nil {
		c.err = err
	}
	close(c.done)
}

// undone reports whether an error leaves no doubt that the transaction was rolled
// back, and that another one may be tried: the server said so, and goes on.
func undone(err error) bool {
	var refused *pgconn.PgError
	var own failure
	return errors.As(err, &own) || errors.As(err, &refused) && refused.SeverityUnlocalized == "ERROR"
}

// failure is an error of a change itself, found before anything was written.
type failure struct{ error }

// transaction does all of the batch and commits it, or does nothing and says why.
// The answers of changes are kept with them.
func (w *writer) transaction(batch []*change) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace+w.patience) // a batch is not its callers'
	defer cancel()
	if err := w.ready(ctx); err != nil {
		return err
	}
	for _, c := range batch {
		c.err = nil
	}
	var err error
	if batch[0].user == nil {
		err = w.changeSessions(ctx, batch)
	} else {
		err = w.changeUsers(ctx, batch)
	}
	w.used = time.Now()
	if err != nil && !w.conn.IsClosed() {
		if _, failed := w.conn.Exec(ctx, "ROLLBACK", pgx.QueryExecModeSimpleProtocol); failed != nil {
			w.disconnect()
		}
	}
	if len(batch) == 1 && taken(err) { // by another node, since it was looked for
		batch[0].err, err = refuse(session.ErrConflict), nil
	}
	return err
}

// taken reports whether the handle of a new session exists.
func taken(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23505" && refused.ConstraintName == "sessions_pkey"
}
