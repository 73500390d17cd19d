// Package relay is the part that buses between processes have in common. It wakes
// the members of other processes through a server that passes messages on, looks
// after the connection, and knows nothing of the server.
package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/vedfolnir/session/internal/wake"
	"github.com/vedfolnir/session/membus"
)

// Patience is how long a server may take to answer.
const Patience = 5 * time.Second

// parting is how long Close waits for what is still to be told.
const parting = time.Second

// Between two attempts to reach the server is a pause that doubles, within these
// bounds.
const shortest, longest = 100 * time.Millisecond, 5 * time.Second

// Server passes messages on to everybody who listens.
type Server interface {
	// Listen connects. From then on heard, which does not block, is called with every
	// message, also with those of this process.
	Listen(ctx context.Context, heard func(message string)) (Line, error)
	// Tell sends a message. After an error the next call connects anew.
	Tell(ctx context.Context, message string) error
	// HangUp ends the connection that tells, if there is one. It comes last.
	HangUp()
}

// Line is a connection that listens.
type Line interface {
	// Wait returns an error when the connection is lost, or ctx is done.
	Wait(ctx context.Context) error
	HangUp()
}

// Relay is a session.Bus between processes.
type Relay struct {
	server Server
	log    *slog.Logger
	name   string // by which it knows its own messages; they say nothing else

	local   membus.Bus // of the members within this process, and the other processes as one more
	wakeAll func()
	pending wake.Bell
	echo    wake.Bell // what was told is heard here, too

	stop context.CancelFunc
	done sync.WaitGroup
}

// Start returns a relay that listens, or, if the server is away, one that will. A nil
// log is slog.Default().
func Start(ctx context.Context, server Server, log *slog.Logger) *Relay {
	r := &Relay{
		server: server, log: cmp.Or(log, slog.Default()), name: rand.Text(),
		pending: wake.NewBell(), echo: wake.NewBell(),
	}
	r.wakeAll, _ = r.local.Join(r.pending.Ring) // once for all that is pending
	line, err := r.listen(ctx)
	if err != nil {
		r.lost(err)
	}
	background, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.done.Go(func() { r.hear(background, line) })
	r.done.Go(func() { r.tell(background) })
	if err == nil {
		r.done.Go(func() { r.prove(background) })
	}
	return r
}

func (r *Relay) lost(err error) {
	r.log.Warn("session: the bus has no connection; changes of other nodes are heard when the lease is renewed", "error", err)
}

// Join implements session.Bus. leave may be called twice; when it returns, wake is
// not called any more.
func (r *Relay) Join(wake func()) (tell, leave func()) { return r.local.Join(wake) }

// Close tells what is pending, if the server is there, and disconnects. It may be called
// twice.
func (r *Relay) Close() error {
	r.stop()
	r.done.Wait()
	return nil
}

// tell sends what is pending. What cannot be sent is tried again: at once, for the
// connection may only have rested too long, and then after pauses. At the end it tries
// once more: a program that ends right after its change has not sent anything yet.
func (r *Relay) tell(ctx context.Context) {
	defer r.server.HangUp()
	_ = r.tellOnce(ctx, proof+r.name) // prove says what becomes of it
	for {
		select {
		case <-ctx.Done():
			select {
			case <-r.pending:
				_ = r.tellWithin(context.WithoutCancel(ctx), parting, r.name) // others look by themselves
			default:
			}
			return
		case <-r.pending:
		}
		for pause := time.Duration(0); r.tellOnce(ctx, r.name) != nil; pause = min(max(2*pause, shortest), longest) {
			if !rest(ctx, pause) {
				r.pending.Ring()
				break
			}
		}
	}
}

func (r *Relay) tellOnce(ctx context.Context, message string) error {
	return r.tellWithin(ctx, Patience, message)
}

func (r *Relay) tellWithin(ctx context.Context, patience time.Duration, message string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.server.Tell(ctx, message)
}

// hear wakes the members of this process whenever another one tells. A line that is
// nil is lost.
func (r *Relay) hear(ctx context.Context, line Line) {
	for pause := shortest; ; {
		if line != nil {
			since := time.Now()
			err := line.Wait(ctx)
			line.HangUp()
			if ctx.Err() != nil {
				return
			}
			if time.Since(since) > longest {
				pause = shortest
			}
			r.lost(err)
		}
		for line = nil; line == nil; pause = min(2*pause, longest) {
			if !rest(ctx, pause) {
				return
			}
			line, _ = r.listen(ctx) // why there is no connection was told
		}
		r.log.Info("session: the bus is connected again")
		r.wakeAll()
	}
}

func (r *Relay) listen(ctx context.Context) (Line, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return r.server.Listen(ctx, r.heard)
}

// proof begins a message that wakes nobody.
const proof = "proof "

func (r *Relay) heard(message string) {
	switch {
	case message == r.name:
	case message == proof+r.name:
		r.echo.Ring()
	case !strings.HasPrefix(message, proof):
		r.wakeAll()
	}
}

// prove warns if what is told at the start is not heard here: then nobody hears it.
func (r *Relay) prove(ctx context.Context) {
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case <-ctx.Done():
	case <-r.echo:
	case <-late.C:
		r.log.Warn("session: the bus does not hear what it tells itself; changes of other nodes are heard when the lease is renewed. Look for a pooler in between that pools by transaction: it has to pool by session")
	}
}

// Echo reports within Patience whether what is told to the server is heard from it.
// It is for whoever looks for what is wrong.
func Echo(ctx context.Context, server Server) error {
	defer server.HangUp()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	own, echo := proof+rand.Text(), wake.NewBell()
	line, err := server.Listen(ctx, func(message string) {
		if message == own {
			echo.Ring()
		}
	})
	if err != nil {
		return err
	}
	defer line.HangUp()
	if err := server.Tell(ctx, own); err != nil {
		return err
	}
	lost := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lost <- line.Wait(ctx)
	}()
	defer func() { cancel(); <-ended }()
	select {
	case <-echo:
		return nil
	case err := <-lost:
		return fmt.Errorf("what is told is not heard: %w", err)
	}
}

// rest lets about that time pass; false: ctx is done.
func rest(ctx context.Context, pause time.Duration) bool {
	if pause > 0 {
		pause = pause/2 + mathrand.N(pause/2)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
