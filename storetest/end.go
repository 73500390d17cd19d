package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
)

// far is later than anything in the tests.
var far = base.AddDate(50, 0, 0)

var end = []promise{
	{"ends the one session that is named", func(t *testing.T, s subject) {
		r, other := s.signIn(alex, 0), s.signIn(alex, 1)
		wantEndings(s, session.Ending{User: alex, ID: r.ID, Reason: session.SignedOut, By: "alex", At: after(5)}, r)
		same(t, "the other one", s.get(other.ID), withRev(other, other.Rev+1))
	}},
	{"ends all of the user's, and no other user's", func(t *testing.T, s subject) {
		a, b, other := s.signIn(alex, 0), s.signIn(alex, 1), s.signIn(robin, 0)
		before := s.signOut(s.signIn(alex, 2))
		wantEndings(s, session.Ending{User: alex, Reason: session.UserDisabled, By: session.System, At: after(5)}, a, b)
		same(t, "another user's", s.get(other.ID), other)
		same(t, "the one that had ended", s.get(before.ID), withRev(before, before.Rev+1))
	}},
	{"ends all but the exception", func(t *testing.T, s subject) {
		a, kept, b := s.signIn(alex, 0), s.signIn(alex, 1), s.signIn(alex, 2)
		wantEndings(s, session.Ending{User: alex, Except: kept.ID, Reason: session.RevokedByUser, By: "alex", From: kept.ID, At: after(5)}, a, b)
		sameAll(t, "live", s.list(alex), []session.Record{withRev(kept, b.Rev+1)})
	}},
	{"raises the user's rev by one, however many end", func(t *testing.T, s subject) {
		var last session.Record
		for i := range 5 {
			last = s.signIn(alex, i)
		}
		for _, r := range s.end(session.Ending{User: alex, Reason: session.RevokedByAdmin, By: "kim", At: base}) {
			if r.Rev != last.Rev+1 {
				t.Errorf("rev %d after %d", r.Rev, last.Rev)
			}
		}
		if rev := s.raiseRev(alex); rev != last.Rev+2 {
			t.Errorf("then %d after %d", rev, last.Rev)
		}
	}},
	{"of none returns an empty slice, changes nothing and is no error", func(t *testing.T, s subject) {
		robins, ended := s.signIn(robin, 0), s.signOut(s.signIn(alex, 0))
		rev := s.raiseRev(alex)
		live := s.signIn(robin, 1)
		robins = s.get(robins.ID)
		for name, e := range map[string]session.Ending{
			"no session":     {User: alex},
			"an ended one":   {User: alex, ID: ended.ID},
			"another user's": {User: alex, ID: robins.ID},
			"a missing one":  {User: alex, ID: NewRecord(alex, base).ID},
			"a new user":     {User: "never seen"},
			"the exception":  {User: robin, ID: live.ID, Except: live.ID},
		} {
			e.Reason, e.By, e.At = session.RevokedByAdmin, "kim", far
			s.unchanged([]session.Record{withRev(ended, rev), robins, live}, func() {
				if got := s.end(e); len(got) > 0 {
					t.Errorf("%s: ended %+v", name, got)
				}
			})
		}
		if next := s.raiseRev(alex); next != rev+1 {
			t.Errorf("rev %d after %d", next, rev)
		}
	}},
	{"that raises the epoch of sign-ins raises the rev and marks the feed, though none ends", func(t *testing.T, s subject) {
		rev := s.raiseRev(alex)
		before := s.mark()
		if got := s.end(session.Ending{User: alex, Reason: session.UserDisabled, By: session.System, At: base, RaiseEpoch: true}); len(got) > 0 {
			t.Errorf("ended %+v", got)
		}
		if changes := s.since(before); len(changes) != 1 || changes[0] != (session.Change{User: alex, Rev: rev + 1}) {
			t.Errorf("the feed has %+v", changes)
		}
		if next := s.raiseRev(alex); next != rev+2 {
			t.Errorf("rev %d after %d, want one more between", next, rev)
		}
	}},
	{"raises rev and epoch of sign-ins by one together", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		wantEndings(s, session.Ending{User: alex, Reason: session.CredentialChanged, By: "alex", At: base, RaiseEpoch: true}, r)
		if epoch := s.signInEpoch(alex); epoch != 2 {
			t.Errorf("epoch of sign-ins %d, want 2", epoch)
		}
	}},
	{"at once ends each session once", func(t *testing.T, s subject) {
		for range 10 {
			for i := range 3 {
				s.signIn(alex, i)
			}
			var mu sync.Mutex
			var ended []session.Record
			together(12, func(i int) {
				got, err := s.End(s.ctx(), session.Ending{User: alex, Reason: session.RevokedByAdmin, By: "kim", At: after(i)})
				if err != nil {
					t.Errorf("End: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, got...)
			})
			if len(ended) != 3 {
				t.Fatalf("%d endings of 3 sessions", len(ended))
			}
			for _, r := range ended {
				same(t, "the tombstone", s.get(r.ID), withRev(r, s.get(r.ID).Rev))
			}
		}
	}},
	{"beats every change that runs beside it", func(t *testing.T, s subject) {
		for round := range 10 {
			r := s.signIn(alex, round)
			var ended []session.Record
			together(1+2*len(byHandle), func(i int) {
				switch {
				case i == 0:
					var err error
					if ended, err = s.End(s.ctx(), session.Ending{User: alex, ID: r.ID, Reason: session.RevokedByAdmin, By: "kim", At: after(round)}); err != nil {
						t.Errorf("End: %v", err)
					}
				case i%2 == 0:
					if err := s.Touch(s.ctx(), []session.Activity{{ID: r.ID, At: after(round + i)}}); err != nil {
						t.Errorf("Touch: %v", err)
					}
				default:
					method := byHandle[i/2]
					if _, err := method.change(s, r); err != nil && !isAnswer(err) {
						t.Errorf("%s: %v", method.name, err)
					}
				}
			})
			if len(ended) != 1 {
				t.Fatalf("ended %d sessions", len(ended))
			}
			same(t, "the tombstone", s.get(r.ID), ended[0])
		}
	}},
}

// wantEndings checks that e ends exactly those live records.
func wantEndings(s subject, e session.Ending, want ...session.Record) {
	s.t.Helper()
	rev := s.get(want[0].ID).Rev
	for i := range want {
		want[i].EndedAt, want[i].EndReason, want[i].EndedBy, want[i].EndedFrom = e.At, e.Reason, e.By, e.From
		want[i].Version++
		want[i].Rev = rev + 1
	}
	sameAll(s.t, "ended", s.end(e), want)
	for _, r := range want {
		same(s.t, "the tombstone", s.get(r.ID), r)
	}
}

var expire = []promise{
	{"ends those past a cutoff, to the microsecond, with the clock's reason and by the system", func(t *testing.T, s subject) {
		for _, c := range pastEach(base) {
			over, live := NewRecord(alex, after(1000)), NewRecord(alex, after(1000))
			c.set(&over, base)
			c.set(&live, base.Add(time.Microsecond))
			over = s.create(session.Creation{Record: over}).Record
			live = s.create(session.Creation{Record: live}).Record
			over.EndedAt, over.EndReason, over.EndedBy, over.Version, over.Rev = far, c.reason, session.System, 2, live.Rev+1
			sameAll(t, "ended", s.expire(session.Expiring{Cutoffs: c.cutoffs, At: far, Limit: 10}), []session.Record{over})
			same(t, "the tombstone", s.get(over.ID), over)
			same(t, "the other one", s.get(live.ID), withRev(live, over.Rev))
			s.signOut(live)
		}
	}},
	{"of a session past several cutoffs gives the first reason of Cutoffs.Reason", func(t *testing.T, s subject) {
		for _, cutoffs := range []session.Cutoffs{
			{Idle: base, Lifetime: base, Absolute: base, OwnIdle: base, Until: far},
			{Idle: base, Lifetime: base, Until: far},
			{Idle: base, Lifetime: base, OwnIdle: far},
			{Idle: base, OwnIdle: far},
			{Idle: base},
			{OwnIdle: far},
		} {
			r := NewRecord(alex, base)
			r.Limits = session.Limits{Idle: time.Minute, Until: after(600)}
			s.create(session.Creation{Record: r})
			ended := s.expire(session.Expiring{Cutoffs: cutoffs, At: far, Limit: 10})
			if len(ended) != 1 || ended[0].EndReason != cutoffs.Reason(r.Session) {
				t.Errorf("%+v: ended %+v", cutoffs, ended)
			}
		}
	}},
	{"with zero cutoffs ends nothing", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		s.unchanged([]session.Record{r}, func() {
			if ended := s.expire(session.Expiring{At: far, Limit: 10}); len(ended) > 0 {
				t.Errorf("ended %+v", ended)
			}
		})
	}},
	{"ends no more than the limit, and the rest later", func(t *testing.T, s subject) {
		const n = 7
		for i := range n {
			s.signIn(session.UserID([]byte{'a' + byte(i%3)}), i)
		}
		seen := map[session.ID]bool{}
		for _, step := range []struct{ limit, want int }{{0, 0}, {3, 3}, {3, 3}, {3, 1}, {3, 0}} {
			ended := s.expire(session.Expiring{Cutoffs: session.Cutoffs{Idle: far}, At: far, Limit: step.limit})
			if len(ended) != step.want {
				t.Errorf("limit %d: ended %d, want %d", step.limit, len(ended), step.want)
			}
			for _, r := range ended {
				seen[r.ID] = true
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d ended", len(seen), n)
		}
	}},
	{"of a user leaves the others alone", func(t *testing.T, s subject) {
		mine, other := s.signIn(alex, 0), s.signIn(robin, 0)
		ended := s.expire(session.Expiring{User: alex, Cutoffs: session.Cutoffs{Idle: far}, At: far, Limit: 10})
		if len(ended) != 1 || ended[0].ID != mine.ID {
			t.Errorf("ended %+v", ended)
		}
		same(t, "another user's", s.get(other.ID), other)
	}},
	{"leaves ended sessions as they are", func(t *testing.T, s subject) {
		ended := s.signOut(s.signIn(alex, 0))
		s.unchanged([]session.Record{ended}, func() {
			if again := s.expire(session.Expiring{Cutoffs: session.Cutoffs{Idle: far, Lifetime: far, Absolute: far}, At: far, Limit: 10}); len(again) > 0 {
				t.Errorf("ended %+v", again)
			}
		})
	}},
	{"raises the rev of every user concerned by one, and of no other", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		alexs, robins := s.signIn(alex, 0), s.signIn(robin, 0)
		other := s.signIn("sam", 5000)
		for _, r := range s.expire(session.Expiring{Cutoffs: session.Cutoffs{Idle: after(10)}, At: far, Limit: 10}) {
			if want := map[session.UserID]uint64{alex: alexs.Rev + 1, robin: robins.Rev + 1}[r.UserID]; r.Rev != want {
				t.Errorf("%s: rev %d, want %d", r.UserID, r.Rev, want)
			}
		}
		if next := s.raiseRev(alex); next != alexs.Rev+2 {
			t.Errorf("alex: then %d after %d", next, alexs.Rev)
		}
		same(t, "the user who is not concerned", s.get(other.ID), other)
	}},
	{"does not touch a session renewed meanwhile", func(t *testing.T, s subject) {
		for round := range 20 {
			cutoffs := session.Cutoffs{Idle: base, Lifetime: base}
			idle, old := NewRecord(alex, base), NewRecord(robin, after(100))
			old.RenewedAt = base
			s.create(session.Creation{Record: idle})
			s.create(session.Creation{Record: old})
			var touched, refreshed error
			together(4, func(i int) {
				switch i {
				case 0:
					touched = s.Touch(s.ctx(), []session.Activity{{ID: idle.ID, At: after(100)}})
				case 1:
					_, refreshed = s.Refresh(s.ctx(), old.ID, 1, after(100))
				default:
					x := session.Expiring{Cutoffs: session.Cutoffs{Idle: cutoffs.Idle}, At: far, Limit: 10}
					if i == 3 {
						x.Cutoffs = session.Cutoffs{Lifetime: cutoffs.Lifetime}
						x.User = robin
					}
					ended, err := s.Expire(s.ctx(), x)
					if err != nil {
						t.Errorf("Expire: %v", err)
					}
					for _, r := range ended {
						if x.Cutoffs.Reason(r.Session) != r.EndReason {
							t.Errorf("round %d: a renewed session was ended: %+v", round, r)
						}
					}
				}
			})
			if touched != nil || refreshed != nil && !isAnswer(refreshed) {
				t.Errorf("%v, %v", touched, refreshed)
			}
			if got := s.get(old.ID); (refreshed == nil) != got.EndedAt.IsZero() {
				t.Errorf("Refresh said %v, and the session ended at %v", refreshed, got.EndedAt)
			}
			s.end(session.Ending{User: alex, Reason: session.SignedOut, By: "alex", At: base})
			s.end(session.Ending{User: robin, Reason: session.SignedOut, By: "robin", At: base})
		}
	}},
	{"at once ends each session once", func(t *testing.T, s subject) {
		const n = 40
		for i := range n {
			s.signIn(session.UserID([]byte{'a' + byte(i%7)}), i)
		}
		var mu sync.Mutex
		ended := map[session.ID]int{}
		together(6, func(int) {
			for {
				got, err := s.Expire(s.ctx(), session.Expiring{Cutoffs: session.Cutoffs{Idle: far}, At: far, Limit: 9})
				if err != nil {
					t.Errorf("Expire: %v", err)
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, r := range got {
					ended[r.ID]++
				}
				mu.Unlock()
			}
		})
		for id, times := range ended {
			if times != 1 {
				t.Errorf("%s was ended %d times", id, times)
			}
		}
		// One that found the others busy may have been told of none: none may stay.
		for _, r := range s.expire(session.Expiring{Cutoffs: session.Cutoffs{Idle: far}, At: far, Limit: n}) {
			ended[r.ID]++
		}
		if len(ended) != n {
			t.Errorf("%d of %d ended", len(ended), n)
		}
	}},
}

var purge = []promise{
	{"removes ended sessions for good", func(t *testing.T, s subject) {
		ended, live := s.signOut(s.signIn(alex, 0)), s.signIn(alex, 0)
		if n := s.purge(session.Purging{EndedBefore: far, Limit: 10}); n != 1 {
			t.Errorf("removed %d", n)
		}
		wantMissing(s, ended.ID)
		same(t, "the live one", s.get(live.ID), live)
		if n := s.purge(session.Purging{EndedBefore: far, Limit: 10}); n != 0 {
			t.Errorf("removed %d more", n)
		}
	}},
	{"leaves those that ended at the given time or later", func(t *testing.T, s subject) {
		endAt := func(at time.Time) session.ID {
			r := s.signIn(alex, 0)
			s.end(session.Ending{User: alex, ID: r.ID, Reason: session.SignedOut, By: "alex", At: at})
			return r.ID
		}
		before, at, later := endAt(after(5).Add(-time.Microsecond)), endAt(after(5)), endAt(after(6))
		if n := s.purge(session.Purging{EndedBefore: after(5), Limit: 10}); n != 1 {
			t.Errorf("removed %d", n)
		}
		wantMissing(s, before)
		s.get(at)
		s.get(later)
	}},
	{"removes no more than the limit", func(t *testing.T, s subject) {
		for range 5 {
			s.signOut(s.signIn(alex, 0))
		}
		for _, step := range []struct{ limit, want int }{{0, 0}, {2, 2}, {2, 2}, {2, 1}, {2, 0}} {
			if n := s.purge(session.Purging{EndedBefore: far, Limit: step.limit}); n != step.want {
				t.Errorf("limit %d: removed %d, want %d", step.limit, n, step.want)
			}
		}
	}},
	{"of a user leaves the others alone", func(t *testing.T, s subject) {
		mine, other := s.signOut(s.signIn(alex, 0)), s.signOut(s.signIn(robin, 0))
		if n := s.purge(session.Purging{User: alex, EndedBefore: far, Limit: 10}); n != 1 {
			t.Errorf("removed %d", n)
		}
		wantMissing(s, mine.ID)
		same(t, "another user's", s.get(other.ID), other)
	}},
	{"removes a guest's user with the session, and no other's", func(t *testing.T, s subject) {
		guest := NewRecord("guest:1", base)
		guest.Guest = true
		s.create(session.Creation{Record: guest})
		s.signIn(alex, 0)
		for _, user := range []session.UserID{guest.UserID, alex} {
			s.end(session.Ending{User: user, Reason: session.UserDisabled, By: session.System, At: base, RaiseEpoch: true})
		}
		if n := s.purge(session.Purging{EndedBefore: base, Limit: 10}); n != 0 || s.signInEpoch(guest.UserID) != 2 {
			t.Errorf("removed %d that are to stay", n)
		}
		if n := s.purge(session.Purging{EndedBefore: far, Limit: 10}); n != 2 {
			t.Errorf("removed %d", n)
		}
		if epoch := s.signInEpoch(guest.UserID); epoch != 1 {
			t.Errorf("the guest's epoch of sign-ins is %d: the row is still there", epoch)
		}
		if epoch := s.signInEpoch(alex); epoch != 2 {
			t.Errorf("alex's epoch of sign-ins is %d", epoch)
		}
	}},
	{"leaves the user's rev and epoch of sign-ins", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		s.end(session.Ending{User: alex, Reason: session.UserDisabled, By: session.System, At: base, RaiseEpoch: true})
		rev := s.raiseRev(alex)
		s.purge(session.Purging{EndedBefore: far, Limit: 10})
		if next, epoch := s.raiseRev(alex), s.signInEpoch(alex); next != rev+1 || epoch != 2 {
			t.Errorf("rev %d after %d, epoch of sign-ins %d", next, rev, epoch)
		}
	}},
}

func wantMissing(s subject, id session.ID) {
	s.t.Helper()
	for _, method := range byHandle {
		if _, err := method.change(s, session.Record{Session: session.Session{ID: id, Version: 1}}); err == nil {
			s.t.Errorf("%s of a missing session succeeded", method.name)
		}
	}
	if r, err := s.Get(s.ctx(), id); err == nil {
		s.t.Errorf("still there: %+v", r)
	}
}
