package memory_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/memory"
)

var errClosed = errors.New("closed")

// said is a profile.
type said struct {
	what  string
	asked time.Time
}

func (s *said) AskedAt() time.Time { return s.asked }

// newMemory has leases of a minute, and one that begins now.
func newMemory() *memory.Memory[memory.Session, *said] { return newMemoryFor(time.Minute) }

func newMemoryFor(lease time.Duration) *memory.Memory[memory.Session, *said] {
	m := memory.New[memory.Session, *said](func(s memory.Session) memory.Session { return s }, lease, patience, errClosed)
	m.Renew(time.Now())
	return m
}

// patience of the memories here.
const patience = 5 * time.Second

// good is a load's result that is enough for whoever asked after it began.
func good(memory.Session) bool { return true }

func session(t *testing.T, user string, version uint64) memory.Session {
	t.Helper()
	id, err := handle.New(user)
	if err != nil {
		t.Fatal(err)
	}
	return memory.Session{ID: id, User: user, Platform: "p", Version: version, Rev: 1, Created: time.UnixMicro(1).UTC()}
}

func recall(m *memory.Memory[memory.Session, *said], id [16]byte) (s memory.Session, p *said, ok bool) {
	p, ok = m.Recall(id, &s)
	return s, p, ok
}

// read keeps s.
func read(t *testing.T, m *memory.Memory[memory.Session, *said], s memory.Session) {
	t.Helper()
	if _, err := m.ReadSession(t.Context(), s.ID, func(context.Context) (memory.Session, error) { return s, nil }, good); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsRememberedWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemory(), session(t, "1", 1)
		read(t, m, s)
		if got, _, ok := recall(m, s.ID); !ok || got != s {
			t.Errorf("%+v, %v, want %+v", got, ok, s)
		}
		time.Sleep(time.Minute)
		if _, _, ok := recall(m, s.ID); ok {
			t.Error("the lease is over")
		}
		for _, none := range []time.Duration{0, -1} {
			m := newMemoryFor(none)
			read(t, m, s)
			if _, _, ok := recall(m, s.ID); ok {
				t.Error("no lease is none")
			}
		}
		m.Renew(time.Now())
		if _, _, ok := recall(m, s.ID); !ok {
			t.Error("the lease was renewed")
		}
		m.EndLease()
		if _, _, ok := recall(m, s.ID); ok {
			t.Error("the lease was ended")
		}
	})
}

// In an outage what is remembered may linger: for so long after the lease, and not an
// instant more, whichever clock is asked; nothing new is remembered, and what was seen
// to end has ended.
func TestWhatIsRememberedMayLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemoryFor(2*time.Second), session(t, "1", 1)
		m.Renew(time.Now())
		m.Linger(0)
		read(t, m, s)
		time.Sleep(2 * time.Second)
		if _, _, ok := recall(m, s.ID); ok || m.Lingers() {
			t.Error("it lingers, and nobody wanted that")
		}

		m.Renew(time.Now())
		m.Linger(10 * time.Second)
		if m.Lingers() {
			t.Error("it lingers while the lease holds")
		}
		time.Sleep(2 * time.Second)
		ended := session(t, "1", 1)
		ended.ID[15]++
		read(t, m, ended) // by somebody who could read, while the feed could not be
		if _, _, ok := recall(m, ended.ID); ok {
			t.Error("something new is remembered")
		}
		time.Sleep(10*time.Second - 1)
		if got, _, ok := recall(m, s.ID); !ok || got != s || !m.Lingers() {
			t.Errorf("it does not linger: %v", ok)
		}
		time.Sleep(time.Nanosecond)
		if _, _, ok := recall(m, s.ID); ok || m.Lingers() {
			t.Error("it lingers for ever")
		}

		others := session(t, "2", 1)
		copy(others.ID[:2], s.ID[:2]) // who is kept beside them
		for what, end := range map[string]func(){
			"a read": func() { gone := s; gone.Version, gone.Ended = 2, true; read(t, m, gone) },
			"the feed": func() {
				m.Heard(memory.Change{User: "1", ID: s.ID, Version: 2, Ended: true})
			},
			"a change whose outcome is not known": func() { m.Forget(s.ID) },
			"one of all the user's sessions":      func() { m.ForgetUser("1") },
		} {
			m.Renew(time.Now())
			read(t, m, s)
			read(t, m, others)
			m.Linger(time.Minute)
			time.Sleep(2 * time.Second)
			if _, _, ok := recall(m, s.ID); !ok {
				t.Fatal("it does not linger")
			}
			end()
			if _, _, ok := recall(m, s.ID); ok {
				t.Errorf("what ended by %s lingers", what)
			}
			if _, _, ok := recall(m, others.ID); !ok {
				t.Errorf("another user's is forgotten by %s", what)
			}
		}
	})
}

func TestTheHigherVersionWins(t *testing.T) {
	m, s := newMemory(), session(t, "1", 2)
	version := func() uint64 {
		got, _, _ := recall(m, s.ID)
		return got.Version
	}
	read(t, m, s)
	old, newer := s, s
	old.Version, newer.Version = 1, 3
	read(t, m, old)
	m.Stored(old)
	if version() != 2 {
		t.Errorf("an older one is remembered: %d", version())
	}
	m.Heard(memory.Change{User: "1", ID: s.ID, Version: 2})
	m.Stored(newer)
	if version() != 3 {
		t.Errorf("version %d, want 3", version())
	}
	m.Heard(memory.Change{User: "1", ID: s.ID, Version: 4})
	if version() != 0 || m.Len() != 0 {
		t.Errorf("what is out of date is remembered: %d", version())
	}
	m.Stored(newer)
	if m.Len() != 0 {
		t.Error("a change made a snapshot that was not there")
	}
	read(t, m, newer)
	newer.Version, newer.Ended = 4, true
	m.Stored(newer)
	read(t, m, newer)
	if m.Len() != 0 {
		t.Error("an ended session is remembered")
	}
}

func TestActivityOfOneVersionOnlyGrows(t *testing.T) {
	m, s := newMemory(), session(t, "1", 1)
	read(t, m, s)
	m.Touched(s.ID, time.UnixMicro(10))
	m.Touched(s.ID, time.UnixMicro(5))
	read(t, m, s)
	if got, _, _ := recall(m, s.ID); got.Activity.UnixMicro() != 10 {
		t.Errorf("activity %v", got.Activity)
	}
}

func TestAChangeSpoilsReadsOfItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(m *memory.Memory[memory.Session, *said], s memory.Session){
			"heard":     func(m *memory.Memory[memory.Session, *said], s memory.Session) { m.Heard(memory.Change{User: s.User}) },
			"stored":    func(m *memory.Memory[memory.Session, *said], s memory.Session) { m.Stored(s) },
			"not known": func(m *memory.Memory[memory.Session, *said], s memory.Session) { m.Forget(s.ID) },
			"a gap":     func(m *memory.Memory[memory.Session, *said], s memory.Session) { m.ForgetAll() },
			"an epoch": func(m *memory.Memory[memory.Session, *said], s memory.Session) {
				if m.SawEpoch(1) || !m.SawEpoch(2) || m.SawEpoch(1) || m.Epoch() != 2 {
					t.Error("the epoch did not rise")
				}
			},
		} {
			m, s := newMemory(), session(t, "1", 1)
			var loads atomic.Int32
			held := make(chan struct{})
			load := func(context.Context) (memory.Session, error) {
				found := s
				if loads.Add(1) == 1 {
					<-held
				}
				return found, nil
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if got, err := m.ReadSession(t.Context(), s.ID, load, good); err != nil || got.Version != 2 {
						t.Errorf("%s: version %d, %v", name, got.Version, err)
					}
				})
			}
			synctest.Wait()
			if n := loads.Load(); n != 1 {
				t.Errorf("%s: three who wait made %d loads", name, n)
			}
			s.Version = 2
			change(m, s)
			close(held)
			wg.Wait()
			if got, _, _ := recall(m, s.ID); got.Version != 2 {
				t.Errorf("%s: version %d is kept", name, got.Version)
			}
		}
	})
}

// loads are slow reads, each of which finds what there is when it begins.
type loads struct {
	mu    sync.Mutex
	s     memory.Session
	made  int
	takes time.Duration
}

func (l *loads) load(context.Context) (memory.Session, error) {
	l.mu.Lock()
	found := l.s
	l.made++
	l.mu.Unlock()
	time.Sleep(l.takes)
	return found, nil
}

func (l *loads) change() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s.Version++
}

// A change may be heard late. Whoever asks after it is not refused by a load that was
// begun before, and one that is older than a lease is nobody's any more.
func TestALoadOfAnotherMaySayYesForALeaseAndNeverNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			lease, after  time.Duration // the second one asks
			enough        uint64        // the version
			version       uint64        // that the second one is told
			loads         int
			spoilt        bool // by a change that is heard while both are under way
			remembered    uint64
			rememberedNot bool
		}{
			"it says yes":               {lease: 2 * time.Second, after: time.Second, enough: 1, version: 1, loads: 1, remembered: 1},
			"it says no":                {lease: 2 * time.Second, after: time.Second, enough: 2, version: 2, loads: 2, remembered: 2},
			"it is too old":             {lease: 2 * time.Second, after: 2 * time.Second, enough: 1, version: 2, loads: 2, remembered: 2},
			"it is too old, and spoilt": {lease: 2 * time.Second, after: 2 * time.Second, enough: 1, version: 2, loads: 4, spoilt: true, remembered: 2},
			"without a lease":           {lease: 0, after: time.Millisecond, enough: 1, version: 2, loads: 2, rememberedNot: true},
		} {
			m, l := newMemoryFor(c.lease), &loads{s: session(t, "1", 1), takes: 3 * time.Second}
			id := l.s.ID
			var both sync.WaitGroup
			both.Go(func() {
				if _, err := m.ReadSession(t.Context(), id, l.load, good); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
			l.change()
			time.Sleep(c.after)
			both.Go(func() {
				got, err := m.ReadSession(t.Context(), id, l.load, func(s memory.Session) bool { return s.Version >= c.enough })
				if err != nil || got.Version != c.version {
					t.Errorf("%s: version %d, %v", name, got.Version, err)
				}
			})
			synctest.Wait()
			if c.spoilt {
				m.Heard(memory.Change{User: "1", ID: id, Version: 2})
			}
			for range 10 {
				time.Sleep(time.Second)
				m.Renew(time.Now())
			}
			both.Wait()
			if l.made != c.loads {
				t.Errorf("%s: %d loads, want %d", name, l.made, c.loads)
			}
			if got, _, ok := recall(m, id); ok == c.rememberedNot || got.Version != c.remembered {
				t.Errorf("%s: version %d is remembered: %v", name, got.Version, ok)
			}
		}
	})
}

func TestTheLatestAnswerOfTheDirectoryIsKept(t *testing.T) {
	m, s, start := newMemory(), session(t, "1", 1), time.Now()
	answer := func(what string, at time.Time) func(context.Context, string) (*said, error) {
		return func(_ context.Context, user string) (*said, error) { return &said{user + what, at}, nil }
	}
	known := func() string {
		if _, p, _ := recall(m, s.ID); p != nil {
			return p.what
		}
		return ""
	}
	read(t, m, s)
	for _, test := range []struct {
		what string
		at   time.Time
		want string
	}{{"a", start, "1a"}, {"b", start.Add(2), "1b"}, {"c", start.Add(1), "1b"}} {
		if _, err := m.ReadProfile(t.Context(), "1", answer(test.what, test.at)); err != nil || known() != test.want {
			t.Errorf("after %s: %s, %v", test.what, known(), err)
		}
	}
	m.Heard(memory.Change{User: "1", Directory: true})
	if known() != "" {
		t.Errorf("after a change: %s", known())
	}
	p, err := m.ReadProfileAnew(t.Context(), "1", func(ctx context.Context, user string) (*said, error) {
		m.Heard(memory.Change{User: "1", Directory: true})
		return answer("d", start.Add(3))(ctx, user)
	})
	if err != nil || p.what != "1d" || known() != "" {
		t.Errorf("%v, %v; an answer from before a change is kept: %s", p, err, known())
	}
	if _, err := m.ReadProfileAnew(t.Context(), "1", answer("e", start.Add(4))); err != nil || known() != "1e" {
		t.Errorf("%s, %v", known(), err)
	}
}

func TestAfterCloseReadsAreRefused(t *testing.T) {
	m := newMemory()
	m.Close()
	m.Close()
	ask := func(context.Context, string) (*said, error) { panic("asked") }
	if _, err := m.ReadSession(t.Context(), [16]byte{}, func(context.Context) (memory.Session, error) { panic("read") }, good); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := m.ReadProfile(t.Context(), "1", ask); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := m.ReadProfileAnew(t.Context(), "1", ask); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestAReadThatPanicsIsAnErrorForAllWhoWait(t *testing.T) {
	m := newMemory()
	_, err := m.ReadSession(t.Context(), [16]byte{1}, func(context.Context) (memory.Session, error) { panic("index out of range") }, good)
	if err == nil || !strings.Contains(err.Error(), "index out of range") || !strings.Contains(err.Error(), "memory_test.go") {
		t.Errorf("it does not say what and where: %v", err)
	}
}

func TestAReadHasItsTimeWhoeverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s, start := newMemory(), session(t, "1", 1), time.Now()
		ctx, giveUp := context.WithCancel(t.Context())
		giveUp()
		_, err := m.ReadSession(ctx, s.ID, func(ctx context.Context) (memory.Session, error) {
			time.Sleep(500 * time.Millisecond)
			return s, ctx.Err()
		}, good)
		if !errors.Is(err, context.Canceled) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		m.Close()
		if _, _, ok := recall(m, s.ID); !ok {
			t.Error("what was read is lost")
		}
		m = newMemory()
		_, err = m.ReadSession(t.Context(), s.ID, func(ctx context.Context) (memory.Session, error) {
			<-ctx.Done()
			return s, ctx.Err()
		}, good)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read that hangs: %v", err)
		}
	})
}
