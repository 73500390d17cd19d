package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/internal/relay"
)

// server is one whose first connection takes its time, as any does. Tell and HangUp are
// called by one goroutine.
type server struct {
	first time.Duration // to send the first message
	away  bool
	told  []string
	hung  bool
}

func (s *server) Tell(ctx context.Context, message string) error {
	if s.away {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(s.first):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.first = 0
	s.told = append(s.told, message)
	return nil
}

func (s *server) HangUp() { s.hung = true }

func (s *server) Listen(context.Context, func(string)) (relay.Line, error) { return line{}, nil }

type line struct{}

func (line) Wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (line) HangUp()                        {}

// A command changes something and ends before the connection is there: the others are
// told all the same, once. Who has nothing to tell waits for nothing, and nobody waits
// for long for a server that is away.
func TestWhatIsToldLastIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		server server
		tells  bool
		want   int           // messages that are no proof
		within time.Duration // that Close takes
	}{
		"the connection is slow":     {server{first: 100 * time.Millisecond}, true, 1, 100 * time.Millisecond},
		"there is nothing to tell":   {server{first: 100 * time.Millisecond}, false, 0, 0},
		"the server does not answer": {server{away: true}, true, 0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := c.server
				r := relay.Start(t.Context(), &s, slog.New(slog.DiscardHandler))
				tell, leave := r.Join(func() {})
				if c.tells {
					tell()
				}
				leave()
				since := time.Now()
				if err := errors.Join(r.Close(), r.Close()); err != nil {
					t.Error(err)
				}
				if took := time.Since(since); took != c.within {
					t.Errorf("it takes %v, want %v", took, c.within)
				}
				told := 0
				for _, message := range s.told {
					if !strings.HasPrefix(message, "proof ") {
						told++
					}
				}
				if told != c.want || !s.hung {
					t.Errorf("told %q, hung up: %t", s.told, s.hung)
				}
			})
		})
	}
}
