package storetest

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/vedfolnir/session"
)

// kept is how many changes a feed keeps at least.
const kept = 10_000

var changes = []promise{
	{"after cursor 0 are none: it asks for the present end", func(t *testing.T, s subject) {
		for range 3 {
			feed := s.read(0)
			if len(feed.Changes) > 0 || feed.Gap {
				t.Errorf("%+v", feed)
			}
			r := s.signIn(alex, 0)
			want := session.Change{User: alex, Rev: r.Rev, Session: r.ID, Version: 1}
			if next := s.read(feed.Next); next.Gap || !slices.Contains(next.Changes, want) {
				t.Errorf("after cursor %d: %+v, want %+v", feed.Next, next, want)
			}
		}
	}},
	{"are what happened, in its order", func(t *testing.T, s subject) {
		a := s.signIn(alex, 0)
		wantChanges := func(what string, do func(), want ...session.Change) {
			t.Helper()
			before := s.mark()
			do()
			if got := s.since(before); !slices.Equal(got, want) {
				t.Errorf("%s: the feed has\n%+v, want\n%+v", what, got, want)
			}
		}
		must := func(_ session.Record, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		rev := a.Rev
		change := func(r session.Record, version uint64) session.Change {
			return session.Change{User: r.UserID, Rev: rev, Session: r.ID, Version: version}
		}
		wantChanges("a switch", func() {
			_, _, err := s.SwitchPlatform(s.ctx(), a.ID, "12", base, 0)
			must(a, err)
		}, change(a, 2))
		wantChanges("a refresh", func() { must(s.Refresh(s.ctx(), a.ID, 2, base)) }, change(a, 3))
		wantChanges("a rotation", func() { must(s.Rotate(s.ctx(), a.ID, 3, rotation(a, secret(2), after(3)))) }, change(a, 4))
		wantChanges("its confirmation", func() { must(s.ConfirmSecret(s.ctx(), a.ID, secret(2), base)) }, change(a, 5))
		rev++
		wantChanges("a change of the directory", func() { s.raiseRev(alex) }, session.Change{User: alex, Rev: rev, Directory: true})
		rev++
		b := NewRecord(alex, base)
		wantChanges("a sign-in", func() { s.create(session.Creation{Record: b}) }, change(b, 1))
		rev++
		over := change(b, 2)
		over.Ended = true
		wantChanges("an end", func() { s.end(session.Ending{User: alex, ID: b.ID, Reason: session.SignedOut, By: "alex", At: base}) }, over)
		rev++
		over = change(a, 6)
		over.Ended = true
		wantChanges("an expiry", func() { s.expire(session.Expiring{Cutoffs: session.Cutoffs{Idle: far}, At: base, Limit: 10}) }, over)
		wantChanges("removals", func() { s.purge(session.Purging{EndedBefore: far, Limit: 10}) })
	}},
	{"of a sign-in are the new session and those that ended for it", func(t *testing.T, s subject) {
		old := s.signIn(alex, 0)
		before := s.mark()
		created := s.create(session.Creation{Record: NewRecord(alex, after(1)), Limit: 1}).Record
		got := s.since(before)
		for _, want := range []session.Change{
			{User: alex, Rev: created.Rev, Session: created.ID, Version: 1},
			{User: alex, Rev: created.Rev, Session: old.ID, Version: 2, Ended: true},
		} {
			if !slices.Contains(got, want) {
				t.Errorf("the feed has %+v, and lacks %+v", got, want)
			}
		}
		if len(got) != 2 {
			t.Errorf("the feed has %+v", got)
		}
	}},
	{"go on from every cursor that was returned", func(t *testing.T, s subject) {
		cursors := []uint64{s.read(0).Next}
		r := s.signIn(alex, 0)
		for i := range 6 {
			// cursors[i] is from before version i+1, the last one from after all.
			cursors = append(cursors, s.read(cursors[len(cursors)-1]).Next)
			if _, _, err := s.SwitchPlatform(s.ctx(), r.ID, session.PlatformID([]byte{'a' + byte(i)}), base, 0); err != nil {
				t.Fatal(err)
			}
		}
		for i, cursor := range cursors {
			feed := s.read(cursor)
			if feed.Gap || feed.Next == 0 {
				t.Errorf("after cursor %d: %+v", cursor, feed)
			}
			for version := i + 1; version <= 7; version++ {
				want := session.Change{User: alex, Rev: r.Rev, Session: r.ID, Version: uint64(version)}
				if !slices.Contains(feed.Changes, want) {
					t.Errorf("after cursor %d of %v: %+v, want version %d too", cursor, cursors, feed.Changes, version)
				}
			}
		}
	}},
	{"after a cursor that cannot be placed set Gap, and the next cursor goes on", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		for _, cursor := range []uint64{s.read(0).Next + 1_000_000_000, math.MaxInt64, math.MaxUint64} {
			feed := s.read(cursor)
			if !feed.Gap {
				t.Errorf("after cursor %d: no gap: %+v", cursor, feed)
			}
			rev := s.raiseRev(alex)
			want := session.Change{User: alex, Rev: rev, Directory: true}
			if next := s.read(feed.Next); next.Gap || !slices.Contains(next.Changes, want) {
				t.Errorf("after the gap: %+v, want %+v", next, want)
			}
		}
	}},
	{"tell the store's epoch, and every record does", func(t *testing.T, s subject) {
		want := s.read(0).Epoch
		r := s.signIn(alex, 0)
		switched, _, err := s.SwitchPlatform(s.ctx(), r.ID, "12", base, 0)
		if err != nil {
			t.Fatal(err)
		}
		records := append(s.list(alex), r, s.get(r.ID), switched, s.signOut(r))
		for _, got := range records {
			if got.Epoch != want {
				t.Errorf("epoch %d of version %d, the feed's is %d", got.Epoch, got.Version, want)
			}
		}
		if got := s.read(s.origin).Epoch; got != want {
			t.Errorf("epoch %d, then %d", want, got)
		}
	}},
	{"are kept, the last ten thousand of them, and come in one answer", func(t *testing.T, s subject) {
		if testing.Short() {
			t.Skip("ten thousand changes")
		}
		const users = 50
		together(users, func(i int) {
			for range kept / users {
				if _, err := s.RaiseRev(s.ctx(), session.UserID(fmt.Sprint(i))); err != nil {
					t.Errorf("RaiseRev: %v", err)
					return
				}
			}
		})
		revs := map[session.UserID]map[uint64]bool{}
		for _, ch := range s.since(mark{s.origin, map[session.Change]bool{}}) {
			if revs[ch.User] == nil {
				revs[ch.User] = map[uint64]bool{}
			}
			revs[ch.User][ch.Rev] = true
		}
		for i := range users {
			if n := len(revs[session.UserID(fmt.Sprint(i))]); n != kept/users {
				t.Errorf("user %d: %d changes of %d", i, n, kept/users)
			}
		}
	}},
	{"are never missed by a reader who follows while others write", func(t *testing.T, s subject) {
		const writers, each = 8, 40
		records := make([]session.Record, writers)
		for i := range records {
			records[i] = s.signIn(session.UserID([]byte{'a' + byte(i/2)}), i)
		}
		f := follow(s)
		together(writers, func(i int) {
			for n := range each {
				r, _, err := s.SwitchPlatform(s.ctx(), records[i].ID, session.PlatformID(fmt.Sprint(n)), after(n), 0)
				if err != nil {
					t.Errorf("SwitchPlatform: %v", err)
					return
				}
				if n%8 == 0 { // other users' rows too
					if _, err = s.RaiseRev(s.ctx(), r.UserID); err != nil {
						t.Errorf("RaiseRev: %v", err)
					}
				}
				// What was acknowledged is in every read that begins now.
				if n%4 == 0 {
					feed, err := s.Changes(s.ctx(), f.first, true)
					if err != nil || !slices.ContainsFunc(feed.Changes, func(ch session.Change) bool { return ch.Session == r.ID && ch.Version == r.Version }) {
						t.Errorf("version %d was acknowledged and is not in the feed: %v", r.Version, err)
					}
				}
			}
		})
		f.finish()
		for _, r := range records {
			told := f.versions[r.ID]
			if len(told) < each || told[len(told)-1].Version != each+1 {
				t.Errorf("%s: told of %+v, want every version to %d", r.ID, told, each+1)
			}
		}
	}},
	{"keep the order of every session", func(t *testing.T, s subject) {
		// The follower refuses any other order; here the sessions come and go, so
		// that starts, changes and ends of a few users interleave.
		f := follow(s)
		together(8, func(i int) {
			user := session.UserID([]byte{'a' + byte(i%3)})
			for n := range 12 {
				c, err := s.Create(s.ctx(), session.Creation{Record: NewRecord(user, after(n)), Limit: 2})
				if err != nil {
					t.Errorf("Create: %v", err)
					return
				}
				if _, err := s.Rotate(s.ctx(), c.Record.ID, 1, rotation(c.Record, secret(3), after(3))); err != nil && !isAnswer(err) {
					t.Errorf("Rotate: %v", err)
				}
				if n%3 == 0 {
					if _, err := s.End(s.ctx(), session.Ending{User: user, ID: c.Record.ID, Reason: session.SignedOut, By: "x", At: after(n)}); err != nil {
						t.Errorf("End: %v", err)
					}
				}
			}
		})
		f.finish()
		if len(f.versions) != 8*12 {
			t.Errorf("%d sessions of %d", len(f.versions), 8*12)
		}
		for id, seen := range f.versions {
			if r := s.get(id); uint64(len(seen)) != r.Version || seen[len(seen)-1].Ended == r.EndedAt.IsZero() {
				t.Errorf("%s: version %d, ended %v, the feed ends with %+v", id, r.Version, r.EndedAt, seen[len(seen)-1])
			}
		}
	}},
}

// follower reads the feed by cursor, as a node does, and complains about every
// gap, every change out of its session's order, and every one that it is told in
// two ways.
type follower struct {
	s        subject
	first    uint64
	next     uint64
	versions map[session.ID][]session.Change // by version, from the first one seen
	revs     map[session.UserID]map[uint64]session.Change
	reads    []uint64 // when each read began, if the follower has a clock
	seenIn   map[seen]int
	now      func() uint64
	stop     func()
}

type seen struct {
	id      session.ID
	version uint64
}

// follow begins to read the feed in the background.
func follow(s subject) *follower { return followBy(s, func() uint64 { return 0 }) }

func followBy(s subject, now func() uint64) *follower {
	s.t.Helper()
	f := &follower{
		s: s, versions: map[session.ID][]session.Change{}, revs: map[session.UserID]map[uint64]session.Change{},
		seenIn: map[seen]int{}, now: now,
	}
	f.first = s.read(0).Next
	f.next = f.first
	done, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		for f.read() {
			select {
			case <-done:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	f.stop = func() { close(done); <-finished }
	return f
}

// finish reads to the present end.
func (f *follower) finish() {
	f.stop()
	f.read()
}

func (f *follower) read() bool {
	f.reads = append(f.reads, f.now())
	feed, err := f.s.Changes(f.s.ctx(), f.next, len(f.reads)%2 == 0) // both kinds tell the same
	if err != nil || feed.Gap {
		f.s.t.Errorf("Changes: %v, gap %v", err, feed.Gap)
		return false
	}
	f.next = feed.Next
	for _, ch := range feed.Changes {
		f.take(ch)
	}
	return true
}

func (f *follower) take(ch session.Change) {
	if ch.Session.IsZero() || ch.Version == 1 || ch.Ended {
		if f.revs[ch.User] == nil {
			f.revs[ch.User] = map[uint64]session.Change{}
		}
		f.revs[ch.User][ch.Rev] = ch
	}
	if ch.Session.IsZero() {
		return
	}
	have := f.versions[ch.Session]
	switch {
	case len(have) == 0 || ch.Version == have[len(have)-1].Version+1:
		if len(have) > 0 && have[len(have)-1].Ended {
			f.s.t.Errorf("the feed goes on after an end: %+v", ch)
		}
		f.versions[ch.Session] = append(have, ch)
		f.seenIn[seen{ch.Session, ch.Version}] = len(f.reads) - 1
	case ch.Version > have[len(have)-1].Version:
		f.s.t.Errorf("the feed jumps from version %d to %+v", have[len(have)-1].Version, ch)
		f.versions[ch.Session] = append(have, ch)
	default: // told again
		if before := have[0].Version; ch.Version < before || have[ch.Version-before].Ended != ch.Ended {
			f.s.t.Errorf("the feed tells it differently: %+v", ch)
		}
	}
}
