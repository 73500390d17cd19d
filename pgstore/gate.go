package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// connectTimeout is how long a connection may take to be made, unless the address
	// says something else.
	connectTimeout = 3 * time.Second
	// probeEvery is how long a server that is away is left alone after an attempt.
	probeEvery = 500 * time.Millisecond
)

// gate knows whether the server is away, which the last attempt to connect tells.
// While it is, whoever comes first makes one more attempt, a probe; everybody else is
// refused at once, so that nobody waits in vain and the server is not stormed when it
// comes back. As the tracer of all connections it sees what becomes of them.
type gate struct {
	lost func() // a connection broke: the others have, too, most likely

	mu    sync.Mutex
	away  error     // nil: it is not
	next  time.Time // probe
	there time.Time // when the youngest attempt began that has succeeded
}

// enter is asked before each attempt to connect.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away == nil {
		return nil
	}
	now := time.Now()
	if now.Before(g.next) {
		return fmt.Errorf("the server is away, and is asked again every %v: %w", probeEvery, g.away)
	}
	g.next = now.Add(connectTimeout) // or when this probe has ended
	return nil
}

var (
	_ pgx.QueryTracer   = (*gate)(nil)
	_ pgx.ConnectTracer = (*gate)(nil)
)

type begunKey struct{}

func (g *gate) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return context.WithValue(ctx, begunKey{}, time.Now())
}

// TraceConnectEnd takes the outcome for a verdict, unless somebody was merely
// impatient, or another attempt that was begun later has succeeded.
func (g *gate) TraceConnectEnd(ctx context.Context, end pgx.TraceConnectEndData) {
	if end.Err != nil && ctx.Err() != nil {
		return
	}
	begun, _ := ctx.Value(begunKey{}).(time.Time)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case end.Err == nil && begun.After(g.there):
		g.there = begun
	case end.Err != nil && begun.Before(g.there):
		return
	}
	g.away, g.next = end.Err, time.Now().Add(probeEvery)
}

func (g *gate) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (g *gate) TraceQueryEnd(_ context.Context, _ *pgx.Conn, end pgx.TraceQueryEndData) {
	if broken(end.Err) {
		g.lost()
	}
}

// broken reports whether a connection has ended that nobody wanted to end.
func broken(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.SeverityUnlocalized != "ERROR"
	}
	var network *net.OpError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &network) && !network.Timeout()
}

// link is a connection that nobody else uses, made when it is needed. It is not safe
// for concurrent use.
type link struct {
	connect func(context.Context) (*pgx.Conn, error)
	conn    *pgx.Conn   // nil: not connected
	used    time.Time   // when it last answered
	stale   atomic.Bool // it is to be made anew; anybody may say so
}

// idle is how long a link may rest before it is tried out.
const idle = time.Second

// ready makes sure of a connection that works. One that has rested is tried out
// first: with a change under way it would not be known whether that has happened.
func (l *link) ready(ctx context.Context) (err error) {
	if l.stale.Swap(false) {
		l.disconnect()
	}
	if l.conn != nil && time.Since(l.used) > idle && l.ping(ctx) != nil {
		l.disconnect()
	}
	if l.conn == nil || l.conn.IsClosed() {
		l.conn, err = l.connect(ctx)
	}
	return err
}

func (l *link) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return l.conn.Ping(ctx)
}

func (l *link) disconnect() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = l.conn.Close(ctx) // there is nothing left on it
	l.conn = nil
}
