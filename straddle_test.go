package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/membus"
	"github.com/vedfolnir/session/memstore"
)

// A record is read with its user's rev. When that rises meanwhile, by whatever
// becomes of another session or of the profile, the reading is an old one, though
// the session itself has not changed.
func TestAReadThatStraddlesAChangeOfTheUserIsNotKept(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(here, there *session.Manager, other session.ID) error
	}{
		{"a sign-in", func(here, _ *session.Manager, _ session.ID) error {
			_, _, err := here.Create(context.Background(), session.CreateRequest{UserID: "1"})
			return err
		}},
		{"another session's end", func(here, _ *session.Manager, other session.ID) error {
			return here.Revoke(context.Background(), other, session.RevokedByUser, "1")
		}},
		{"another session's end on another node", func(_, there *session.Manager, other session.ID) error {
			return there.Revoke(context.Background(), other, session.RevokedByUser, "1")
		}},
		{"a change of the profile", func(here, _ *session.Manager, _ session.ID) error {
			return here.DirectoryChanged(context.Background(), "1")
		}},
		{"a change of the profile on another node", func(_, there *session.Manager, _ session.ID) error {
			return there.DirectoryChanged(context.Background(), "1")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := memstore.New()
				store := &slowReads{Store: all, read: make(chan struct{})}
				bus := new(membus.Bus)
				here := open(t, store, people, session.Config{Bus: bus})
				there := open(t, all, people, session.Config{Bus: bus})
				c, token := signIn(t, there, "1")
				other, _ := signIn(t, there, "1")
				synctest.Wait() // the lease holds, and the user is not remembered here

				hold := store.holdNext()
				var wg sync.WaitGroup
				wg.Go(func() {
					if _, err := here.Authenticate(context.Background(), token, firefox); err != nil {
						t.Error(err)
					}
				})
				<-store.read
				if err := test.change(here, there, other.Session.ID); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				close(hold)
				wg.Wait()
				stored, err := all.Get(t.Context(), c.Session.ID)
				if err != nil {
					t.Fatal(err)
				}
				seen, err := here.Authenticate(t.Context(), token, firefox)
				if err != nil || seen.Stamp().Rev != stored.Rev {
					t.Errorf("the next request sees rev %d, the store has %d; %v", seen.Stamp().Rev, stored.Rev, err)
				}
			})
		})
	}
}

// A read that somebody began before may say yes to a later request, and never no: the
// request's token may be newer than the read, and this node may not have heard of it.
func TestARequestIsNotRefusedByAReadFromBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := memstore.New()
		store := &slowReads{Store: all, read: make(chan struct{})}
		here := open(t, store, people, session.Config{}) // without a bus
		there := open(t, all, people, session.Config{})
		_, token := signIn(t, there, "1")
		synctest.Wait()

		hold := store.holdNext()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := here.Authenticate(context.Background(), token, firefox); err != nil {
				t.Errorf("by the token that was good when it came: %v", err)
			}
		})
		<-store.read // the store has said which token is good
		_, fresh, err := there.Rotate(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if _, err := here.Authenticate(context.Background(), fresh, firefox); err != nil {
				t.Errorf("by the token that has just come: %v", err)
			}
		})
		synctest.Wait()
		close(hold)
		wg.Wait()
	})
}

// Who is woken by a change must not be answered from before it.
func TestASubscriptionIsNotAnsweredByAReadFromBeforeTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowReads{Store: memstore.New(), read: make(chan struct{})}
		m := open(t, store, people, session.Config{Sync: session.Sync{Lease: session.NoLease}})
		c, token := signIn(t, m, "1")
		s, err := m.Subscribe(t.Context(), c.Session.ID, session.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if e, err := s.Next(t.Context()); err != nil || e.Kind != session.StateChanged {
			t.Fatalf("%q, %v", e.Kind, err)
		}
		var wg sync.WaitGroup
		told := make(chan session.Event, 1)
		wg.Go(func() {
			e, err := s.Next(context.Background())
			if err != nil {
				t.Error(err)
			}
			told <- e
		})
		synctest.Wait()
		hold := store.holdNext()
		wg.Go(func() {
			if _, err := m.Authenticate(context.Background(), token, firefox); err != nil {
				t.Error(err)
			}
		})
		<-store.read
		signIn(t, m, "1")
		synctest.Wait()
		close(hold)
		synctest.Wait()
		select {
		case e := <-told:
			if e.Kind != session.SessionsChanged {
				t.Errorf("told of %q", e.Kind)
			}
		default:
			t.Error("told nothing of the sign-in")
			m.Drain()
		}
		wg.Wait()
	})
}

// Activity raises no version, so what another node stored of it comes with a
// version that is known.
func TestNewerActivityOfTheSameVersionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, now := memstore.New(), newClock()
		store := &countingStore{Store: all}
		here := open(t, store, people, session.Config{Now: now.Now})
		there := open(t, all, people, session.Config{Now: now.Now})
		c, token := signIn(t, here, "1")
		authenticate := func() (reads int64) {
			before := store.reads.Load()
			if _, err := here.Authenticate(t.Context(), token, firefox); err != nil {
				t.Fatal(err)
			}
			return store.reads.Load() - before
		}
		synctest.Wait()
		authenticate() // from now on it is remembered
		now.Add(5 * time.Hour)
		if _, err := there.Touch(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		now.Add(20 * time.Hour) // past what is remembered here
		if n := authenticate(); n != 1 {
			t.Errorf("%d reads before a refusal", n)
		}
		if n := authenticate(); n != 0 {
			t.Errorf("%d reads once the newer activity is known", n)
		}
	})
}

// A long request holds a Context past the session's deadline. Nobody has swept the
// session yet, and what the request does must not bring it back.
func TestWhatALongRequestHoldsDoesNotReviveAnExpiredSession(t *testing.T) {
	for _, test := range []struct {
		name   string
		reason session.Reason
		config session.Timeout
		change func(m *session.Manager, c session.Context) error
	}{
		{"touch past the idle deadline", session.IdleTimeout, session.Timeout{IdleTimeout: time.Hour}, touchIt},
		{"touch past the lifetime", session.LifetimeOver, session.Timeout{SessionLifetime: time.Hour, IdleTimeout: 45 * time.Minute, ActivityWriteInterval: 29 * time.Minute}, touchIt},
		{"refresh past the idle deadline", session.IdleTimeout, session.Timeout{IdleTimeout: time.Hour}, refreshIt},
		{"refresh past the lifetime", session.LifetimeOver, session.Timeout{SessionLifetime: 2 * time.Hour, IdleTimeout: 2 * time.Hour, ActivityWriteInterval: time.Hour}, refreshIt},
		{"switch past the idle deadline", session.IdleTimeout, session.Timeout{IdleTimeout: time.Hour}, switchIt},
	} {
		t.Run(test.name, func(t *testing.T) {
			now, store := newClock(), &countingStore{Store: memstore.New()}
			directory := &asked{Directory: people}
			m := open(t, store, directory, session.Config{Now: now.Now, Timeout: test.config, Features: session.Features{NoBackgroundCleanup: true}})
			c, token := signIn(t, m, "1")
			late := func() { now.Add(c.Deadlines().First().Sub(now.Now())) }
			if test.name == "switch past the idle deadline" {
				// A switch looks itself whether the session lives: it expires
				// while the directory is asked.
				directory.hook.Store(&late)
			} else {
				late()
			}
			before, err := store.Store.Get(t.Context(), c.Session.ID)
			if err != nil {
				t.Fatal(err)
			}
			wantEnded(t, test.change(m, c), test.reason)
			after, err := store.Store.Get(t.Context(), c.Session.ID)
			if err != nil || after != before {
				t.Errorf("stored\n%+v, was\n%+v; %v", after, before, err)
			}
			directory.hook.Store(nil)
			_, err = m.Authenticate(t.Context(), token, firefox)
			wantEnded(t, err, test.reason)
		})
	}
}

func touchIt(m *session.Manager, c session.Context) error {
	_, err := m.Touch(context.Background(), c)
	return err
}

func refreshIt(m *session.Manager, c session.Context) error {
	_, err := m.Refresh(context.Background(), c)
	return err
}

func switchIt(m *session.Manager, c session.Context) error {
	_, err := m.SwitchPlatform(context.Background(), c.Session.ID, "12")
	return err
}

// What a request holds may be older than the session: only the store says no.
func TestAnOldContextOfALivingSessionIsNotRefused(t *testing.T) {
	for name, change := range map[string]func(*session.Manager, session.Context) error{
		"touch": touchIt, "refresh": refreshIt, "switch": switchIt,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now, store := newClock(), memstore.New()
				here := open(t, store, people, session.Config{Now: now.Now})
				there := open(t, store, people, session.Config{Now: now.Now})
				c, token := signIn(t, here, "1")
				synctest.Wait()
				if _, err := here.Authenticate(t.Context(), token, firefox); err != nil { // it is remembered as it is now
					t.Fatal(err)
				}
				now.Add(5 * time.Hour)
				if err := touchIt(there, c); err != nil {
					t.Fatal(err)
				}
				now.Add(20 * time.Hour)
				if err := change(here, c); err != nil {
					t.Fatal(err)
				}
				if c, err := here.Touch(t.Context(), c); err != nil || !c.Deadlines().Idle.After(now.Now()) {
					t.Errorf("idle until %v, at %v; %v", c.Deadlines().Idle, now.Now(), err)
				}
			})
		})
	}
}

// What is presented for a rotation becomes the previous token, which stays good: it
// has to be one of the session's.
func TestOnlyATokenOfTheSessionCanBeRotated(t *testing.T) {
	store, now := memstore.New(), newClock()
	m := open(t, store, people, session.Config{Now: now.Now})
	c, first := signIn(t, m, "1")
	forged, err := session.ParseToken(c.Session.ID.String() + "." + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(presented session.Token) (session.Token, error) {
		t.Helper()
		_, token, err := m.Rotate(t.Context(), presented)
		return token, err
	}
	refused := func(presented session.Token, want error) {
		t.Helper()
		before, err := store.Get(t.Context(), c.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		if token, err := rotate(presented); !errors.Is(err, want) || token != (session.Token{}) {
			t.Errorf("error %v, want %v", err, want)
		}
		if after, err := store.Get(t.Context(), c.Session.ID); err != nil || after != before {
			t.Errorf("stored\n%+v, was\n%+v; %v", after, before, err)
		}
	}
	refused(forged, session.ErrNotFound)
	refused(session.Token{}, session.ErrNotFound)

	if _, err := rotate(first); err != nil {
		t.Fatal(err)
	}
	refused(first, session.ErrConflict) // the answer may be on its way, to another tab
	now.Add(2 * 10 * time.Second)
	second, err := rotate(first)
	if err != nil {
		t.Fatalf("the previous one, as the new one was lost: %v", err)
	}
	if _, err := m.Authenticate(t.Context(), second, firefox); err != nil { // it arrives
		t.Fatal(err)
	}
	refused(first, session.ErrConflict)
	now.Add(time.Minute)
	refused(first, session.ErrConflict)
	third, err := rotate(second)
	if err != nil {
		t.Fatal(err)
	}
	refused(first, session.ErrNotFound) // it is not known any more
	if err := m.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	_, _, err = m.Rotate(t.Context(), third)
	wantEnded(t, err, session.SignedOut)
	if _, _, err = m.Rotate(t.Context(), forged); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a stranger is told %v", err)
	}
}

func TestASignInAsksTheDirectoryOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := &asked{Directory: people}
		m := open(t, memstore.New(), directory, session.Config{})
		synctest.Wait()
		if c, _ := signIn(t, m, "1"); c.User().Username != "alex" || directory.times.Load() != 1 {
			t.Errorf("signed in as %q, and asked %d times", c.User().Username, directory.times.Load())
		}
	})
}

// What a sign-in or a switch has just heard of the person is what all of their
// sessions show from then on.
func TestWhatASignInHearsOfThePersonIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		directory := &changing{people: people}
		m := open(t, memstore.New(), directory, session.Config{})
		c, token := signIn(t, m, "1")
		synctest.Wait()
		name := func() string {
			c, err := m.Authenticate(t.Context(), token, firefox)
			if err != nil {
				t.Fatal(err)
			}
			return c.User().Username
		}
		if got := name(); got != "alex" {
			t.Fatal(got)
		}
		for to, hear := range map[string]func() error{
			"Alexandra": func() error { _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"}); return err },
			"Alexis":    func() error { _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); return err },
		} {
			p := people[0]
			p.User.Username = to
			directory.set(session.StaticDirectory{p})
			if err := hear(); err != nil {
				t.Fatal(err)
			}
			if got := name(); got != to {
				t.Errorf("shows %q, and %q was heard", got, to)
			}
		}
	})
}

func TestValidatePassesOnWhatIsNoAnswer(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, err := m.Validate(t.Context(), c.Session.ID, "1"); ok || !errors.Is(err, session.ErrClosed) {
		t.Errorf("of a closed manager: %v, %v", ok, err)
	}
	if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"}); !errors.Is(err, session.ErrClosed) {
		t.Errorf("a sign-in to a closed manager: %v", err)
	}
}

// A read is shared by many and runs for none of them: its panic must not take the
// process with it.
func TestAPanicInASharedReadIsAnError(t *testing.T) {
	panics := func() { panic("index out of range") }
	store, directory := &panicking{Store: memstore.New()}, &asked{Directory: people}
	m := open(t, store, directory, session.Config{Sync: session.Sync{Lease: session.NoLease}})
	_, token := signIn(t, m, "1")
	for name, set := range map[string]func(on bool){
		"store": store.now.Store,
		"directory": func(on bool) {
			directory.hook.Store(nil)
			if on {
				directory.hook.Store(&panics)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			set(true)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					_, err := m.Authenticate(context.Background(), token, firefox)
					var failed *session.StoreError
					if !errors.As(err, &failed) || !errors.Is(err, session.ErrUnavailable) {
						t.Errorf("error %v", err)
					} else if text := err.Error(); !strings.Contains(text, "index out of range") || !strings.Contains(text, "straddle_test.go") && !strings.Contains(text, "stores_test.go") {
						t.Errorf("it does not say what and where: %s", text)
					}
				})
			}
			wg.Wait()
			set(false)
			if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
