package dbscope

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// SQL returns a scope over db. The options go to each transaction; nil means the
// driver's own. A commit that is given up after the time-out goes on in the
// background, for database/sql cannot interrupt it, and its outcome is unknown.
func SQL(db *sql.DB, opts *sql.TxOptions) *Scope[*sql.Tx] {
	return &Scope[*sql.Tx]{
		Begin:    func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, opts) },
		Commit:   func(tx *sql.Tx, ctx context.Context) error { return await(ctx, tx.Commit) },
		Rollback: func(tx *sql.Tx, ctx context.Context) error { return await(ctx, rollback(tx)) },
	}
}

// rollback of what is already over, be it by the application or by database/sql
// after an error, has nothing left to do.
func rollback(tx *sql.Tx) func() error {
	return func() error {
		if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
			return err
		}
		return nil
	}
}

// await bounds what takes no context. A driver's panic becomes an error, because in
// this goroutine nobody could recover it.
func await(ctx context.Context, end func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("the driver panicked: %v", v)
			}
		}()
		done <- end()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer in time, outcome unknown: %w", ctx.Err())
	}
}
