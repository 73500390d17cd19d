package session_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// people of every test here.
var people = session.StaticDirectory{
	{User: session.User{ID: "1", Username: "alex", Email: "alex@example.com"}, Platforms: []session.Platform{
		{ID: "11", Name: "My Pixelfed", Type: "pixelfed", InstanceURL: "https://pixelfed.social", IsDefault: true},
		{ID: "12", Name: "My Mastodon", Type: "mastodon", InstanceURL: "https://mastodon.social"},
		{ID: "13", Name: "Work", Type: "mastodon", InstanceURL: "https://example.social"},
	}},
	{User: session.User{ID: "2", Username: "sam", Email: "sam@example.com"}, Platforms: []session.Platform{
		{ID: "21", Name: "Sam's", Type: "mastodon", InstanceURL: "https://mastodon.social"},
	}},
	{User: session.User{ID: "3", Username: "robin", Email: "robin@example.com"}},
}

// quiet is a logger for tests that do not look at it.
var quiet = slog.New(slog.DiscardHandler)

// open returns a manager on a store, closed with the test.
func open(t testing.TB, store session.Store, directory session.Directory, config session.Config) *session.Manager {
	t.Helper()
	if config.Logger == nil {
		config.Logger = quiet
	}
	m, err := session.New(store, directory, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func signIn(t testing.TB, m *session.Manager, user session.UserID) (session.Context, session.Token) {
	t.Helper()
	c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: user, Client: firefox})
	if err != nil {
		t.Fatal(err)
	}
	return c, token
}

var firefox = session.Client{
	UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	IPAddress: "192.0.2.7", Language: "en-GB,en;q=0.8",
}

// wantEnded fails unless err says that the session ended for that reason.
func wantEnded(t testing.TB, err error, want session.Reason) {
	t.Helper()
	if got, ok := session.Ended(err); !ok || got != want {
		t.Fatalf("error %v: want an end for reason %q", err, want)
	}
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestNewReportsEveryMistakeAtOnce(t *testing.T) {
	_, err := session.New(nil, nil, session.Config{
		Timeout:  session.Timeout{SessionLifetime: 10 * 24 * time.Hour, IdleTimeout: -time.Second},
		Security: session.Security{LimitPolicy: "newest", Keys: [][]byte{[]byte("short")}},
	})
	for _, want := range []string{"store is nil", "SESSION_IDLE_TIMEOUT_SECONDS", "SESSION_LIMIT_POLICY", "security.keys[0]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not mention %s:\n%v", want, err)
		}
	}
	var mistake *session.ConfigError
	if !errors.As(err, &mistake) {
		t.Errorf("%T is no ConfigError", err)
	}
}

func TestCloseTwiceLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	m := open(t, memstore.New(), people, session.Config{})
	c, token := signIn(t, m, "1")
	if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
		t.Fatal(err)
	}
	s, err := m.Subscribe(t.Context(), c.Session.ID, session.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; regexp.MustCompile(`vedfolnir/session(/internal/\w+)?\.`).Match(stacks) {
		t.Fatalf("a goroutine of the manager is left (%d before):\n%s", before, stacks)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, session.ErrClosed) {
		t.Errorf("a subscription of a closed manager says %v", err)
	}
}

func TestCloseStoresWaitingActivity(t *testing.T) {
	store, now := memstore.New(), newClock()
	m := open(t, store, people, session.Config{Now: now.Now})
	c, _ := signIn(t, m, "1")
	now.Add(2 * time.Minute)
	if _, err := m.Touch(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.Get(t.Context(), c.Session.ID)
	if err != nil || !r.LastActivity.Equal(now.Now()) {
		t.Fatalf("stored activity is %v, want %v (%v)", r.LastActivity, now.Now(), err)
	}
}

func TestCreateChecksUserAndPlatform(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	for _, test := range []struct {
		name     string
		user     session.UserID
		platform session.PlatformID
		want     session.PlatformID
		err      error
	}{
		{"default platform", "1", "", "11", nil},
		{"named platform", "1", "13", "13", nil},
		{"no default among them", "2", "", "", nil},
		{"no platforms at all", "3", "", "", nil},
		{"another's platform", "2", "11", "", session.ErrPlatform},
		{"no such platform", "1", "99", "", session.ErrPlatform},
		{"no such user", "99", "", "", session.ErrUnknownUser},
		{"no user", "", "", "", session.ErrUnknownUser},
		{"an endless id", session.UserID(strings.Repeat("x", session.MaxIDLength+1)), "", "", session.ErrUnknownUser},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: test.user, PlatformID: test.platform})
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if c.Session.PlatformID != test.want {
				t.Errorf("platform %q, want %q", c.Session.PlatformID, test.want)
			}
			if err == nil && token.ID() != c.Session.ID {
				t.Errorf("the token opens %v, the session is %v", token.ID(), c.Session.ID)
			}
		})
	}
}

func TestNilDirectoryTrustsUsersAndKnowsNoPlatforms(t *testing.T) {
	m := open(t, memstore.New(), nil, session.Config{})
	c, token, err := m.Create(t.Context(), session.CreateRequest{UserID: "anyone"})
	if err != nil || c.User().ID != "anyone" || c.Platform().ID != "" {
		t.Fatalf("%+v, %v", c.User(), err)
	}
	if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
		t.Fatal(err)
	}
	if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "1"); !errors.Is(err, session.ErrPlatform) {
		t.Errorf("switch: %v", err)
	}
}

func TestLesson19_TheLimitHoldsAtSignInNotAtCleanUp(t *testing.T) {
	for _, test := range []struct {
		policy session.LimitPolicy
		ended  int // index of the session that makes way; -1: the new one is refused
	}{{session.EvictOldest, 0}, {session.EvictIdlest, 1}, {session.DenyNewest, -1}} {
		t.Run(string(test.policy), func(t *testing.T) {
			now := newClock()
			m := open(t, memstore.New(), people, session.Config{Now: now.Now, Security: session.Security{MaxConcurrentPerUser: 3, LimitPolicy: test.policy}})
			var tokens []session.Token
			var contexts []session.Context
			for range 3 {
				now.Add(time.Minute)
				c, token := signIn(t, m, "1")
				tokens, contexts = append(tokens, token), append(contexts, c)
			}
			now.Add(5 * time.Hour) // more than a tenth of the idle timeout: stored at once
			for _, i := range []int{0, 2} {
				if _, err := m.Touch(t.Context(), contexts[i]); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"})
			if test.ended < 0 {
				if !errors.Is(err, session.ErrLimit) {
					t.Fatalf("the fourth sign-in: %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			for i, token := range tokens {
				_, err := m.Authenticate(t.Context(), token, firefox)
				if i == test.ended {
					wantEnded(t, err, session.EvictedByLimit)
				} else if err != nil {
					t.Errorf("session %d: %v", i, err)
				}
			}
		})
	}
}

func TestNoLimitMeansAnyNumber(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Security: session.Security{MaxConcurrentPerUser: session.NoLimit}})
	for range 20 {
		signIn(t, m, "1")
	}
	if list, err := m.List(t.Context(), "1"); err != nil || len(list) != 20 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
}

func TestSigningInOverASessionEndsIt(t *testing.T) {
	for _, over := range []session.UserID{"1", "2"} {
		m := open(t, memstore.New(), people, session.Config{Security: session.Security{MaxConcurrentPerUser: 1, LimitPolicy: session.DenyNewest}})
		old, oldToken := signIn(t, m, over)
		if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Replaces: old.Session.ID}); err != nil {
			t.Fatalf("over a session of %s: %v", over, err)
		}
		_, err := m.Authenticate(t.Context(), oldToken, firefox)
		wantEnded(t, err, session.SignedOut)
	}
}

func TestAuthenticateTellsWhyOnlyToTheHolderOfTheSecret(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, token := signIn(t, m, "1")
	if err := m.Revoke(t.Context(), c.Session.ID, session.RevokedByAdmin, "admin"); err != nil {
		t.Fatal(err)
	}
	_, err := m.Authenticate(t.Context(), token, firefox)
	wantEnded(t, err, session.RevokedByAdmin)

	forged, err := session.ParseToken(c.Session.ID.String() + "." + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Authenticate(t.Context(), forged, firefox); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a wrong secret is told %v", err)
	}
}

func TestValidateAsksWhoseSessionItIs(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	for user, want := range map[session.UserID]bool{"1": true, "999": false} {
		if got, err := m.Validate(t.Context(), c.Session.ID, user); got != want || err != nil {
			t.Errorf("validate for %s: %v, %v", user, got, err)
		}
	}
	if err := m.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Validate(t.Context(), c.Session.ID, "1"); got || err != nil {
		t.Errorf("validate after the end: %v, %v", got, err)
	}
}

func TestSwitchPlatform(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, token := signIn(t, m, "1")
	switched, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12")
	if err != nil || switched.Platform().Name != "My Mastodon" || switched.Session.Version != 2 {
		t.Fatalf("%+v version %d, %v", switched.Platform(), switched.Session.Version, err)
	}
	again, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12")
	if err != nil || again.Session.Version != 2 {
		t.Errorf("a switch to the active platform made version %d, %v", again.Session.Version, err)
	}
	if seen, err := m.Authenticate(t.Context(), token, firefox); err != nil || seen.Platform().ID != "12" {
		t.Errorf("the next request sees %q, %v", seen.Platform().ID, err)
	}
	for _, not := range []session.PlatformID{"21", "99", ""} {
		if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, not); !errors.Is(err, session.ErrPlatform) {
			t.Errorf("switch to %q: %v", not, err)
		}
	}
	if err := m.Revoke(t.Context(), c.Session.ID, session.SignedOut, "1"); err != nil {
		t.Fatal(err)
	}
	_, err = m.SwitchPlatform(t.Context(), c.Session.ID, "13")
	wantEnded(t, err, session.SignedOut)
}

func TestLesson25_ConcurrentSwitchesAndAnEnd(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Security: session.Security{MaxPlatformSwitchesPerHour: session.NoLimit}})
	c, token := signIn(t, m, "1")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			platform := []session.PlatformID{"11", "12", "13"}[i%3]
			if i == 40 {
				if err := m.Revoke(context.Background(), c.Session.ID, session.RevokedByUser, "1"); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := m.SwitchPlatform(context.Background(), c.Session.ID, platform)
			if _, ended := session.Ended(err); err != nil && !ended {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := m.Authenticate(t.Context(), token, firefox)
	wantEnded(t, err, session.RevokedByUser)
}

func TestRefreshIsGuardedByTheVersion(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	c, _ := signIn(t, m, "1")
	now.Add(time.Hour)
	refreshed, err := m.Refresh(t.Context(), c)
	if err != nil || !refreshed.Deadlines().Lifetime.Equal(now.Now().Add(48*time.Hour)) {
		t.Fatalf("%v, %v", refreshed.Deadlines().Lifetime, err)
	}
	if _, err := m.Refresh(t.Context(), c); !errors.Is(err, session.ErrConflict) {
		t.Errorf("a refresh decided on an old reading: %v", err)
	}
}

func TestRevokeOthersAndUser(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	kept, keptToken := signIn(t, m, "1")
	_, otherToken := signIn(t, m, "1")
	_, samToken := signIn(t, m, "2")
	if n, err := m.RevokeOthers(t.Context(), "1", kept.Session.ID, session.RevokedByUser, "1"); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	_, err := m.Authenticate(t.Context(), otherToken, firefox)
	wantEnded(t, err, session.RevokedByUser)
	if _, err := m.Authenticate(t.Context(), keptToken, firefox); err != nil {
		t.Error(err)
	}
	if n, err := m.RevokeUser(t.Context(), "1", session.CredentialChanged, "1"); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	_, err = m.Authenticate(t.Context(), keptToken, firefox)
	wantEnded(t, err, session.CredentialChanged)
	if _, err := m.Authenticate(t.Context(), samToken, firefox); err != nil {
		t.Errorf("another's session: %v", err)
	}
}

// An end without a reason is an end.
func TestASessionThatEndedForNoReasonHasEnded(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	for name, revoke := range map[string]func(session.ID) error{
		"Revoke": func(id session.ID) error { return m.Revoke(t.Context(), id, "", "") },
		"RevokeOthers": func(session.ID) error {
			_, err := m.RevokeOthers(t.Context(), "1", session.ID{}, "", "")
			return err
		},
		"RevokeUser": func(session.ID) error {
			_, err := m.RevokeUser(t.Context(), "1", "", "")
			return err
		},
	} {
		c, token := signIn(t, m, "1")
		if err := revoke(c.Session.ID); err != nil {
			t.Fatal(err)
		}
		_, err := m.Authenticate(t.Context(), token, firefox)
		if reason, ended := session.Ended(err); !ended || reason != session.RevokedByAdmin {
			t.Errorf("%s: %v", name, err)
		}
	}
	var p session.Policy
	if p.Check(session.Session{EndedAt: time.Now()}, time.Now()) == "" {
		t.Error("the policy lets it in")
	}
}

func TestASignInCheckedBeforeRevokeUserCannotLandAfterIt(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	epoch, err := m.SignInEpoch(t.Context(), "1")
	if err != nil || epoch == 0 {
		t.Fatal(epoch, err)
	}
	if _, err := m.RevokeUser(t.Context(), "1", session.CredentialChanged, "1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", SignInEpoch: epoch}); !errors.Is(err, session.ErrConflict) {
		t.Fatalf("the sign-in landed: %v", err)
	}
	epoch, err = m.SignInEpoch(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", SignInEpoch: epoch}); err != nil {
		t.Errorf("a sign-in checked anew: %v", err)
	}
}

// After a change of password the same holds, and the session of whoever changed it
// goes on.
func TestASignInCheckedBeforeAChangeOfPasswordCannotLandAfterIt(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	kept, _ := signIn(t, m, "1")
	epoch, err := m.SignInEpoch(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason session.Reason
		want   error
	}{{session.RevokedByUser, nil}, {session.CredentialChanged, session.ErrConflict}} {
		if _, err := m.RevokeOthers(t.Context(), "1", kept.Session.ID, c.reason, "1"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", SignInEpoch: epoch}); !errors.Is(err, c.want) {
			t.Errorf("after %s: %v, want %v", c.reason, err, c.want)
		}
	}
	if ok, err := m.Validate(t.Context(), kept.Session.ID, "1"); !ok || err != nil {
		t.Errorf("the session that was kept: %v, %v", ok, err)
	}
}

func TestListShowsTheLivingNewestActivityFirst(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now, Timeout: session.Timeout{IdleTimeout: time.Hour}})
	signIn(t, m, "1") // dead by its own clock, and not swept
	now.Add(90 * time.Minute)
	first, _ := signIn(t, m, "1")
	now.Add(time.Minute)
	second, _ := signIn(t, m, "1")
	now.Add(10 * time.Minute)
	if _, err := m.Touch(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	list, err := m.List(t.Context(), "1")
	if err != nil || len(list) != 2 || list[0].ID != first.Session.ID || list[1].ID != second.Session.ID {
		t.Fatalf("lesson 35: %d sessions, %v", len(list), err)
	}
	if list[0].Client.UserAgent != firefox.UserAgent {
		t.Errorf("client %+v", list[0].Client)
	}
}

// The three clocks, each to the instant, under a clock that only the test moves.
func TestEachClockEndsTheSessionToTheInstant(t *testing.T) {
	config := session.Config{Timeout: session.Timeout{
		IdleTimeout: 10 * time.Minute, ActivityWriteInterval: time.Minute, SessionLifetime: time.Hour, AbsoluteTimeout: 2 * time.Hour,
	}, Features: session.Features{NoBackgroundCleanup: true}}
	for _, test := range []struct {
		reason  session.Reason
		after   time.Duration // of the last thing that moved this clock
		prepare func(*testing.T, *session.Manager, session.Context)
	}{
		{session.IdleTimeout, 11 * time.Minute, func(*testing.T, *session.Manager, session.Context) {}},
		{session.IdleTimeout, 11 * time.Minute, func(t *testing.T, m *session.Manager, c session.Context) {
			time.Sleep(5 * time.Minute)
			touch(t, m, c)
		}},
		{session.LifetimeOver, 10 * time.Minute, func(t *testing.T, m *session.Manager, c session.Context) {
			keepBusy(t, m, c, 5)
		}},
		{session.LifetimeOver, 10 * time.Minute, func(t *testing.T, m *session.Manager, c session.Context) {
			if _, err := m.Refresh(t.Context(), keepBusy(t, m, c, 5)); err != nil {
				t.Fatal(err)
			}
			keepBusy(t, m, c, 5)
		}},
		{session.AbsoluteTimeout, 10 * time.Minute, func(t *testing.T, m *session.Manager, c session.Context) {
			for range 2 {
				var err error
				if c, err = m.Refresh(t.Context(), keepBusy(t, m, c, 5)); err != nil {
					t.Fatal(err)
				}
			}
			keepBusy(t, m, c, 1)
		}},
	} {
		t.Run(string(test.reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, memstore.New(), people, config)
				c, token := signIn(t, m, "1")
				test.prepare(t, m, c)
				time.Sleep(test.after - time.Microsecond)
				if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
					t.Fatalf("at the last instant: %v", err)
				}
				time.Sleep(time.Microsecond)
				_, err := m.Authenticate(t.Context(), token, firefox)
				wantEnded(t, err, test.reason)
			})
		})
	}
}

func touch(t *testing.T, m *session.Manager, c session.Context) session.Context {
	t.Helper()
	c, err := m.Get(t.Context(), c.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = m.Touch(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// keepBusy lets n times ten minutes go by, with an act at the end of each.
func keepBusy(t *testing.T, m *session.Manager, c session.Context, n int) session.Context {
	for range n {
		time.Sleep(10 * time.Minute)
		c = touch(t, m, c)
	}
	return c
}

func TestActivityIsWrittenThroughAtMostOnceInTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &countingStore{Store: memstore.New()}
		m := open(t, store, people, session.Config{})
		c, _ := signIn(t, m, "1")
		stored := func() time.Time {
			r, err := store.Store.Get(t.Context(), c.Session.ID)
			if err != nil {
				t.Fatal(err)
			}
			return r.LastActivity
		}
		created := stored()
		time.Sleep(59 * time.Second)
		touch(t, m, c)
		time.Sleep(time.Second)
		synctest.Wait()
		if !stored().Equal(created) {
			t.Error("an act within the interval was written")
		}
		touch(t, m, c)
		acted := time.Now().UTC()
		if store.touches.Load() != 0 {
			t.Error("an act that moves little was awaited")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !stored().Equal(acted) {
			t.Errorf("the act was not written within a second: %v, want %v", stored(), acted)
		}
		time.Sleep(3 * time.Hour)
		touch(t, m, c)
		if !stored().Equal(time.Now().UTC()) {
			t.Error("an act that moves more than a tenth of the idle timeout was not awaited")
		}
		if n := store.touches.Load(); n != 2 {
			t.Errorf("%d writes for three acts", n)
		}
	})
}

func TestLesson03_ReadingWritesNothing(t *testing.T) {
	store := &countingStore{Store: memstore.New()}
	m := open(t, store, people, session.Config{})
	c, token := signIn(t, m, "1")
	if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); err != nil {
		t.Fatal(err)
	}
	written := store.writes.Load()
	for range 50 {
		c, err := m.Authenticate(t.Context(), token, firefox)
		if err != nil || c.Platform().ID != "12" {
			t.Fatalf("a poll sees %q, %v", c.Platform().ID, err)
		}
	}
	if n := store.writes.Load() - written; n != 0 {
		t.Errorf("50 reads made %d writes", n)
	}
}

func TestCleanupAndEnforceTimeouts(t *testing.T) {
	now, store := newClock(), memstore.New()
	m := open(t, store, people, session.Config{Now: now.Now, Security: session.Security{MaxConcurrentPerUser: session.NoLimit}, Features: session.Features{NoBackgroundCleanup: true}})
	var ids []session.ID
	for range 25 {
		c, _ := signIn(t, m, "1")
		ids = append(ids, c.Session.ID)
	}
	now.Add(24*time.Hour + time.Minute)
	live, _ := signIn(t, m, "2")
	if n, err := m.EnforceTimeouts(t.Context()); n != 25 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	if r, err := store.Get(t.Context(), ids[0]); err != nil || r.EndReason != session.IdleTimeout {
		t.Errorf("the tombstone says %q, %v", r.EndReason, err)
	}
	if n, err := m.Cleanup(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("tombstones went before their retention was over: %d, %v", n, err)
	}
	now.Add(7*24*time.Hour + time.Microsecond)
	if n, err := m.Cleanup(t.Context(), 10); n != 26 || err != nil { // and the live one has expired
		t.Errorf("cleaned %d, %v", n, err)
	}
	if _, err := store.Get(t.Context(), ids[0]); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("after the retention: %v", err)
	}
	if r, err := store.Get(t.Context(), live.Session.ID); err != nil || r.EndReason != session.AbsoluteTimeout {
		t.Errorf("the last one is %q, %v", r.EndReason, err)
	}
}

func TestBackgroundSweep(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := memstore.New()
			m := open(t, store, people, session.Config{Timeout: session.Timeout{IdleTimeout: time.Hour}, Features: session.Features{NoBackgroundCleanup: off}})
			c, _ := signIn(t, m, "1")
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			r, err := store.Get(t.Context(), c.Session.ID)
			if err != nil || r.EndedAt.IsZero() != off {
				t.Errorf("SESSION_FEATURE_BACKGROUND_CLEANUP=%v: ended at %v, %v", !off, r.EndedAt, err)
			}
		})
	}
}

func TestARenewedSessionIsNeverSwept(t *testing.T) {
	now := newClock()
	store := &barrierStore{Store: memstore.New(), reached: make(chan struct{}), pass: make(chan struct{})}
	m := open(t, store, people, session.Config{Now: now.Now})
	c, token := signIn(t, m, "1")
	now.Add(24 * time.Hour) // within the write interval's grace
	swept := make(chan error)
	go func() {
		_, err := m.EnforceTimeouts(context.Background())
		swept <- err
	}()
	<-store.reached // the sweep has computed its cutoffs and is on its way
	if _, err := m.Touch(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	now.Add(2 * time.Minute)
	close(store.pass)
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
		t.Fatalf("the renewed session was swept: %v", err)
	}
}

func TestAPersonTheDirectoryNoLongerKnowsIsSignedOut(t *testing.T) {
	now, directory := newClock(), &changing{people: people}
	m := open(t, memstore.New(), directory, session.Config{Now: now.Now})
	_, token := signIn(t, m, "1")
	sam, _ := signIn(t, m, "2")
	directory.set(people[2:])
	_, err := m.SwitchPlatform(t.Context(), sam.Session.ID, "21") // asks anew
	wantEnded(t, err, session.UserDisabled)
	if err := m.DirectoryChanged(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	_, err = m.Authenticate(t.Context(), token, firefox)
	wantEnded(t, err, session.UserDisabled)
	directory.set(people)
	_, err = m.Authenticate(t.Context(), token, firefox)
	wantEnded(t, err, session.UserDisabled)
}

func TestAProfileChangeShowsAtOnceOrWithinTheTTL(t *testing.T) {
	now, directory := newClock(), &changing{people: people}
	m := open(t, memstore.New(), directory, session.Config{Now: now.Now})
	c, token := signIn(t, m, "1")
	name := func() string {
		c, err := m.Authenticate(t.Context(), token, firefox)
		if err != nil {
			t.Fatal(err)
		}
		return c.User().Username
	}
	// The first reading is kept only under a lease, so wait for it.
	waitForLease(t, m, token)
	rename := func(to string) {
		p := people[0]
		p.User.Username = to
		directory.set(session.StaticDirectory{p})
	}
	rename("Alexandra")
	if got := name(); got != "alex" {
		t.Errorf("before DirectoryChanged and within the TTL: %q", got)
	}
	if err := m.DirectoryChanged(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "Alexandra" {
		t.Errorf("after DirectoryChanged: %q", got)
	}
	rename("Alexis")
	now.Add(time.Minute)
	if got := name(); got != "Alexis" {
		t.Errorf("after the TTL: %q", got)
	}
	if after, err := m.Get(t.Context(), c.Session.ID); err != nil || after.Stamp().Rev <= c.Stamp().Rev {
		t.Errorf("the rev did not rise: %v, %v", after.Stamp(), err)
	}
}

// waitForLease returns when the manager answers from what it remembers.
func waitForLease(t *testing.T, m *session.Manager, token session.Token) {
	t.Helper()
	for range 2000 {
		if _, err := m.Authenticate(t.Context(), token, firefox); err != nil {
			t.Fatal(err)
		}
		if metrics, err := m.Metrics(t.Context()); err != nil || metrics.Sessions.Snapshots > 0 {
			return
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	t.Fatal("the manager remembers nothing")
}

func TestSubscriptionTellsWhatBecomesOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, memstore.New(), people, session.Config{})
		c, _ := signIn(t, m, "1")
		s, err := m.Subscribe(t.Context(), c.Session.ID, session.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		next := func(want session.EventKind) session.Event {
			t.Helper()
			e, err := s.Next(t.Context())
			if err != nil || e.Kind != want {
				t.Fatalf("event %q, %v; want %q", e.Kind, err, want)
			}
			return e
		}
		next(session.StateChanged)
		if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); err != nil {
			t.Fatal(err)
		}
		if e := next(session.PlatformSwitched); e.Context.Platform().ID != "12" {
			t.Errorf("switched to %q", e.Context.Platform().ID)
		}
		signIn(t, m, "1")
		next(session.SessionsChanged)
		start := time.Now()
		e := next(session.SessionExpiring)
		if !e.CanExtend || !e.Deadline.Equal(c.Deadlines().Idle) || time.Since(start) > 24*time.Hour {
			t.Errorf("%+v after %v", e, time.Since(start))
		}
		if e := next(session.SessionEnded); e.Reason != session.IdleTimeout {
			t.Errorf("ended for %q", e.Reason)
		}
		if _, err := s.Next(t.Context()); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestSubscriptionSkipsWhatItsReaderHasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, memstore.New(), people, session.Config{})
		c, _ := signIn(t, m, "1")
		synctest.Wait() // the feed has been read: the epoch is known
		c, err := m.Get(t.Context(), c.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.Subscribe(t.Context(), c.Session.ID, c.Stamp())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if e, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("event %q, %v", e.Kind, err)
		}
	})
}
