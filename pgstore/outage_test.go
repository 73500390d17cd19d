package pgstore_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/pgstore"
)

// proxied opens a store on a new database behind a network that fails.
func proxied(t *testing.T, cfg pgstore.Config) (*tcpproxy.Proxy, *pgstore.Store) {
	t.Helper()
	return behind(t, testservers.PostgreSQL(t), cfg)
}

// behind opens a store on the database at the address through such a network.
func behind(t *testing.T, address string, cfg pgstore.Config) (*tcpproxy.Proxy, *pgstore.Store) {
	t.Helper()
	p := tcpproxy.Start(t, hostOf(t, address))
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	return p, open(t, u.String(), cfg)
}

// hostOf is where the server of an address listens.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(u.Query().Get("host"), u.Query().Get("port"))
}

// crowd has so many ask again and again, reading and writing, until stop is called,
// which returns how often they were answered by an error, and how long the longest
// answer took.
func crowd(t *testing.T, s *pgstore.Store, id session.ID, people int) (stop func() (failed int64, longest time.Duration)) {
	var failures, longest atomic.Int64
	ended := make(chan struct{})
	var asking sync.WaitGroup
	for i := range people {
		asking.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				began := time.Now()
				var err error
				if i%4 == 0 {
					_, err = s.RaiseRev(t.Context(), "alex")
				} else {
					_, err = s.Get(t.Context(), id)
				}
				if took := int64(time.Since(began)); took > longest.Load() {
					longest.Store(took)
				}
				if errors.Is(err, session.ErrNotFound) {
					t.Error("a server that is away knows no session")
				}
				if err != nil {
					failures.Add(1)
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return func() (int64, time.Duration) {
		close(ended)
		asking.Wait()
		return failures.Load(), time.Duration(longest.Load())
	}
}

// While the server is away it is asked for by one connection at a time, at a pace,
// however many want something of it; they are all told at once. When it is back the
// next probe finds it.
func TestAServerThatIsAwayIsNotStormed(t *testing.T) {
	t.Parallel()
	p, s := proxied(t, pgstore.Config{})
	id := signIn(t, s, "alex").ID
	stop := crowd(t, s, id, 200)
	time.Sleep(50 * time.Millisecond) // so that they are in the middle of it: the network is real
	p.Cut()
	before := p.Accepted()
	time.Sleep(2 * time.Second)
	asked := p.Accepted() - before
	p.Heal()
	failed, longest := stop()
	t.Logf("%d connections were asked for in 2 s, while %d calls failed, the slowest after %v", asked, failed, longest)
	if failed < 1000 || asked == 0 || asked > 50 || longest > 3*time.Second {
		t.Errorf("%d calls failed, the slowest took %v, with %d connections", failed, longest, asked)
	}
	back := time.Now()
	for {
		_, read := s.Get(t.Context(), id)
		_, written := s.RaiseRev(t.Context(), "alex")
		if read == nil && written == nil {
			break
		}
		if time.Since(back) > 5*time.Second {
			t.Fatalf("not back: %v, %v", read, written)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("it is back after %v", time.Since(back))
	if took := time.Since(back); took > 3*time.Second {
		t.Errorf("it is back after %v", took)
	}
}

// A network that swallows everything is found out within seconds; from then on nobody
// waits, and when it is whole again it goes on.
func TestASilentServerKeepsNobodyWaitingForLong(t *testing.T) {
	t.Parallel()
	p, s := proxied(t, pgstore.Config{Patience: time.Second})
	id := signIn(t, s, "alex").ID
	p.Swallow()
	for patience := time.Now().Add(30 * time.Second); ; {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := s.Get(ctx, id)
		cancel()
		if err == nil {
			t.Fatal("answered by nobody")
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Fatalf("a read takes %v", took)
		} else if took < 50*time.Millisecond && strings.Contains(err.Error(), "is away") {
			break
		}
		if time.Now().After(patience) {
			t.Fatalf("nobody finds out: %v", err)
		}
	}
	p.Heal()
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := s.Get(t.Context(), id); err == nil {
			return
		} else if time.Now().After(patience) {
			t.Fatal(err)
		}
	}
}

// When all connections are busy, reads wait within a bound; the feed is read, and the
// lease renewed by it, all the same, and so is the question whether the server lives.
func TestReadsWaitForAConnectionWithinABound(t *testing.T) {
	t.Parallel()
	_, s := proxied(t, pgstore.Config{Patience: 500 * time.Millisecond})
	id := signIn(t, s, "alex").ID
	var held []interface{ Rollback() error }
	for range s.PoolStatus().PoolSize {
		tx, err := s.DB().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, tx)
	}
	stop := crowd(t, s, id, 500)
	time.Sleep(time.Second)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Changes(t.Context(), 0, true); err != nil {
		t.Error(err)
	}
	if tx, err := s.DB().BeginTx(t.Context(), nil); err == nil {
		t.Error("somebody has a connection that there is not", tx.Rollback())
	}
	for _, tx := range held {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
	failed, longest := stop()
	if failed < 300 || longest > 8*time.Second {
		t.Errorf("%d failed, the slowest after %v", failed, longest)
	}
	if _, err := s.Get(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// A server has a successor and does not know it. As soon as the feed is read from that
// one, nothing is read from the old one any more, and nothing is written to it, although
// the connections to it are whole.
func TestNothingIsAskedOfAServerThatHasASuccessor(t *testing.T) {
	t.Parallel()
	old := testservers.HastyPostgreSQL(t)
	prepare := open(t, old, pgstore.Config{})
	before := signIn(t, prepare, "alex").ID
	successor := testservers.CopyPostgreSQL(t, old, false)

	p, s := behind(t, old, pgstore.Config{})
	cursor, err := s.Changes(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	lost := signIn(t, s, "robin").ID
	for _, id := range []session.ID{before, lost} {
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	p.Lead(hostOf(t, successor))
	execute(t, old, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'WITH here AS%session_nodes%' AND pid <> pg_backend_pid()`)
	var after session.Feed
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if after, err = s.Changes(t.Context(), cursor.Next, true); err == nil && after.Epoch > cursor.Epoch {
			break
		} else if time.Now().After(patience) {
			t.Fatalf("nothing is noticed: %+v, %v", after, err)
		}
	}
	if _, err := s.Get(t.Context(), lost); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("what the successor does not have: %v", err)
	}
	r, err := s.Get(t.Context(), before)
	if err != nil || r.Epoch != after.Epoch {
		t.Errorf("what it has: epoch %d, %v", r.Epoch, err)
	}
	if _, _, err := s.SwitchPlatform(t.Context(), before, "2", start, 0); err != nil {
		t.Fatal(err)
	}
	if there, err := open(t, successor, pgstore.Config{}).Get(t.Context(), before); err != nil || there.PlatformID != "2" {
		t.Errorf("a change went elsewhere: %+v, %v", there, err)
	}

	// An address that leads back to the old one, which goes on taking changes.
	lead := func(server string) {
		p.Lead(hostOf(t, server))
		for _, server := range []string{old, successor} {
			execute(t, server, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		}
	}
	lead(old)
	refused := func(what string, ask func() error) {
		t.Helper()
		for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			switch err := ask(); {
			case err == nil:
				t.Fatalf("%s: a server that has a successor is asked", what)
			case strings.Contains(err.Error(), "has a successor"):
				return
			case time.Now().After(patience):
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	refused("the feed", func() error { _, err := s.Changes(t.Context(), after.Next, true); return err })
	refused("a read", func() error { _, err := s.Get(t.Context(), before); return err })
	refused("a change", func() error { _, _, err := s.SwitchPlatform(t.Context(), before, "3", start, 0); return err })
	lead(successor)
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if r, err := s.Get(t.Context(), before); err == nil {
			if r.PlatformID != "2" {
				t.Errorf("then %+v", r)
			}
			break
		} else if time.Now().After(patience) {
			t.Fatal(err)
		}
	}
}
