// Package redisbus wakes the managers of other nodes by the publish and subscribe of
// a Redis or Valkey server, for those who have one: where the database is behind a
// pooler that pools by transaction, or is not to be bothered with it.
//
// It only wakes: what has changed is read from the store's feed, and nothing is kept
// on the server. A message is a random name of the sender and holds nothing secret; a
// forged one makes nodes look, and nothing else. One that is lost costs latency; while
// the connection is away managers hear of changes when they renew their leases, and
// when it is back they are all woken, for what they may have missed.
package redisbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/relay"
	"github.com/vedfolnir/session/internal/wake"
)

// Config of a [Bus]. The zero value is right for a server.
type Config struct {
	// Channel is the name that all nodes share, and that nobody else on the server
	// uses: channels are not of one database. Default: "vedfolnir_session".
	Channel string
	// Password is used where the address has none.
	Password string
	// Logger gets what an operator should see. Default slog.Default().
	Logger *slog.Logger
}

// Bus is a [session.Bus] between the nodes that use one server.
type Bus struct{ relay *relay.Relay }

var _ session.Bus = (*Bus)(nil)

// Open connects to the server at address, redis://USER@HOST:PORT (rediss: with TLS;
// valkey and valkeys are the same), and begins to listen. Of a cluster any node will
// do. If that is not possible the log says why, and the bus goes on trying: it is
// needed for nothing but speed. An address that cannot be understood is an error.
// Close the bus after the managers that joined it.
func Open(ctx context.Context, address string, cfg Config) (*Bus, error) {
	s, err := parse(address, cfg)
	if err != nil {
		return nil, fmt.Errorf("redisbus: open: %w", err)
	}
	return &Bus{relay.Start(ctx, s, cfg.Logger)}, nil
}

// Check returns nil if what is told to the server at address is heard from it, within
// five seconds.
func Check(ctx context.Context, address string, cfg Config) error {
	cfg.Channel = "vedfolnir_check"
	s, err := parse(address, cfg)
	if err == nil {
		err = relay.Echo(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("redisbus: check: %w", err)
	}
	return nil
}

// Join implements [session.Bus]. leave may be called twice; when it returns, wake is
// not called any more.
func (b *Bus) Join(wake func()) (tell, leave func()) { return b.relay.Join(wake) }

// Close disconnects. It may be called twice.
func (b *Bus) Close() error { return b.relay.Close() }

// server implements [relay.Server]. It has a client for each of its connections, so
// that each is made anew when, and only when, the relay wants it.
type server struct {
	option  rueidis.ClientOption
	channel string
	telling rueidis.Client // nil: not connected
}

const (
	// trial is how often a connection on which nothing comes is tried out.
	trial = 5 * time.Second
	// buffer is enough for messages of some dozens of bytes.
	buffer = 4 << 10
)

func parse(address string, cfg Config) (*server, error) {
	o, err := rueidis.ParseURL(address)
	if err != nil {
		return nil, errors.New("the address is not of the form redis://USER@HOST:PORT") // err has the password
	}
	o.Password = cmp.Or(o.Password, cfg.Password)
	o.ClientName = "vedfolnir"
	o.ForceSingleClient, o.DisableCache, o.DisableRetry = true, true, true
	o.Dialer.KeepAlive, o.Dialer.Timeout, o.ConnWriteTimeout = trial, relay.Patience, relay.Patience
	o.PipelineMultiplex, o.RingScaleEachConn = -1, 8 // one connection
	o.ReadBufferEachConn, o.WriteBufferEachConn = buffer, buffer
	return &server{option: o, channel: cmp.Or(cfg.Channel, "vedfolnir_session")}, nil
}

func (s *server) Tell(ctx context.Context, message string) (err error) {
	if s.telling == nil {
		if s.telling, err = rueidis.NewClient(s.option); err != nil {
			return err
		}
	}
	if err = s.telling.Do(ctx, s.telling.B().Publish().Channel(s.channel).Message(message).Build()).Error(); err != nil {
		s.HangUp()
	}
	return err
}

func (s *server) HangUp() {
	if s.telling != nil {
		s.telling.Close()
		s.telling = nil
	}
}

func (s *server) Listen(ctx context.Context, heard func(message string)) (relay.Line, error) {
	c, err := rueidis.NewClient(s.option)
	if err != nil {
		return nil, err
	}
	l := &line{client: c, lost: make(chan error, 1)}
	listening := wake.NewBell()
	confirmed := rueidis.WithOnSubscriptionHook(context.Background(), func(rueidis.PubSubSubscription) { listening.Ring() })
	l.ended.Go(func() {
		l.lost <- c.Receive(confirmed, c.B().Subscribe().Channel(s.channel).Build(), func(m rueidis.PubSubMessage) { heard(m.Message) })
	})
	select {
	case <-listening:
		return l, nil
	case err = <-l.lost:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.HangUp()
	return nil, cmp.Or(err, errEnded)
}

// errEnded is for a subscription that the server ended of its own accord.
var errEnded = errors.New("the server has ended the subscription")

// line implements [relay.Line].
type line struct {
	client rueidis.Client
	lost   chan error
	ended  sync.WaitGroup
}

func (l *line) Wait(ctx context.Context) error {
	select {
	case err := <-l.lost:
		return cmp.Or(err, errEnded)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) HangUp() {
	l.client.Close()
	l.ended.Wait()
}
