package dbscope

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

var (
	// ErrDone: the transaction has ended, or the answer began without one. Ask
	// before the first byte of the answer, or do later work in Run with
	// [Scope.Without].
	ErrDone = errors.New("dbscope: the transaction is over: ask for it before the answer begins, " +
		"or do later work in Run(Without(ctx), …)")
	// ErrNoScope: the context belongs to no Wrap and no Run of this scope.
	ErrNoScope = errors.New("dbscope: no scope in this context: wrap the handler with Wrap, " +
		"or do the work in Run and use the context it gives")
)

// defaultTimeout is longer than a commit that waits for a busy disk, shorter than
// the patience of a proxy.
const defaultTimeout = 5 * time.Second

// Scope gives each request, and each Run, one transaction of type T. It must not
// be changed or copied once in use. [SQL] makes one for database/sql.
type Scope[T any] struct {
	// Begin begins a transaction; required. While Begin runs its context ends with
	// the request's, or after Timeout; once Begin has returned it never does, so it
	// may be kept for the transaction's life, as database/sql does.
	Begin func(context.Context) (T, error)
	// Commit and Rollback end a transaction; required. Exactly one of them is
	// called, once. Whether or not it returns an error it must leave nothing open.
	// The arguments are in the order of a method expression, such as
	// pgx.Tx.Commit. The context is that of the request without its end, bounded
	// by Timeout.
	Commit   func(T, context.Context) error
	Rollback func(T, context.Context) error

	// Timeout bounds Begin, Commit and Rollback, each. 0 means 5 seconds.
	Timeout time.Duration
	// Log is told of transactions that could not be kept, and of rollbacks that
	// failed. Nil means [slog.Default].
	Log *slog.Logger
	// Failed answers a request whose transaction could not be kept; the handler's
	// cookies and the headers of its body are already gone. It must not answer
	// with success. Nil means 503 with Retry-After, in JSON or plain text.
	Failed func(w http.ResponseWriter, r *http.Request, err error)
}

// Tx returns the transaction of the request or Run that ctx belongs to, and begins
// it if this is the first time it is asked for. Never commit it or roll it back
// yourself: answer with an error status, or return an error from Run. An ended
// ctx of the request's own, or a database that does not answer, is an error of
// Begin; asking again then begins anew.
func (s *Scope[T]) Tx(ctx context.Context) (T, error) {
	u := s.find(ctx)
	if u == nil {
		var none T
		return none, ErrNoScope
	}
	return u.ask()
}

// Run calls fn with a context in which [Scope.Tx] finds one transaction. It commits
// when fn returns nil, and rolls back when fn returns an error, which it returns,
// or panics, which goes on. A failed commit, or a ctx that has ended by then, is an
// error too, and nothing is kept.
//
// If ctx already has a transaction, fn joins it: it is committed by whoever began
// it, and an error of fn marks it for rollback.
func (s *Scope[T]) Run(ctx context.Context, fn func(context.Context) error) error {
	s.mustBeComplete()
	if outer := s.find(ctx); outer != nil {
		return outer.join(ctx, fn)
	}
	u := &unit[T]{Context: ctx, scope: s}
	defer u.abandon() // only a panic gets there with the transaction open
	err := fn(u)
	if err == nil {
		return u.commit()
	}
	if undo := u.rollback(); undo != nil {
		return errors.Join(err, undo)
	}
	return err
}

// Without returns a context outside the transaction of ctx: a Run with it has a
// transaction of its own, which is kept or not whatever becomes of the other. The
// context still ends when ctx does; see [context.WithoutCancel].
func (s *Scope[T]) Without(ctx context.Context) context.Context {
	return context.WithValue(ctx, s, (*unit[T])(nil))
}

func (s *Scope[T]) find(ctx context.Context) *unit[T] {
	u, _ := ctx.Value(s).(*unit[T])
	return u
}

func (s *Scope[T]) mustBeComplete() {
	if s.Begin == nil || s.Commit == nil || s.Rollback == nil {
		panic("dbscope: a Scope needs Begin, Commit and Rollback")
	}
}

// begin gives Begin a context that ends with ctx, or with the bound, only while
// Begin runs: waiting for a free connection must end when the client leaves, but
// a context that a driver keeps must not end in the middle of a commit.
func (s *Scope[T]) begin(ctx context.Context) (tx T, err error) {
	var none T
	if ctx.Err() != nil {
		return none, fmt.Errorf("dbscope: begin: %w", context.Cause(ctx))
	}
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	left := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	slow := time.AfterFunc(s.timeout(), func() { end(context.DeadlineExceeded) })

	tx, err = s.Begin(life)
	stayed, quick := left(), slow.Stop()
	if !stayed || !quick {
		err = s.tooLate(life, tx, err)
	}
	if err != nil {
		end(err)
		return none, fmt.Errorf("dbscope: begin: %w", err)
	}
	return tx, nil
}

// tooLate undoes a Begin that nobody waits for any more, and says why.
func (s *Scope[T]) tooLate(life context.Context, tx T, err error) error {
	<-life.Done() // it is being ended
	if err == nil {
		err = s.rollback(life, tx)
	}
	if err == nil {
		return context.Cause(life)
	}
	// Not wrapped: a driver says "cancelled" also where the time ran out, and that
	// would be taken for a client that left.
	return fmt.Errorf("%w (%v)", context.Cause(life), err)
}

func (s *Scope[T]) commit(ctx context.Context, tx T) error {
	ctx, done := s.bounded(ctx)
	defer done()
	if err := s.Commit(tx, ctx); err != nil {
		return fmt.Errorf("dbscope: commit: %w", err)
	}
	return nil
}

func (s *Scope[T]) rollback(ctx context.Context, tx T) error {
	ctx, done := s.bounded(ctx)
	defer done()
	if err := s.Rollback(tx, ctx); err != nil {
		return fmt.Errorf("dbscope: rollback: %w", err)
	}
	return nil
}

// bounded frees ctx from its end: a client that leaves must not break the end of
// a transaction.
func (s *Scope[T]) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.timeout())
}

func (s *Scope[T]) timeout() time.Duration {
	if s.Timeout <= 0 {
		return defaultTimeout
	}
	return s.Timeout
}

func (s *Scope[T]) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}
