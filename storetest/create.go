package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
)

// atOnce is how many sign-ins arrive together.
const atOnce = 64

var create = []promise{
	{"returns the record with the store's epoch and the user's rev", func(t *testing.T, s subject) {
		c := session.Creation{Record: NewRecord(alex, base)}
		c.Record.Epoch, c.Record.Rev = 77, 78 // the store's to say, not the caller's
		got := s.create(c).Record
		if want := s.read(0).Epoch; got.Epoch != want {
			t.Errorf("epoch %d, the feed says %d", got.Epoch, want)
		}
		if rev := s.raiseRev(alex); got.Rev != rev-1 {
			t.Errorf("rev %d, and the next is %d", got.Rev, rev)
		}
	}},
	{"raises the user's rev by one, whatever ends for it", func(t *testing.T, s subject) {
		rev := s.raiseRev(alex)
		other := s.signIn(robin, 0)
		for want := rev + 1; want < rev+5; want++ {
			created := s.create(session.Creation{Record: NewRecord(alex, base), Limit: 2})
			for _, r := range append(created.Ended, created.Record) {
				if r.Rev != want {
					t.Errorf("rev %d, want %d", r.Rev, want)
				}
			}
		}
		same(t, "another user's session", s.get(other.ID), other)
	}},
	{"refuses with ErrConflict another epoch of sign-ins than the user's", func(t *testing.T, s subject) {
		refused := func(user session.UserID, epoch uint64) {
			t.Helper()
			r := NewRecord(user, base)
			s.unchanged(nil, func() {
				if _, err := s.Create(s.ctx(), session.Creation{Record: r, SignInEpoch: epoch}); !errors.Is(err, session.ErrConflict) {
					t.Errorf("epoch %d: %v, want ErrConflict", epoch, err)
				}
			})
			if _, err := s.Get(s.ctx(), r.ID); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("refused, and yet: %v", err)
			}
		}
		refused(robin, 2)
		s.create(session.Creation{Record: NewRecord(alex, base), SignInEpoch: 1})
		refused(alex, 2)
		s.end(session.Ending{User: alex, Reason: session.UserDisabled, By: session.System, At: base, RaiseEpoch: true})
		refused(alex, 1)
		refused(alex, 3)
		s.create(session.Creation{Record: NewRecord(alex, base), SignInEpoch: 2})
		s.create(session.Creation{Record: NewRecord(alex, base)})
		s.create(session.Creation{Record: NewRecord(robin, base), SignInEpoch: 1})
	}},
	{"a sign-in that was checked before a revoke of all cannot land after it", func(t *testing.T, s subject) {
		for round := range 30 {
			epoch := s.signInEpoch(alex)
			together(5, func(i int) {
				if i == 0 {
					if _, err := s.End(s.ctx(), session.Ending{User: alex, Reason: session.CredentialChanged, By: "alex", At: base, RaiseEpoch: true}); err != nil {
						t.Errorf("End: %v", err)
					}
				} else if _, err := s.Create(s.ctx(), session.Creation{Record: NewRecord(alex, after(round)), SignInEpoch: epoch}); err != nil && !errors.Is(err, session.ErrConflict) {
					t.Errorf("Create: %v", err)
				}
			})
			if live := s.list(alex); len(live) > 0 {
				t.Fatalf("round %d: %d sessions outlived it", round, len(live))
			}
		}
	}},
	{"ends the oldest at the limit", func(t *testing.T, s subject) {
		b, a, c := s.signIn(alex, 1), s.signIn(alex, 0), s.signIn(alex, 2)
		other := s.signIn(robin, -5)
		s.touch(session.Activity{ID: a.ID, At: after(50)})
		created := s.create(session.Creation{Record: NewRecord(alex, after(3)), Limit: 2, Policy: session.EvictOldest})
		wantDoomed(s, created, map[session.ID]session.Reason{a.ID: session.EvictedByLimit, b.ID: session.EvictedByLimit})
		sameAll(t, "live", s.list(alex), []session.Record{s.get(c.ID), created.Record})
		same(t, "another user's session", s.get(other.ID), other)
	}},
	{"ends the idlest at the limit, by stored activity", func(t *testing.T, s subject) {
		a, b := s.signIn(alex, 0), s.signIn(alex, 1)
		s.touch(session.Activity{ID: a.ID, At: after(50)})
		created := s.create(session.Creation{Record: NewRecord(alex, after(60)), Limit: 2, Policy: session.EvictIdlest})
		wantDoomed(s, created, map[session.ID]session.Reason{b.ID: session.EvictedByLimit})
	}},
	{"ends what is past a cutoff, which does not count", func(t *testing.T, s subject) {
		for i, c := range pastEach(base) {
			user := session.UserID([]byte{'a' + byte(i)})
			over, live := NewRecord(user, after(100)), NewRecord(user, after(100))
			c.set(&over, base)
			c.set(&live, base.Add(time.Microsecond))
			s.create(session.Creation{Record: over})
			s.create(session.Creation{Record: live})
			created := s.create(session.Creation{Record: NewRecord(user, after(200)), Limit: 2, Policy: session.DenyNewest, Cutoffs: c.cutoffs})
			wantDoomed(s, created, map[session.ID]session.Reason{over.ID: c.reason})
		}
	}},
	{"ends the session it replaces, which does not count", func(t *testing.T, s subject) {
		old, other := s.signIn(alex, 0), s.signIn(alex, -5)
		created := s.create(session.Creation{Record: NewRecord(alex, after(1)), Limit: 2, Policy: session.DenyNewest, Replaces: old.ID})
		wantDoomed(s, created, map[session.ID]session.Reason{old.ID: session.SignedOut})
		same(t, "the other one's version", s.get(other.ID), withRev(other, created.Record.Rev))
	}},
	{"replaces no session of another user, no ended one and no missing one", func(t *testing.T, s subject) {
		robins, ended := s.signIn(robin, 0), s.signIn(alex, 0)
		ended = s.signOut(ended)
		for _, id := range []session.ID{robins.ID, ended.ID, NewRecord(alex, base).ID} {
			if created := s.create(session.Creation{Record: NewRecord(alex, after(1)), Replaces: id}); len(created.Ended) > 0 {
				t.Errorf("ended %+v", created.Ended)
			}
		}
		same(t, "the other user's", s.get(robins.ID), robins)
		same(t, "the ended one", s.get(ended.ID), withRev(ended, s.get(ended.ID).Rev))
	}},
	{"an impersonation takes no place of the person's, and evicts nobody", func(t *testing.T, s subject) {
		mine := s.signIn(alex, 0)
		acting := NewRecord(alex, after(1))
		acting.Impersonator, acting.ImpersonatedFrom = robin, s.signIn(robin, 0).ID
		for _, policy := range []session.LimitPolicy{session.DenyNewest, session.EvictOldest} {
			acting.ID = NewRecord(alex, base).ID
			wantDoomed(s, s.create(session.Creation{Record: acting, Limit: 1, Policy: policy}), nil)
		}
		next := s.create(session.Creation{Record: NewRecord(alex, after(2)), Limit: 2, Policy: session.DenyNewest})
		wantDoomed(s, next, nil)
		last := s.create(session.Creation{Record: NewRecord(alex, after(3)), Limit: 2})
		wantDoomed(s, last, map[session.ID]session.Reason{mine.ID: session.EvictedByLimit})
	}},
	{"ended sessions do not count", func(t *testing.T, s subject) {
		for range 5 {
			r := s.create(session.Creation{Record: NewRecord(alex, base), Limit: 1, Policy: session.DenyNewest}).Record
			s.signOut(r)
		}
	}},
	{"an error of Plan changes nothing", func(t *testing.T, s subject) {
		s.signIn(alex, 10)
		s.signIn(alex, 0)
		old := s.signIn(alex, 11)
		before := s.list(alex)
		r := NewRecord(alex, after(20))
		s.unchanged(before, func() {
			_, err := s.Create(s.ctx(), session.Creation{
				Record: r, Limit: 1, Policy: session.DenyNewest, Replaces: old.ID,
				Cutoffs: session.Cutoffs{Idle: after(5)}, // one is past it, and yet must not end
			})
			if !errors.Is(err, session.ErrLimit) {
				t.Errorf("%v, want ErrLimit", err)
			}
		})
		sameAll(t, "live", s.list(alex), before)
		if _, err := s.Get(s.ctx(), r.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("refused, and yet: %v", err)
		}
	}},
	{"a handle that exists is ErrConflict and changes nothing", func(t *testing.T, s subject) {
		users := usersOfOneShard(2)
		live, others := s.signIn(users[0], 0), s.signIn(users[1], 0)
		ended := s.signOut(s.signIn(users[0], 0))
		for _, taken := range []session.ID{live.ID, others.ID, ended.ID} {
			r := NewRecord(users[0], after(1))
			r.ID = taken
			s.unchanged([]session.Record{s.get(live.ID), others, ended}, func() {
				if _, err := s.Create(s.ctx(), session.Creation{Record: r, Limit: 1, Replaces: live.ID}); !errors.Is(err, session.ErrConflict) {
					t.Errorf("%v, want ErrConflict", err)
				}
			})
		}
	}},
	{"the same handle at once is created once", func(t *testing.T, s subject) {
		users := usersOfOneShard(4)
		for range 10 {
			id := NewRecord(users[0], base).ID
			var mu sync.Mutex
			var created []session.Record
			together(8, func(i int) {
				r := NewRecord(users[i%4], after(i))
				r.ID = id
				c, err := s.Create(s.ctx(), session.Creation{Record: r})
				if err != nil && !errors.Is(err, session.ErrConflict) {
					t.Errorf("Create: %v", err)
				}
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					created = append(created, c.Record)
				}
			})
			if len(created) != 1 {
				t.Fatalf("created %d times", len(created))
			}
			same(t, "read", s.get(id), withRev(created[0], s.get(id).Rev))
		}
	}},
	{"the limit is exact under 64 sign-ins at once: the newest evict", func(t *testing.T, s subject) {
		for _, policy := range []session.LimitPolicy{session.EvictOldest, session.EvictIdlest} {
			created, ended := stormOfSignIns(s, policy)
			if len(created) != atOnce || len(ended) != atOnce-5 {
				t.Errorf("%s: %d created, %d ended of %d", policy, len(created), len(ended), atOnce)
			}
		}
	}},
	{"the limit is exact under 64 sign-ins at once: the newest are refused", func(t *testing.T, s subject) {
		if created, ended := stormOfSignIns(s, session.DenyNewest); len(created) != 5 || len(ended) != 0 {
			t.Errorf("%d created, %d ended, want 5 and 0", len(created), len(ended))
		}
	}},
}

// stormOfSignIns lets many sign in at once under a limit of five, looks all the
// while whether it holds, and returns what was created and what ended for it.
func stormOfSignIns(s subject, policy session.LimitPolicy) (created, ended map[session.ID]session.Record) {
	const limit = 5
	user := session.UserID("storm " + policy)
	created, ended = map[session.ID]session.Record{}, map[session.ID]session.Record{}
	stop := watch(s.ctx(), func(ctx context.Context) {
		if live, err := s.List(ctx, user); err != nil && ctx.Err() == nil {
			s.t.Errorf("List: %v", err)
		} else if len(live) > limit {
			s.t.Errorf("%d sessions live under a limit of %d", len(live), limit)
		}
	})
	var mu sync.Mutex
	together(atOnce, func(i int) {
		c, err := s.Create(s.ctx(), session.Creation{Record: NewRecord(user, after(i)), Limit: limit, Policy: policy})
		if err != nil && (policy != session.DenyNewest || !errors.Is(err, session.ErrLimit)) {
			s.t.Errorf("Create: %v", err)
		}
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		created[c.Record.ID] = c.Record
		for _, r := range c.Ended {
			if _, twice := ended[r.ID]; twice {
				s.t.Errorf("%s was ended twice", r.ID)
			}
			ended[r.ID] = r
		}
	})
	stop()
	if live := s.list(user); len(live) != limit {
		s.t.Errorf("%d sessions live, want %d", len(live), limit)
	}
	for id, r := range ended {
		if _, ok := created[id]; !ok || r.EndReason != session.EvictedByLimit || r.EndedBy != session.System {
			s.t.Errorf("ended %+v", r)
		}
	}
	return created, ended
}

// watch repeats look until the returned function is called, and looks at least
// once.
func watch(ctx context.Context, look func(ctx context.Context)) (stop func()) {
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		for {
			look(ctx)
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	return func() { close(done); <-finished }
}

// wantDoomed checks what a creation ended, in its answer and in the store.
func wantDoomed(s subject, created session.Created, want map[session.ID]session.Reason) {
	s.t.Helper()
	if len(created.Ended) != len(want) {
		s.t.Errorf("ended %d sessions, want %d: %+v", len(created.Ended), len(want), created.Ended)
	}
	for _, r := range created.Ended {
		by, from := session.System, session.ID{}
		if want[r.ID] == session.SignedOut {
			by = string(r.UserID)
		}
		if !want[r.ID].Expired() {
			from = created.Record.ID
		}
		if reason, ok := want[r.ID]; !ok || r.EndReason != reason || r.EndedBy != by || r.EndedFrom != from || r.EndedAt != created.Record.CreatedAt || r.Version != 2 {
			s.t.Errorf("ended %+v, want version 2 and reason %q by %q from %s at %v", r, reason, by, from, created.Record.CreatedAt)
		}
		same(s.t, "the tombstone", s.get(r.ID), r)
	}
	for _, r := range s.list(created.Record.UserID) {
		if _, doomed := want[r.ID]; doomed {
			s.t.Errorf("%s still lives", r.ID)
		}
	}
}

// withRev is the record as it is read once the user's rev is another.
func withRev(r session.Record, rev uint64) session.Record {
	r.Rev = rev
	return r
}

// usersOfOneShard returns n people who could have the same handle.
func usersOfOneShard(n int) []session.UserID {
	users := map[[2]byte][]session.UserID{}
	for i := 0; ; i++ {
		user := session.UserID(fmt.Sprint(i))
		shard := shardOf(user)
		if users[shard] = append(users[shard], user); len(users[shard]) == n {
			return users[shard]
		}
	}
}
