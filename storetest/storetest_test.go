package storetest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/storetest"
)

func TestTwoHandlesOnTheSameDataKeepTheContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) session.Store {
		s := memstore.New()
		return storetest.Nodes(s, s)
	})
}

// broken are stores that each break one promise, and a test that must say so.
var broken = map[string]struct {
	says string
	open func(session.Store) session.Store
}{
	"one session above the limit": {"Create/ends_the_oldest_at_the_limit", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			if c.Limit > 0 {
				c.Limit++
			}
			return s.Create(ctx, c)
		}}
	}},
	"the limit is looked at before the transaction": {"Create/the_limit_is_exact", func(s session.Store) session.Store {
		var calls atomic.Int64
		var looked sync.WaitGroup
		const racing = 8 // sign-ins that all look before any of them is created
		looked.Add(racing)
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			if c.Policy != session.DenyNewest {
				return s.Create(ctx, c)
			}
			live, err := s.List(ctx, c.Record.UserID)
			if err == nil {
				_, err = c.Plan(live)
			}
			if calls.Add(1) <= racing {
				looked.Done()
				looked.Wait()
			}
			if err != nil {
				return session.Created{}, err
			}
			c.Limit = 0
			return s.Create(ctx, c)
		}}
	}},
	"the epoch of sign-ins is not looked at": {"Create/refuses_with_ErrConflict", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			c.SignInEpoch = 0
			return s.Create(ctx, c)
		}}
	}},
	"the replaced session lives on": {"Create/ends_the_session_it_replaces", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			c.Replaces = session.ID{}
			return s.Create(ctx, c)
		}}
	}},
	"times lose their microseconds": {"Values/times_come_back_exactly", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			c.Record.Proof.At = c.Record.Proof.At.Truncate(time.Millisecond)
			return s.Create(ctx, c)
		}}
	}},
	"a text is cut": {"Values/what_a_client_says", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			c.Record.Client.UserAgent = c.Record.Client.UserAgent[:min(255, len(c.Record.Client.UserAgent))]
			return s.Create(ctx, c)
		}}
	}},
	"users are looked up without regard to case": {"Values/ids_are_opaque", func(s session.Store) session.Store {
		return creates{s, func(ctx context.Context, c session.Creation) (session.Created, error) {
			c.Record.UserID = session.UserID(strings.ToLower(string(c.Record.UserID)))
			return s.Create(ctx, c)
		}}
	}},
	"a tombstone is not found":             {"Get/returns_an_ended_record_too", func(s session.Store) session.Store { return noTombstones{s} }},
	"a late commit slips under the cursor": {"Changes/are_never_missed", func(s session.Store) session.Store { return skips{s} }},
	"an empty feed begins at cursor 0":     {"Changes/after_cursor_0", func(s session.Store) session.Store { return zeroCursor{s} }},
	"the session comes back by a switch":   {"Store/a_change_of_an_ended_session", func(s session.Store) session.Store { return revives{s} }},
	"the sweep goes by what it read before": {"Expire/does_not_touch_a_session_renewed", func(s session.Store) session.Store {
		return staleSweep{s, make(chan struct{}), make(chan struct{})}
	}},
	"a sweep forgets the sessions' own limits": {"Expire/ends_those_past_a_cutoff", func(s session.Store) session.Store { return commonSweep{s} }},
	"a sweep has no limit":                     {"Expire/ends_no_more_than_the_limit", func(s session.Store) session.Store { return wideSweep{s} }},
	"an exception is forgotten":                {"End/ends_all_but_the_exception", func(s session.Store) session.Store { return endsAll{s} }},
	"everything in retention is purged":        {"Purge/leaves_those_that_ended", func(s session.Store) session.Store { return purgesAll{s} }},
}

type creates struct {
	session.Store
	create func(context.Context, session.Creation) (session.Created, error)
}

func (s creates) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	return s.create(ctx, c)
}

type commonSweep struct{ session.Store }

func (s commonSweep) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	x.Cutoffs.OwnIdle, x.Cutoffs.Until = time.Time{}, time.Time{}
	return s.Store.Expire(ctx, x)
}

type noTombstones struct{ session.Store }

func (s noTombstones) Get(ctx context.Context, id session.ID) (session.Record, error) {
	r, err := s.Store.Get(ctx, id)
	if err == nil && !r.EndedAt.IsZero() {
		return session.Record{}, session.ErrNotFound
	}
	return r, err
}

type skips struct{ session.Store }

func (s skips) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	feed, err := s.Store.Changes(ctx, after, renew)
	for i, ch := range feed.Changes {
		if ch.Version == 17 {
			feed.Changes = append(feed.Changes[:i:i], feed.Changes[i+1:]...)
			break
		}
	}
	return feed, err
}

type zeroCursor struct{ session.Store }

func (s zeroCursor) Changes(ctx context.Context, after uint64, renew bool) (session.Feed, error) {
	feed, err := s.Store.Changes(ctx, after, renew)
	if feed.Next == 1 {
		feed.Next = 0
	}
	return feed, err
}

type revives struct{ session.Store }

func (s revives) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	r, changed, err := s.Store.SwitchPlatform(ctx, id, platform, at, limit)
	if _, ended := session.Ended(err); ended {
		r, err = s.Store.Get(ctx, id)
		r.EndedAt, r.EndReason, r.EndedBy, r.EndedFrom = time.Time{}, "", "", session.ID{}
		return r, true, err
	}
	return r, changed, err
}

// staleSweep lets the activity of each round in between its read and its change.
type staleSweep struct {
	session.Store
	read, renewed chan struct{}
}

func (s staleSweep) Touch(ctx context.Context, activity []session.Activity) error {
	<-s.read
	defer func() { s.renewed <- struct{}{} }()
	return s.Store.Touch(ctx, activity)
}

func (s staleSweep) Expire(ctx context.Context, x session.Expiring) (ended []session.Record, err error) {
	if x.User != "" {
		return s.Store.Expire(ctx, x)
	}
	idle, err := s.List(ctx, "alex")
	s.read <- struct{}{}
	<-s.renewed
	for _, r := range idle {
		if reason := x.Cutoffs.Reason(r.Session); reason != "" && err == nil {
			ended, err = s.End(ctx, session.Ending{User: r.UserID, ID: r.ID, Reason: reason, By: session.System, At: x.At})
		}
	}
	return ended, err
}

type wideSweep struct{ session.Store }

func (s wideSweep) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	x.Limit = 1000
	return s.Store.Expire(ctx, x)
}

type endsAll struct{ session.Store }

func (s endsAll) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	e.Except = session.ID{}
	return s.Store.End(ctx, e)
}

type purgesAll struct{ session.Store }

func (s purgesAll) Purge(ctx context.Context, p session.Purging) (int, error) {
	p.EndedBefore = p.EndedBefore.AddDate(100, 0, 0)
	return s.Store.Purge(ctx, p)
}

// brokenStore names, in the environment of a child process, the store to run the
// suite against.
const brokenStore = "STORETEST_BROKEN"

func TestSuiteFindsBrokenStores(t *testing.T) {
	for name, store := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of, says, _ := strings.Cut(store.says, "/")
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.short", "-test.run=^TestBrokenStore$/^"+of+"$/^"+says)
			child.Env = append(os.Environ(), brokenStore+"="+name)
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBrokenStore/"+store.says) {
				t.Errorf("%s does not fail: %v\n%s", store.says, err, out)
			}
		})
	}
}

// TestBrokenStore is the child's.
func TestBrokenStore(t *testing.T) {
	store, ok := broken[os.Getenv(brokenStore)]
	if !ok {
		t.Skip("for TestSuiteFindsBrokenStores")
	}
	storetest.Run(t, func(*testing.T) session.Store { return store.open(memstore.New()) })
}
