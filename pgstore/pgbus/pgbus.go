// Package pgbus wakes the managers of other nodes by PostgreSQL's LISTEN and NOTIFY.
//
// It only wakes: what has changed is read from the store's feed. A message that is
// lost costs latency and nothing else; while the connection is away managers hear of
// changes when they renew their leases, and when it is back they are all woken, for
// what they may have missed.
//
// A bus has two connections of its own, one to listen and one to tell. They must not
// go through a pooler that pools by transaction: it would lend the one that listens
// to somebody else. A bus that does not hear itself when it starts says so in the
// log, and [Check] reports it.
package pgbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/relay"
)

// Config of a [Bus]. The zero value is right for a server.
type Config struct {
	// Channel is the name that all nodes share, and that nobody else in the database
	// uses. Default: "vedfolnir_session".
	Channel string
	// Logger gets what an operator should see. Default slog.Default().
	Logger *slog.Logger
}

// quiet is how long nothing may be heard before the connection is tried out.
const quiet = 10 * time.Second

// Bus is a [session.Bus] between the nodes that use one database.
type Bus struct{ relay *relay.Relay }

var _ session.Bus = (*Bus)(nil)

// Open connects to the database at address, a URL or keywords and values, and begins
// to listen. If that is not possible the log says why, and the bus goes on trying: it
// is needed for nothing but speed. An address that cannot be understood is an error.
// Close the bus after the managers that joined it.
func Open(ctx context.Context, address string, cfg Config) (*Bus, error) {
	s, err := parse(address, cfg)
	if err != nil {
		return nil, fmt.Errorf("pgbus: open: %w", err)
	}
	return &Bus{relay.Start(ctx, s, cfg.Logger)}, nil
}

// Check returns nil if what one connection to address tells is heard by another one,
// within five seconds.
func Check(ctx context.Context, address string) error {
	s, err := parse(address, Config{Channel: "vedfolnir_check"})
	if err == nil {
		err = relay.Echo(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("pgbus: check: %w", err)
	}
	return nil
}

// Join implements [session.Bus]. leave may be called twice; when it returns, wake is
// not called any more.
func (b *Bus) Join(wake func()) (tell, leave func()) { return b.relay.Join(wake) }

// Close disconnects. It may be called twice.
func (b *Bus) Close() error { return b.relay.Close() }

// server implements [relay.Server].
type server struct {
	config  *pgx.ConnConfig
	channel string
	telling *pgx.Conn // nil: not connected
}

func parse(address string, cfg Config) (*server, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	return &server{config: config, channel: cmp.Or(cfg.Channel, "vedfolnir_session")}, nil
}

func (s *server) Tell(ctx context.Context, message string) (err error) {
	if s.telling == nil {
		if s.telling, err = s.connect(ctx, "SET synchronous_commit = off"); err != nil { // nothing is written
			return err
		}
	}
	if _, err = s.telling.Exec(ctx, "SELECT pg_notify($1, $2)", s.channel, message); err != nil {
		s.HangUp()
	}
	return err
}

func (s *server) HangUp() {
	hangUp(s.telling)
	s.telling = nil
}

func (s *server) Listen(ctx context.Context, heard func(message string)) (relay.Line, error) {
	c, err := s.connect(ctx, "LISTEN "+pgx.Identifier{s.channel}.Sanitize())
	if err != nil {
		return nil, err
	}
	return line{c, heard}, nil
}

func (s *server) connect(ctx context.Context, first string) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, first); err != nil {
		hangUp(c)
		return nil, err
	}
	return c, nil
}

// line implements [relay.Line].
type line struct {
	conn  *pgx.Conn
	heard func(message string)
}

func (l line) Wait(ctx context.Context) error {
	for {
		if err := l.next(ctx); err != nil {
			return err
		}
	}
}

// next waits for a message, and tries the connection out if there is none for long.
func (l line) next(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := l.conn.WaitForNotification(waiting)
	switch {
	case err == nil:
		l.heard(n.Payload)
	case errors.Is(waiting.Err(), context.DeadlineExceeded) && ctx.Err() == nil && !l.conn.IsClosed():
		answering, cancel := context.WithTimeout(ctx, relay.Patience)
		defer cancel()
		return l.conn.Ping(answering)
	}
	return err
}

func (l line) HangUp() { hangUp(l.conn) }

func hangUp(c *pgx.Conn) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // there is nothing left on it
}
