package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// conn is one connection and its prepared statements, for one goroutine at a
// time. It leaves database/sql aside, whose locks, conversions and reflection
// cost as much as a short statement.
type conn struct {
	raw      driver.Conn
	prepared map[string]statement
}

type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// row is one result. Its blobs are the reader's own.
type row []driver.Value

func connect(ctx context.Context, c driver.Connector) (*conn, error) {
	raw, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, prepared: map[string]statement{}}, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

func (c *conn) prepare(query string) (statement, error) {
	if s, ok := c.prepared[query]; ok {
		return s, nil
	}
	raw, err := c.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	s, ok := raw.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T takes no context", raw), raw.Close())
	}
	c.prepared[query] = s
	return s, nil
}

// exec returns the number of rows that changed.
func (c *conn) exec(ctx context.Context, query string, args ...any) (int, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, named(args))
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// each calls f with every row.
func (c *conn) each(ctx context.Context, f func(row), query string, args ...any) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, named(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for r := make(row, len(rows.Columns())); ; {
		switch err := rows.Next(r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		f(r)
	}
}

// one returns the only row, or nil if there is none.
func (c *conn) one(ctx context.Context, query string, args ...any) (only row, err error) {
	err = c.each(ctx, func(r row) { only = r }, query, args...)
	return only, err
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return values
}

func (r row) text(i int) string    { s, _ := r[i].(string); return s }
func (r row) number(i int) int64   { n, _ := r[i].(int64); return n }
func (r row) counter(i int) uint64 { return uint64(r.number(i)) }
func (r row) flag(i int) bool      { return r.number(i) != 0 }
func (r row) blob(i int) []byte    { b, _ := r[i].([]byte); return b }
