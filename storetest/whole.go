package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
)

// call is one method of the store; change says whether it changes anything.
type call struct {
	name   string
	change bool
	do     func(ctx context.Context, s session.Store) error
}

// kindOf a session is what no change of it changes.
func kindOf(r session.Record) session.Session {
	return session.Session{Limits: r.Limits, Persistent: r.Persistent, Guest: r.Guest, Impersonator: r.Impersonator, ImpersonatedFrom: r.ImpersonatedFrom}
}

// calls are all methods but Close, on a session that lives.
func calls(r session.Record) []call {
	user, at := r.UserID, after(1)
	return []call{
		{"Get", false, func(ctx context.Context, s session.Store) error { _, err := s.Get(ctx, r.ID); return err }},
		{"List", false, func(ctx context.Context, s session.Store) error { _, err := s.List(ctx, user); return err }},
		{"Count", false, func(ctx context.Context, s session.Store) error {
			_, err := s.Count(ctx, session.Cutoffs{})
			return err
		}},
		{"SignInEpoch", false, func(ctx context.Context, s session.Store) error { _, err := s.SignInEpoch(ctx, user); return err }},
		{"Changes", false, func(ctx context.Context, s session.Store) error { _, err := s.Changes(ctx, 0, true); return err }},
		{"SwitchPlatform", true, func(ctx context.Context, s session.Store) error {
			_, _, err := s.SwitchPlatform(ctx, r.ID, "12", at, 0)
			return err
		}},
		{"Refresh", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Refresh(ctx, r.ID, r.Version, at)
			return err
		}},
		{"Rotate", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Rotate(ctx, r.ID, r.Version, rotation(r, secret(2), at))
			return err
		}},
		{"Suspect", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Suspect(ctx, r.ID, r.Version, session.Suspicion{Signals: "network_changed=1", StepUp: true})
			return err
		}},
		{"ConfirmSecret", true, func(ctx context.Context, s session.Store) error {
			_, err := s.ConfirmSecret(ctx, r.ID, r.Secret, at)
			return err
		}},
		{"Touch", true, func(ctx context.Context, s session.Store) error {
			return s.Touch(ctx, []session.Activity{{ID: r.ID, At: at}})
		}},
		{"RaiseRev", true, func(ctx context.Context, s session.Store) error { _, err := s.RaiseRev(ctx, user); return err }},
		{"Create", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Create(ctx, session.Creation{Record: NewRecord(user, at), Limit: 1})
			return err
		}},
		{"End", true, func(ctx context.Context, s session.Store) error {
			_, err := s.End(ctx, session.Ending{User: user, ID: r.ID, Reason: session.SignedOut, By: "x", At: at, RaiseEpoch: true})
			return err
		}},
		{"Expire", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Expire(ctx, session.Expiring{Cutoffs: session.Cutoffs{Idle: far}, At: at, Limit: 10})
			return err
		}},
		{"Purge", true, func(ctx context.Context, s session.Store) error {
			_, err := s.Purge(ctx, session.Purging{EndedBefore: far, Limit: 10})
			return err
		}},
	}
}

var everyMethod = []promise{
	{"a change of a missing session is ErrNotFound and changes nothing", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		for _, method := range byHandle {
			s.unchanged(nil, func() {
				if _, err := method.change(s, NewRecord(alex, base)); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("%s: %v, want ErrNotFound", method.name, err)
				}
			})
		}
	}},
	{"a change keeps what kind of session it is", func(t *testing.T, s subject) {
		want := NewRecord(alex, base)
		want.Limits, want.Persistent = session.Limits{Idle: time.Hour, Until: far}, true
		want.Impersonator, want.ImpersonatedFrom = robin, NewRecord(robin, base).ID
		r := s.create(session.Creation{Record: want}).Record
		for _, method := range byHandle {
			got, err := method.change(s, s.get(r.ID))
			if err == nil && kindOf(got) != kindOf(want) || kindOf(s.get(r.ID)) != kindOf(want) {
				t.Errorf("%s: %+v, %+v; %v", method.name, kindOf(got), kindOf(s.get(r.ID)), err)
			}
		}
		if ended := s.signOut(r); kindOf(ended) != kindOf(want) {
			t.Errorf("ended: %+v", ended)
		}
	}},
	{"a change of an ended session is an EndedError with the stored reason and changes nothing", func(t *testing.T, s subject) {
		for _, reason := range []session.Reason{session.SignedOut, session.RevokedByAdmin, session.TokenReplayed} {
			r := s.signIn(alex, 0)
			ended := s.end(session.Ending{User: alex, ID: r.ID, Reason: reason, By: "kim", At: after(5)})[0]
			for _, method := range byHandle {
				for _, as := range []session.Record{r, ended} { // whatever version the caller has seen
					s.unchanged([]session.Record{ended}, func() {
						_, err := method.change(s, as)
						wantEnded(t, err, r.ID, reason)
					})
				}
			}
		}
	}},
	{"nothing brings an ended session back", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		ended := s.signOut(r)
		s.unchanged([]session.Record{ended}, func() {
			for _, again := range calls(r) {
				if again.name != "Create" && again.name != "RaiseRev" && again.name != "Purge" && again.name != "End" {
					again.do(s.ctx(), s)
				}
			}
			if _, err := s.Create(s.ctx(), session.Creation{Record: r}); !errors.Is(err, session.ErrConflict) {
				t.Errorf("created once more: %v", err)
			}
			if got := s.end(session.Ending{User: alex, ID: r.ID, Reason: session.RevokedByAdmin, By: "kim", At: far}); len(got) > 0 {
				t.Errorf("ended once more: %+v", got)
			}
		})
		if live := s.list(alex); len(live) > 0 {
			t.Errorf("live: %+v", live)
		}
	}},
	{"a change is there for everyone when it is acknowledged", func(t *testing.T, s subject) {
		together(16, func(i int) {
			user := session.UserID(fmt.Sprint(i))
			c, err := s.Create(s.ctx(), session.Creation{Record: NewRecord(user, base)})
			if err != nil {
				t.Errorf("Create: %v", err)
				return
			}
			if got, err := s.Get(s.ctx(), c.Record.ID); err != nil || got != c.Record {
				t.Errorf("after Create: %+v, %v", got, err)
			}
			switched, _, err := s.SwitchPlatform(s.ctx(), c.Record.ID, "12", after(1), 0)
			if err != nil {
				t.Errorf("SwitchPlatform: %v", err)
			}
			if live, err := s.List(s.ctx(), user); err != nil || len(live) != 1 || live[0] != switched {
				t.Errorf("after SwitchPlatform: %+v, %v", live, err)
			}
			if _, err := s.End(s.ctx(), session.Ending{User: user, Reason: session.SignedOut, By: "x", At: after(2)}); err != nil {
				t.Errorf("End: %v", err)
			}
			if live, err := s.List(s.ctx(), user); err != nil || len(live) != 0 {
				t.Errorf("after End: %+v, %v", live, err)
			}
		})
	}},
	{"returned records and changes are the caller's own", func(t *testing.T, s subject) {
		created := s.create(session.Creation{Record: NewRecord(alex, base)})
		spoil := func(records []session.Record) {
			for i := range records[:cap(records)] {
				records[:cap(records)][i] = session.Record{}
			}
		}
		want := created.Record
		live, err := s.List(s.ctx(), alex)
		if err != nil {
			t.Fatal(err)
		}
		spoil(live)
		sameAll(t, "listed again", s.list(alex), []session.Record{want})

		feed := s.read(s.origin)
		told := slices.Clone(feed.Changes)
		for i := range feed.Changes[:cap(feed.Changes)] {
			feed.Changes[:cap(feed.Changes)][i] = session.Change{}
		}
		if again := s.read(s.origin).Changes; !slices.Equal(again, told) {
			t.Errorf("the feed has %+v, then %+v", told, again)
		}

		ended, err := s.End(s.ctx(), session.Ending{User: alex, Reason: session.SignedOut, By: "alex", At: after(1)})
		if err != nil || len(ended) != 1 {
			t.Fatal(ended, err)
		}
		want = ended[0]
		spoil(ended)
		same(t, "the tombstone", s.get(want.ID), want)
	}},
	{"a context that is over is an error, and the change has happened or not", func(t *testing.T, s subject) {
		over, cancel := context.WithCancel(s.ctx())
		cancel()
		r := s.signIn(alex, 0)
		for _, c := range calls(r) {
			if err := c.do(over, s); err == nil || isAnswer(err) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		wantWhole(s, map[session.UserID]int{alex: 2}, []session.ID{r.ID})
	}},
	{"contexts that end midway leave every change whole: it has happened or not", func(t *testing.T, s subject) {
		const workers, each, limit = 8, 30, 3
		users := []session.UserID{"a", "b", "c"}
		acknowledged := make([][]session.Record, workers)
		tried := make([][]session.ID, workers)
		f := follow(s)
		together(workers, func(i int) {
			for n := range each {
				user := users[(i+n)%len(users)]
				r := NewRecord(user, after(n))
				tried[i] = append(tried[i], r.ID)
				hasty := func(do func(ctx context.Context) ([]session.Record, error)) {
					ctx, cancel := context.WithCancel(s.ctx())
					var wg sync.WaitGroup
					wg.Go(cancel)
					if records, err := do(ctx); err == nil {
						acknowledged[i] = append(acknowledged[i], records...)
					}
					wg.Wait()
				}
				hasty(func(ctx context.Context) ([]session.Record, error) {
					c, err := s.Create(ctx, session.Creation{Record: r, Limit: limit})
					return append(c.Ended, c.Record), err
				})
				hasty(func(ctx context.Context) ([]session.Record, error) {
					r, _, err := s.SwitchPlatform(ctx, r.ID, "12", after(n), 0)
					return []session.Record{r}, err
				})
				hasty(func(ctx context.Context) ([]session.Record, error) {
					r, err := s.Refresh(ctx, r.ID, 2, after(n))
					return []session.Record{r}, err
				})
				hasty(func(ctx context.Context) ([]session.Record, error) {
					return nil, s.Touch(ctx, []session.Activity{{ID: r.ID, At: after(n + 1)}})
				})
				if n%4 == 0 {
					hasty(func(ctx context.Context) ([]session.Record, error) {
						return s.End(ctx, session.Ending{User: user, ID: r.ID, Reason: session.SignedOut, By: "x", At: after(n)})
					})
				}
				if n%9 == 0 {
					hasty(func(ctx context.Context) ([]session.Record, error) {
						return s.Expire(ctx, session.Expiring{User: user, Cutoffs: session.Cutoffs{Idle: after(n / 2)}, At: after(n), Limit: 2})
					})
				}
			}
		})
		f.finish()
		limits := map[session.UserID]int{}
		for _, user := range users {
			limits[user] = limit
		}
		wantWhole(s, limits, slices.Concat(tried...))
		for _, r := range slices.Concat(acknowledged...) {
			told := f.versions[r.ID]
			if uint64(len(told)) < r.Version || told[r.Version-1].Ended == r.EndedAt.IsZero() {
				t.Errorf("acknowledged: version %d of %s, ended %v; the feed tells of %+v", r.Version, r.ID, r.EndedAt, told)
				continue
			}
			if now := s.get(r.ID); now.Version < r.Version || !r.EndedAt.IsZero() && withRev(now, r.Rev) != r {
				t.Errorf("acknowledged: %+v, and now it is %+v", r, now)
			}
		}
	}},
}

// wantWhole checks that records, lists and feed tell the same story, though
// changes that somebody gave up on may still land meanwhile: so the feed, which
// is read last, may know more than a record, and never less.
func wantWhole(s subject, limits map[session.UserID]int, ids []session.ID) {
	s.t.Helper()
	live := map[session.ID]bool{}
	for user, limit := range limits {
		records := s.list(user)
		if len(records) > limit {
			s.t.Errorf("%s: %d sessions live, want at most %d", user, len(records), limit)
		}
		for _, r := range records {
			live[r.ID] = true
		}
	}
	var records []session.Record
	for _, id := range ids {
		r, err := s.Get(s.ctx(), id)
		switch {
		case err == nil:
			records = append(records, r)
		case !errors.Is(err, session.ErrNotFound):
			s.t.Errorf("Get: %v", err)
		case live[id]:
			s.t.Errorf("%s is listed and not found", id)
		}
		if err == nil && r.EndedAt.IsZero() != (r.EndReason == "") {
			s.t.Errorf("half an end: %+v", r)
		}
		if err == nil && r.PlatformID == "12" && r.Switches != 1 || r.PlatformID == "11" && r.Switches != 0 {
			s.t.Errorf("half a switch: %+v", r)
		}
	}
	told := map[session.ID][]session.Change{}
	for _, ch := range s.read(s.origin).Changes {
		told[ch.Session] = append(told[ch.Session], ch)
	}
	for _, r := range records {
		changes := told[r.ID]
		if uint64(len(changes)) < r.Version {
			s.t.Errorf("%s has version %d, the feed tells of %+v", r.ID, r.Version, changes)
			continue
		}
		for i, ch := range changes {
			if ch.Version != uint64(i+1) || ch.User != r.UserID || ch.Ended && i+1 < len(changes) {
				s.t.Errorf("%s: the feed tells of %+v", r.ID, changes)
				break
			}
		}
		if ended := changes[r.Version-1].Ended; ended == r.EndedAt.IsZero() {
			s.t.Errorf("%s: ended at %v, the feed says %v", r.ID, r.EndedAt, ended)
		}
	}
}

var closing = []promise{
	{"may be called twice", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		for range 2 { // and a third time when the test is over
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	}},
	{"makes every later call an error that is no answer", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range calls(r) {
			if err := c.do(s.ctx(), s); err == nil || isAnswer(err) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}},
	{"lets changes that are under way finish", func(t *testing.T, s subject) {
		first := make(chan struct{})
		var once sync.Once
		together(9, func(i int) {
			if i == 0 {
				<-first
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				return
			}
			user := session.UserID(fmt.Sprint(i))
			var last uint64
			for {
				rev, err := s.RaiseRev(s.ctx(), user)
				once.Do(func() { close(first) })
				if err != nil {
					if isAnswer(err) {
						t.Errorf("RaiseRev: %v", err)
					}
					return
				}
				if last != 0 && rev != last+1 {
					t.Errorf("rev %d after %d", rev, last)
				}
				last = rev
			}
		})
	}},
}
