// Package pool asks a store for its pool of connections, if it has one.
package pool

import (
	"context"
	"errors"
	"fmt"
)

var errNone = fmt.Errorf("session: this store has no pool of connections: %w", errors.ErrUnsupported)

// Status counts the store's connections, as an S.
func Status[S any](store any) (s S, err error) {
	if p, ok := store.(interface{ PoolStatus() S }); ok {
		return p.PoolStatus(), nil
	}
	return s, errNone
}

// Optimize tidies the store's pool.
func Optimize(ctx context.Context, store any) error {
	if p, ok := store.(interface{ OptimizePool(context.Context) error }); ok {
		return p.OptimizePool(ctx)
	}
	return errNone
}
