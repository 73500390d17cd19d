package pgstore_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/shardstore"
)

// sharded is one store of n databases, as a node of its own sees it.
func sharded(t testing.TB, urls []string) (*shardstore.Store, []*pgstore.Store) {
	t.Helper()
	var each []*pgstore.Store
	var stores []session.Store
	for _, url := range urls {
		s := open(t, url, pgstore.Config{})
		each, stores = append(each, s), append(stores, s)
	}
	s, err := shardstore.New(t.Context(), stores...)
	if err != nil {
		t.Fatal(err)
	}
	return s, each
}

func databases(t testing.TB, n int) (urls []string) {
	for range n {
		urls = append(urls, testservers.PostgreSQL(t))
	}
	return urls
}

// Two nodes serve the people of four databases as of one: what is done on one node
// holds on the other, whichever database it is in, and a database that is away takes
// nobody with it whose sessions are in another.
func TestFourDatabasesBehindOneSetOfNodes(t *testing.T) {
	t.Parallel()
	urls := databases(t, 4)
	var stores [2][]*pgstore.Store
	var nodes [2]*session.Manager
	for i := range nodes {
		s, each := sharded(t, urls)
		m, err := session.New(s, nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil && !errors.Is(err, pgstore.ErrClosed) {
				t.Error(err)
			}
		})
		nodes[i], stores[i] = m, each
	}
	tokens := map[session.UserID]session.Token{}
	ended := map[session.UserID]session.Token{}
	in := [4]int{}
	for i := range 40 {
		user := session.UserID(fmt.Sprint(i))
		c, token, err := nodes[0].Create(t.Context(), session.CreateRequest{UserID: user})
		if err != nil {
			t.Fatal(err)
		}
		in[shardstore.Place(user, 4)]++
		if _, err := nodes[1].Authenticate(t.Context(), token, session.Client{}); err != nil {
			t.Errorf("%s on the other node: %v", user, err)
		}
		if tokens[user] = token; i%4 > 0 {
			continue
		}
		if err := nodes[0].Revoke(t.Context(), c.Session.ID, session.SignedOut, string(user)); err != nil {
			t.Fatal(err)
		}
		ended[user] = token
		delete(tokens, user)
	}
	if in[0] == 0 || in[1] == 0 || in[2] == 0 || in[3] == 0 {
		t.Errorf("sessions in the four databases: %v", in)
	}
	authenticate := func(token session.Token) error {
		_, err := nodes[1].Authenticate(t.Context(), token, session.Client{})
		return err
	}
	withinTheLease := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(nodes[1].Config().Sync.Lease + time.Second); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	for user, token := range ended {
		withinTheLease(string(user)+" has signed out and is served by the other node", func() bool {
			_, over := session.Ended(authenticate(token))
			return over
		})
	}
	if err := stores[1][2].Close(); err != nil { // as if it were away
		t.Fatal(err)
	}
	unavailable := func(err error) bool { return errors.As(err, new(*session.StoreError)) }
	for user, token := range tokens {
		if shardstore.Place(user, 4) == 2 {
			withinTheLease("the database of "+string(user)+" is away, and what it may say is remembered", func() bool { return unavailable(authenticate(token)) })
		}
	}
	for user, token := range tokens {
		if err := authenticate(token); shardstore.Place(user, 4) != 2 && err != nil {
			t.Errorf("%s, whose database answers: %v", user, err)
		}
	}
}

// BenchmarkShards is the rate of durable switches by one node of 1, 2 and 4 databases
// on one machine, whose processors and disk they share, and, beside it, of stores in
// memory, which shows what the way there costs.
func BenchmarkShards(b *testing.B) {
	for _, n := range []int{1, 2, 4} {
		pg, _ := sharded(b, databases(b, n))
		var inMemory []session.Store
		for range n {
			inMemory = append(inMemory, memstore.New())
		}
		mem, err := shardstore.New(b.Context(), inMemory...)
		if err != nil {
			b.Fatal(err)
		}
		for name, s := range map[string]session.Store{"PostgreSQL": pg, "memory": mem} {
			ids := fill(b, s, 10_000)
			var platforms atomic.Int64
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				perSecond(b, 256, func(i int) {
					platform := session.PlatformID(fmt.Sprint(platforms.Add(1)))
					if _, _, err := s.SwitchPlatform(b.Context(), ids[i%len(ids)], platform, start, 0); err != nil {
						b.Error(err)
					}
				})
			})
		}
	}
}
