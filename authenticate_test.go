package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/membus"
	"github.com/vedfolnir/session/memstore"
)

// Lesson 24: a request in flight during sign-out brings the session back.
func TestLesson24_AReadThatStraddlesARevokeDoesNotReviveTheSession(t *testing.T) {
	store := &slowReads{Store: memstore.New(), read: make(chan struct{})}
	m := open(t, store, people, session.Config{})
	c, token := signIn(t, m, "1")
	waitForLease(t, m, token)
	if err := m.DirectoryChanged(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	other, otherToken := signIn(t, m, "1") // never read: not remembered
	_ = c

	hold := store.holdNext()
	var wg sync.WaitGroup
	results := make(chan error, 2)
	wg.Go(func() {
		_, err := m.Authenticate(context.Background(), otherToken, firefox)
		results <- err
	})
	<-store.read // the store has said yes; the answer is held back
	wg.Go(func() {
		_, err := m.Authenticate(context.Background(), otherToken, firefox) // joins, or reads for itself
		results <- err
	})
	if _, err := m.RevokeUser(t.Context(), "1", session.RevokedByAdmin, "admin"); err != nil {
		t.Fatal(err)
	}
	// The revoke is acknowledged: nobody who comes now joins the held read.
	_, err := m.Authenticate(t.Context(), otherToken, firefox)
	wantEnded(t, err, session.RevokedByAdmin)
	close(hold)
	wg.Wait()
	for range 2 {
		wantEnded(t, <-results, session.RevokedByAdmin)
	}
	if _, err = m.Get(t.Context(), other.Session.ID); err == nil {
		t.Error("the straddling read was kept")
	}
}

func TestMissesOfOneSessionShareOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memstore.New()}
		slow := &slowReads{Store: store, read: make(chan struct{}, 1)}
		m := open(t, slow, people, session.Config{})
		_, token := signIn(t, m, "1") // and not remembered
		synctest.Wait()               // the feed has been read for the first time, which spoils every read
		before := store.reads.Load()
		hold := slow.holdNext()
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				if _, err := m.Authenticate(context.Background(), token, firefox); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		wg.Wait()
		if n := store.reads.Load() - before; n != 1 {
			t.Errorf("2000 concurrent misses made %d reads", n)
		}
	})
}

// With a grace, sessions that a node knows go on being good for reading while the
// store is away: for so long after the lease. A change is refused, and what was seen to
// end has ended.
func TestTheGraceOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New()
		broken := &brokenStore{Store: shared}
		m := open(t, broken, people, session.Config{Sync: session.Sync{OutageGrace: 30 * time.Second}})
		other := open(t, shared, people, session.Config{})
		_, token := signIn(t, m, "1")
		late, lateToken := signIn(t, m, "1")
		known, knownToken := signIn(t, m, "1")
		_, strangeToken := signIn(t, other, "1")
		synctest.Wait()
		authenticate := func(token session.Token) error {
			_, err := m.Authenticate(t.Context(), token, firefox)
			return err
		}
		for _, token := range []session.Token{token, lateToken, knownToken} {
			if err := authenticate(token); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Revoke(t.Context(), known.Session.ID, session.SignedOut, "1"); err != nil {
			t.Fatal(err)
		}
		broken.down.Store(true)
		began := time.Now()
		if err := other.Revoke(t.Context(), late.Session.ID, session.SignedOut, "1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if err := authenticate(token); err != nil || !m.InGrace() {
			t.Errorf("in the grace: %v", err)
		}
		if err := authenticate(lateToken); err != nil { // what the grace costs
			t.Errorf("an end elsewhere is heard of though the store is away: %v", err)
		}
		for what, token := range map[string]session.Token{"an end that was seen": knownToken, "what is not known": strangeToken} {
			if err := authenticate(token); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		time.Sleep(32*time.Second - time.Since(began))
		if err := authenticate(token); !errors.Is(err, session.ErrUnavailable) || m.InGrace() {
			t.Errorf("after the grace: %v", err)
		}
		broken.down.Store(false)
		time.Sleep(time.Second)
		if err := authenticate(token); err != nil || m.InGrace() {
			t.Errorf("when the store is back: %v", err)
		}
		wantEnded(t, authenticate(lateToken), session.SignedOut)
	})
}

// breakingStore goes away when it is to end something: that happens, and the answer is
// lost.
type breakingStore struct{ *brokenStore }

func (s breakingStore) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	if _, err := s.Store.End(ctx, e); err != nil {
		return nil, err
	}
	s.down.Store(true)
	return nil, errDown
}

// What may have ended, as far as a node knows, is not served in the grace of an outage.
func TestAnEndWhoseAnswerIsLostIsNoneToSitOut(t *testing.T) {
	for what, end := range map[string]func(ctx context.Context, m *session.Manager, c session.Context) error{
		"of one session": func(ctx context.Context, m *session.Manager, c session.Context) error {
			return m.Revoke(ctx, c.Session.ID, session.SignedOut, "1")
		},
		"of all of a person's": func(ctx context.Context, m *session.Manager, c session.Context) error {
			_, err := m.RevokeUser(ctx, "1", session.CredentialChanged, "1")
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, breakingStore{&brokenStore{Store: memstore.New()}}, people, session.Config{Sync: session.Sync{OutageGrace: time.Minute}})
			c, token := signIn(t, m, "1")
			_, others := signIn(t, m, "2")
			synctest.Wait()
			for _, token := range []session.Token{token, others} {
				if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
					t.Fatal(err)
				}
			}
			if err := end(t.Context(), m, c); !errors.Is(err, session.ErrUnavailable) {
				t.Fatalf("an end %s: %v", what, err)
			}
			time.Sleep(10 * time.Second)
			if _, err := m.Authenticate(t.Context(), token, firefox); !errors.Is(err, session.ErrUnavailable) {
				t.Errorf("after an end %s: %v", what, err)
			}
			if _, err := m.Authenticate(t.Context(), others, firefox); err != nil || !m.InGrace() {
				t.Errorf("another person, after an end %s: %v", what, err)
			}
		})
	}
}

func TestSnapshotsAnswerWhileTheLeaseHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memstore.New()}
		broken := &brokenStore{Store: store}
		m := open(t, broken, people, session.Config{})
		_, token := signIn(t, m, "1")
		synctest.Wait()
		authenticate := func() error {
			_, err := m.Authenticate(t.Context(), token, firefox)
			return err
		}
		if err := authenticate(); err != nil {
			t.Fatal(err)
		}
		reads := store.reads.Load()
		for range 100 {
			if err := authenticate(); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.reads.Load() - reads; n != 0 {
			t.Errorf("%d reads for 100 requests under the lease", n)
		}
		broken.down.Store(true)
		time.Sleep(1400 * time.Millisecond)
		if err := authenticate(); err != nil {
			t.Errorf("while the lease holds: %v", err)
		}
		time.Sleep(time.Second)
		if err := authenticate(); !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) {
			t.Errorf("lesson 37: with the lease over and the store down: %v", err)
		}
		broken.down.Store(false)
		time.Sleep(time.Second)
		if err := authenticate(); err != nil {
			t.Errorf("after the store's return: %v", err)
		}
	})
}

// A store that has a successor goes on telling what it knows, and renews nobody's lease:
// however often a node is woken to hear it, it remembers nothing for longer than that.
func TestTheBusRenewsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, bus := &countingStore{Store: memstore.New()}, new(membus.Bus)
		replaced := &replacedStore{Store: store}
		m := open(t, replaced, people, session.Config{Bus: bus})
		tell, leave := bus.Join(func() {})
		defer leave()
		_, token := signIn(t, m, "1")
		synctest.Wait()
		asks := func() bool {
			before := store.reads.Load()
			if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
				t.Fatal(err)
			}
			return store.reads.Load() != before
		}
		asks()
		if asks() {
			t.Fatal("nothing is remembered under the lease")
		}
		replaced.now.Store(true)
		for range 25 {
			time.Sleep(100 * time.Millisecond)
			tell()
		}
		synctest.Wait()
		if told := replaced.told.Load(); told < 20 {
			t.Errorf("heard %d times", told)
		}
		if !asks() {
			t.Error("the lease is over, and what is remembered is good")
		}
	})
}

func TestWithoutALeaseEveryRequestAsksTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memstore.New()}
		m := open(t, store, people, session.Config{Sync: session.Sync{Lease: session.NoLease}})
		_, token := signIn(t, m, "1")
		synctest.Wait() // the feed has been read for the first time, which spoils every read
		before := store.reads.Load()
		for range 10 {
			if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
				t.Fatal(err)
			}
		}
		if n := store.reads.Load() - before; n != 10 {
			t.Errorf("%d reads for 10 requests", n)
		}
	})
}

func TestAnotherNodeHearsWithinTheLeaseAndAtOnceWithABus(t *testing.T) {
	for _, test := range []struct {
		name   string
		bus    session.Bus
		within time.Duration
	}{{"without a bus", nil, 2 * time.Second}, {"with a bus", new(membus.Bus), 0}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				here := open(t, store, people, session.Config{Bus: test.bus})
				there := open(t, store, people, session.Config{Bus: test.bus})
				c, token := signIn(t, here, "1")
				synctest.Wait()
				if _, err := there.Authenticate(t.Context(), token, firefox); err != nil {
					t.Fatal(err)
				}
				if err := here.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
					t.Fatal(err)
				}
				_, err := here.Authenticate(t.Context(), token, firefox)
				wantEnded(t, err, session.SignedOut)
				time.Sleep(test.within)
				synctest.Wait()
				_, err = there.Authenticate(t.Context(), token, firefox)
				wantEnded(t, err, session.SignedOut)
			})
		})
	}
}

// Who is told by a node that sessions are over is not served them by that node, though
// another one had ended them, and it has not heard so yet.
func TestWhatANodeSaysIsOverItServesNoMore(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *session.Manager, session.ID){
		"the others": func(t *testing.T, m *session.Manager, _ session.ID) {
			if n, err := m.RevokeOthers(t.Context(), "1", session.ID{}, session.RevokedByUser, "1"); err != nil || n != 0 {
				t.Errorf("%d ended, %v", n, err)
			}
		},
		"all of a user": func(t *testing.T, m *session.Manager, _ session.ID) {
			if n, err := m.RevokeUser(t.Context(), "1", session.RevokedByAdmin, "9"); err != nil || n != 0 {
				t.Errorf("%d ended, %v", n, err)
			}
		},
		"one": func(t *testing.T, m *session.Manager, id session.ID) {
			wantEnded(t, m.Revoke(t.Context(), id, session.RevokedByUser, "1"), session.SignedOut)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				here, there := open(t, store, people, session.Config{}), open(t, store, people, session.Config{})
				c, token := signIn(t, there, "1")
				synctest.Wait()
				for range 2 { // the second one is remembered
					if _, err := here.Authenticate(t.Context(), token, firefox); err != nil {
						t.Fatal(err)
					}
				}
				if err := there.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
					t.Fatal(err)
				}
				if _, err := here.Authenticate(t.Context(), token, firefox); err != nil {
					t.Fatalf("it has heard already, and there is nothing to show: %v", err)
				}
				end(t, here, c.Session.ID)
				_, err := here.Authenticate(t.Context(), token, firefox)
				wantEnded(t, err, session.SignedOut)
			})
		})
	}
}

func TestRotation(t *testing.T) {
	setUp := func(t *testing.T) (*session.Manager, *clock, session.Token) {
		now := newClock()
		m := open(t, memstore.New(), people, session.Config{Now: now.Now})
		_, token := signIn(t, m, "1")
		return m, now, token
	}
	good := func(t *testing.T, m *session.Manager, token session.Token) {
		t.Helper()
		if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
			t.Errorf("a good token: %v", err)
		}
	}
	t.Run("lesson 26: the previous token is good until the overlap after the first use", func(t *testing.T) {
		m, now, old := setUp(t)
		_, fresh, err := m.Rotate(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		now.Add(time.Hour)
		good(t, m, old)
		good(t, m, fresh) // the overlap begins
		now.Add(10*time.Second - time.Microsecond)
		good(t, m, old)
		good(t, m, fresh)
		now.Add(time.Microsecond)
		_, err = m.Authenticate(t.Context(), old, firefox)
		wantEnded(t, err, session.TokenReplayed)
		_, err = m.Authenticate(t.Context(), fresh, firefox)
		wantEnded(t, err, session.TokenReplayed)
	})
	t.Run("a rotation whose token never arrives lapses", func(t *testing.T) {
		m, now, old := setUp(t)
		_, lost, err := m.Rotate(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		now.Add(20 * time.Hour)
		good(t, m, old)
		_, fresh, err := m.Rotate(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		good(t, m, fresh)
		good(t, m, old)
		if _, err := m.Authenticate(t.Context(), lost, firefox); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the lost token: %v", err)
		}
		good(t, m, fresh)
	})
	t.Run("of two rotations at once one wins", func(t *testing.T) {
		m, _, old := setUp(t)
		if _, _, err := m.Rotate(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if _, token, err := m.Rotate(t.Context(), old); !errors.Is(err, session.ErrConflict) || token != (session.Token{}) {
			t.Errorf("the second: %v", err)
		}
	})
	t.Run("any other wrong secret ends nothing", func(t *testing.T) {
		m, now, first := setUp(t)
		_, second, err := m.Rotate(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		good(t, m, second)
		now.Add(time.Minute)
		good(t, m, second)
		_, third, err := m.Rotate(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		good(t, m, third)
		now.Add(time.Minute)
		if _, err := m.Authenticate(t.Context(), first, firefox); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a token from two rotations ago: %v", err)
		}
		good(t, m, third)
	})
}

func TestAStoreThatFailsIsUnavailableAndNeverNotFound(t *testing.T) {
	broken := &brokenStore{Store: memstore.New()}
	m := open(t, broken, people, session.Config{Sync: session.Sync{Lease: session.NoLease}})
	c, token := signIn(t, m, "1")
	broken.down.Store(true)
	_, byToken := m.Authenticate(t.Context(), token, firefox)
	_, byID := m.Get(t.Context(), c.Session.ID)
	_, validate := m.Validate(t.Context(), c.Session.ID, "1")
	for name, err := range map[string]error{
		"Authenticate": byToken, "Get": byID, "Validate": validate,
		"Revoke": m.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"),
	} {
		var store *session.StoreError
		if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrNotFound) || !errors.As(err, &store) || !errors.Is(err, errDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLesson38_NothingOfASessionLivesInTheProcess(t *testing.T) {
	store := memstore.New()
	before := open(t, store, people, session.Config{})
	c, token := signIn(t, before, "1")
	revoked, revokedToken := signIn(t, before, "1")
	if err := before.Revoke(t.Context(), revoked.Session.ID, session.RevokedByUser, "1"); err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	after := open(t, store, people, session.Config{})
	if got, err := after.Authenticate(t.Context(), token, firefox); err != nil || got.Session.ID != c.Session.ID {
		t.Errorf("after a restart: %v", err)
	}
	_, err := after.Authenticate(t.Context(), revokedToken, firefox)
	wantEnded(t, err, session.RevokedByUser)
}
