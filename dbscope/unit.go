package dbscope

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// phase of a unit; it only ever goes forward.
type phase uint8

const (
	unasked phase = iota
	open
	over
)

var errPanicked = errors.New("it panicked")

// unit is one request or one Run: the context in which its transaction is found,
// and that transaction once somebody has asked for it. Being the context itself
// saves an allocation.
type unit[T any] struct {
	context.Context
	scope *Scope[T]

	mu     sync.Mutex
	phase  phase
	tx     T
	doomed error // why it must be rolled back, whatever follows
}

// Value finds the unit under its scope, so that two scopes do not see each other.
func (u *unit[T]) Value(key any) any {
	if key == any(u.scope) {
		return u
	}
	return u.Context.Value(key)
}

// ask begins under the lock, and under the unit's own context: of two goroutines
// that ask at once the second waits, and a short-lived context of the first does
// not shorten the transaction.
func (u *unit[T]) ask() (tx T, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.phase {
	case over:
		return tx, ErrDone
	case unasked:
		if tx, err = u.scope.begin(u.Context); err != nil {
			return tx, err
		}
		u.tx, u.phase = tx, open
	}
	return u.tx, nil
}

// join runs fn within this unit's transaction.
func (u *unit[T]) join(ctx context.Context, fn func(context.Context) error) (err error) {
	if u.isOver() {
		return ErrDone
	}
	err = errPanicked // until fn returns
	defer func() {
		if err != nil {
			u.doom(fmt.Errorf("an inner Run failed: %w", err))
		}
	}()
	err = fn(ctx)
	return err
}

func (u *unit[T]) isOver() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.phase == over
}

// doom keeps the first reason: the others are mostly its consequences.
func (u *unit[T]) doom(why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.doomed == nil {
		u.doomed = why
	}
}

// commit ends the unit and keeps its work, or says why it was not kept.
func (u *unit[T]) commit() error {
	tx, begun, why := u.end()
	if !begun {
		return nil
	}
	if why == nil && u.Err() != nil {
		why = context.Cause(u.Context)
	}
	if why != nil {
		return errors.Join(fmt.Errorf("dbscope: rolled back: %w", why), u.scope.rollback(u.Context, tx))
	}
	return u.scope.commit(u.Context, tx)
}

// rollback ends the unit and undoes its work.
func (u *unit[T]) rollback() error {
	tx, begun, _ := u.end()
	if !begun {
		return nil
	}
	return u.scope.rollback(u.Context, tx)
}

// abandon is a rollback whose failure is nobody's to handle: the database undoes
// what its connection left behind.
func (u *unit[T]) abandon() {
	if err := u.rollback(); err != nil {
		u.scope.log().WarnContext(u.Context, "a transaction was left for the database to undo", "error", err)
	}
}

// end bars every later use. Only the first caller gets the transaction, if one was
// begun, so that it is ended once.
func (u *unit[T]) end() (tx T, begun bool, doomed error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	begun = u.phase == open
	u.phase = over
	return u.tx, begun, u.doomed
}
