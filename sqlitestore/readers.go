package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
)

// readers is a fixed number of places for connections that cannot write. A
// connection is opened when its place is first taken.
type readers struct {
	connector driver.Connector
	places    chan *conn // nil: not open
	closed    chan struct{}
}

func newReaders(c driver.Connector, n int) *readers {
	r := &readers{connector: c, places: make(chan *conn, n), closed: make(chan struct{})}
	for range n {
		r.places <- nil
	}
	return r
}

// take waits for a place, as long as ctx allows.
func (r *readers) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-r.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case c := <-r.places:
		if c != nil {
			return c, nil
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.closed:
		return nil, ErrClosed
	}
	c, err := connect(ctx, r.connector)
	if err != nil {
		r.places <- nil
	}
	return c, err
}

// read lends do a connection. The context it is given is never done: a read by an
// index is over before the driver has set up a way to interrupt it.
func read[T any](ctx context.Context, s *Store, do func(context.Context, *conn) (T, error)) (T, error) {
	var none T
	c, err := s.readers.take(ctx)
	if err != nil {
		return none, err
	}
	defer func() { s.readers.places <- c }()
	result, err := do(context.WithoutCancel(ctx), c)
	if err != nil {
		return none, answer(err)
	}
	return result, nil
}

// letGo closes the connections that nobody uses at the moment.
func (r *readers) letGo() error {
	var errs []error
	for range cap(r.places) {
		select {
		case c := <-r.places:
			if c != nil {
				errs = append(errs, c.close())
			}
			defer func() { r.places <- nil }()
		default:
		}
	}
	return errors.Join(errs...)
}

// close waits for the reads that are under way. It is called once.
func (r *readers) close() error {
	close(r.closed)
	var errs []error
	for range cap(r.places) {
		if c := <-r.places; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}
