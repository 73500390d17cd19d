package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/config"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/shardstore"
	"github.com/vedfolnir/session/storetest"
)

func open(t testing.TB, stores ...session.Store) *shardstore.Store {
	t.Helper()
	s, err := shardstore.New(t.Context(), stores...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func memory(n int) (stores []session.Store) {
	for range n {
		stores = append(stores, memstore.New())
	}
	return stores
}

func TestStore(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) session.Store { return open(t, memory(n)...) })
		})
	}
}

// Every store gets its part of the people, and all that is a person's is in one.
func TestPeopleAreSpread(t *testing.T) {
	stores := memory(4)
	s := open(t, stores...)
	at := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	for i := range 400 {
		user := session.UserID(fmt.Sprint(i))
		for range 2 {
			if _, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(user, at)}); err != nil {
				t.Fatal(err)
			}
		}
		if live, err := stores[shardstore.Place(user, 4)].List(t.Context(), user); err != nil || len(live) != 2 {
			t.Fatalf("%s: %d sessions where they should be, %v", user, len(live), err)
		}
	}
	for i, one := range stores {
		if n, err := one.Count(t.Context(), session.Cutoffs{}); err != nil || n < 120 || n > 280 {
			t.Errorf("store %d has %d of 800 sessions, %v", i, n, err)
		}
	}
}

// Splitting each store in two moves nobody anywhere but to one of the two.
func TestASplitStoreHasItsPeopleInTwo(t *testing.T) {
	for i := range 1000 {
		user := session.UserID(fmt.Sprint(i))
		if whole, half := shardstore.Place(user, 3), shardstore.Place(user, 6); half/2 != whole {
			t.Errorf("%s moves from store %d to %d", user, whole, half)
		}
	}
}

func TestAHandleOfAnotherShardIsRefused(t *testing.T) {
	s := open(t, memory(2)...)
	r := storetest.NewRecord("alex", time.Now().UTC().Truncate(time.Microsecond))
	r.ID[0] ^= 0x80
	if _, err := s.Create(t.Context(), session.Creation{Record: r}); !errors.Is(err, shardstore.ErrWrongShard) {
		t.Errorf("%v", err)
	}
}

func TestNoStoresOrOneThatDoesNotAnswerIsRefused(t *testing.T) {
	if _, err := shardstore.New(t.Context()); err == nil {
		t.Error("a store that keeps nothing")
	}
	broken := memstore.New()
	broken.Close()
	if _, err := shardstore.New(t.Context(), memstore.New(), broken); !errors.Is(err, memstore.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// unreliable is a store that can be away, and whose history can be lost.
type unreliable struct {
	session.Store
	away atomic.Bool
	lost atomic.Uint64
}

var errAway = errors.New("away")

func (u *unreliable) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if u.away.Load() {
		return session.Record{}, errAway
	}
	r, err := u.Store.Get(ctx, id)
	r.Epoch += u.lost.Load()
	return r, err
}

func (u *unreliable) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	if u.away.Load() {
		return session.Feed{}, errAway
	}
	feed, err := u.Store.Changes(ctx, after, renew)
	feed.Epoch += u.lost.Load()
	return feed, err
}

func (u *unreliable) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	if u.away.Load() {
		return nil, errAway
	}
	return u.Store.Expire(ctx, x)
}

// namesOf returns a person for each of n stores.
func namesOf(n int) []session.UserID {
	names := make([]session.UserID, n)
	for i, found := 0, 0; found < n; i++ {
		user := session.UserID(fmt.Sprint(i))
		if p := shardstore.Place(user, n); names[p] == "" {
			names[p] = user
			found++
		}
	}
	return names
}

// One store that is away is its own people's trouble: the others are served, and
// swept.
func TestAStoreThatIsAwayKeepsNobodyElseWaiting(t *testing.T) {
	flaky := &unreliable{Store: memstore.New()}
	s := open(t, memstore.New(), flaky)
	m, err := session.New(s, nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer m.Close()
	names := namesOf(2)
	var tokens []session.Token
	for _, user := range names {
		_, token, err := m.Create(t.Context(), session.CreateRequest{UserID: user})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	flaky.away.Store(true)
	fresh, err := session.New(s, nil, session.Config{Sync: config.Sync{Lease: session.NoLease}})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if _, err := fresh.Authenticate(t.Context(), tokens[0], session.Client{}); err != nil {
		t.Errorf("%s, whose store answers: %v", names[0], err)
	}
	var unavailable *session.StoreError
	if _, err := fresh.Authenticate(t.Context(), tokens[1], session.Client{}); !errors.As(err, &unavailable) {
		t.Errorf("%s, whose store is away: %v", names[1], err)
	}
	later := time.Now().Add(time.Hour).UTC()
	for range 2 { // whichever store is the first
		ended, err := s.Expire(t.Context(), session.Expiring{Cutoffs: session.Cutoffs{Absolute: later}, At: later, Limit: 10})
		if !errors.Is(err, errAway) {
			t.Errorf("the store that is away: %v", err)
		}
		for _, r := range ended {
			if r.UserID != names[0] {
				t.Errorf("ended %s", r.UserID)
			}
			names[0] = ""
		}
	}
	if names[0] != "" {
		t.Error("the store that answers was not swept")
	}
}

// A store that has lost its history raises the epoch of all, for everybody alike.
func TestAnEpochThatRisesInOneRisesForAll(t *testing.T) {
	restored := &unreliable{Store: memstore.New()}
	s := open(t, memstore.New(), restored)
	defer s.Close()
	var records []session.Record
	for _, user := range namesOf(2) {
		c, err := s.Create(t.Context(), session.Creation{Record: storetest.NewRecord(user, time.Now().UTC().Truncate(time.Microsecond))})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, c.Record)
	}
	before := records[0].Epoch
	restored.lost.Store(1)
	feed, err := s.Changes(t.Context(), 0, true)
	if err != nil || feed.Epoch != before+1 {
		t.Errorf("epoch %d after %d, %v", feed.Epoch, before, err)
	}
	for _, r := range records {
		if r, err := s.Get(t.Context(), r.ID); err != nil || r.Epoch != feed.Epoch {
			t.Errorf("epoch %d of a record, the feed's is %d, %v", r.Epoch, feed.Epoch, err)
		}
	}
}

// Two stores; which of them a person's sessions are in is nobody else's concern.
func Example() {
	ctx := context.Background()
	store, err := shardstore.New(ctx, memstore.New(), memstore.New()) // pgstore.Open, once for each database
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	m, err := session.New(store, nil, session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	for _, user := range []session.UserID{"alex", "robin"} {
		c, _, err := m.Create(ctx, session.CreateRequest{UserID: user})
		fmt.Println(c.User().ID, "is in store", shardstore.Place(user, 2), err)
	}
	// Output:
	// alex is in store 0 <nil>
	// robin is in store 0 <nil>
}
