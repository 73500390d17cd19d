// Package pgbus wakes the managers of other nodes by PostgreSQL's LISTEN and NOTIFY.
//
// It only wakes: what has changed is read from the store's feed. A message that is
// lost costs latency and nothing else; while the connection is away managers hear of
// changes when they renew their leases, and when it is back they are all woken, for
// what they may have missed.
//
// A bus has two connections of its own, one to listen and one to tell. They must not
// go through a pooler that pools by transaction: it would lend the one that listens
// to somebody else.
package pgbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/membus"
)

// Config of a [Bus]. The zero value is right for a server.
type Config struct {
	// Channel is the name that all nodes share, and that nobody else in the database
	// uses. Default: "vedfolnir_session".
	Channel string
	// Logger gets what an operator should see. Default slog.Default().
	Logger *slog.Logger
}

const (
	// quiet is how long nothing may be heard before the connection is tried out.
	quiet = 10 * time.Second
	// patience is how long a server may take to answer.
	patience = 5 * time.Second
	// Between two attempts to connect is a pause that doubles, within these bounds.
	shortest, longest = 100 * time.Millisecond, 5 * time.Second
)

// Bus is a [session.Bus] between the nodes that use one database.
type Bus struct {
	config  *pgx.ConnConfig
	channel string
	log     *slog.Logger
	name    string // by which it knows its own messages

	local   membus.Bus // of the members within this process, and the other nodes as one more
	wakeAll func()
	pending chan struct{}

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ session.Bus = (*Bus)(nil)

// Open connects to the database at address, a URL or keywords and values, and begins
// to listen. Close the bus after the managers that joined it.
func Open(ctx context.Context, address string, cfg Config) (*Bus, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("pgbus: open: %w", err)
	}
	b := &Bus{
		config: config, channel: cmp.Or(cfg.Channel, "vedfolnir_session"), log: cmp.Or(cfg.Logger, slog.Default()),
		name: rand.Text(), pending: make(chan struct{}, 1),
	}
	b.wakeAll, _ = b.local.Join(b.pend)
	listening, err := b.listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("pgbus: open: %w", err)
	}
	background, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.done.Go(func() { b.hear(background, listening) })
	b.done.Go(func() { b.tell(background) })
	return b, nil
}

// Join implements [session.Bus]. leave may be called twice; when it returns, wake is
// not called any more.
func (b *Bus) Join(wake func()) (tell, leave func()) { return b.local.Join(wake) }

// Close disconnects. It may be called twice.
func (b *Bus) Close() error {
	b.stop()
	b.done.Wait()
	return nil
}

// pend has the other nodes told, once for all that is pending.
func (b *Bus) pend() {
	select {
	case b.pending <- struct{}{}:
	default:
	}
}

// tell sends what is pending.
func (b *Bus) tell(ctx context.Context) {
	var c *pgx.Conn
	defer func() { hangUp(c) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.pending:
		}
		if c = b.notify(ctx, c); c == nil { // once more, on a new connection: this one may have rested too long
			c = b.notify(ctx, nil)
		}
	}
}

// notify returns the connection if it is still good. A hint that cannot be sent is
// dropped: the lease makes up for it.
func (b *Bus) notify(ctx context.Context, c *pgx.Conn) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c == nil {
		var err error
		if c, err = b.connect(ctx, "SET synchronous_commit = off"); err != nil { // nothing is written
			return nil
		}
	}
	if _, err := c.Exec(ctx, "SELECT pg_notify($1, $2)", b.channel, b.name); err != nil {
		hangUp(c)
		return nil
	}
	return c
}

// hear wakes the members of this process whenever another node tells.
func (b *Bus) hear(ctx context.Context, c *pgx.Conn) {
	defer func() { hangUp(c) }()
	pause := shortest
	for {
		err := b.next(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = shortest
			continue
		}
		hangUp(c)
		b.log.Warn("session: the bus has lost its connection; changes of other nodes are heard when the lease is renewed", "error", err)
		if c, pause = b.listenAgain(ctx, pause); c == nil {
			return
		}
		b.log.Info("session: the bus is connected again")
		b.wakeAll()
	}
}

// next waits for a message, and tries the connection out if there is none for long.
func (b *Bus) next(ctx context.Context, c *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := c.WaitForNotification(waiting)
	switch {
	case err == nil && n.Payload != b.name:
		b.wakeAll()
	case err != nil && errors.Is(waiting.Err(), context.DeadlineExceeded) && !c.IsClosed():
		answering, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return c.Ping(answering)
	}
	return err
}

// listenAgain tries until it listens, or ctx is done. It returns the pause before
// the next attempt, should there have to be one soon.
func (b *Bus) listenAgain(ctx context.Context, pause time.Duration) (*pgx.Conn, time.Duration) {
	for {
		wait := time.NewTimer(pause/2 + mathrand.N(pause/2))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, pause
		case <-wait.C:
		}
		pause = min(2*pause, longest)
		if c, err := b.listen(ctx); err == nil {
			return c, pause
		}
	}
}

func (b *Bus) listen(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return b.connect(ctx, "LISTEN "+pgx.Identifier{b.channel}.Sanitize())
}

func (b *Bus) connect(ctx context.Context, first string) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, b.config.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, first); err != nil {
		hangUp(c)
		return nil, err
	}
	return c, nil
}

func hangUp(c *pgx.Conn) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // there is nothing left on it
}
