// Package storetest is the contract of [session.Store], as tests: every promise of
// its comments is a subtest that says so. A store's own test is
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) session.Store { return openEmptyStore(t) })
//	}
//
// and for a store that several processes share, once more with open returning
// [Nodes]. Run it under -race.
//
// Where the contract leaves something open, the suite accepts every reading,
// except for these, which it fixes because a manager or an operator depends on
// them:
//
//   - A session that [session.Store.Create] ends for the new one has ended at the
//     new one's CreatedAt, by whom and from where [session.Creation.Plan] says.
//   - An ended session is an [*session.EndedError], even to a change whose guard
//     does not hold either.
//   - One call of [session.Store.Changes] returns everything that was acknowledged
//     before it and after the cursor, or a Gap: a lease is renewed by it. One answer
//     tells nothing twice; another may tell it again.
//   - A context that is over is an error, though the change may have happened.
//   - After Close every method but Close fails, and not with one of the answers
//     that mean something.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	mathrand "math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// promise is one line of the contract.
type promise struct {
	says string
	test func(t *testing.T, s subject)
}

var contract = []struct {
	of       string
	promises []promise
}{
	{"Store", everyMethod},
	{"Values", text},
	{"Get", get},
	{"List", list},
	{"Count", count},
	{"SignInEpoch", signInEpoch},
	{"Create", create},
	{"SwitchPlatform", switchPlatform},
	{"Refresh", refresh},
	{"Rotate", rotate},
	{"Suspect", suspect},
	{"ConfirmSecret", confirmSecret},
	{"Touch", touch},
	{"End", end},
	{"Expire", expire},
	{"Purge", purge},
	{"RaiseRev", raiseRev},
	{"Changes", changes},
	{"Close", closing},
}

// Run checks the whole contract. open returns a new, empty store for every
// subtest; they run in parallel. Run closes what it opened, before the cleanups
// that open registers.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for _, method := range contract {
		t.Run(method.of, func(t *testing.T) {
			for _, p := range method.promises {
				t.Run(p.says, func(t *testing.T) {
					t.Parallel()
					p.test(t, start(t, open))
				})
			}
		})
	}
	t.Run("Interleave", func(t *testing.T) {
		Interleave(t, open, 1, 2, mathrand.Uint64())
	})
}

func start(t *testing.T, open func(t *testing.T) session.Store) subject {
	t.Helper()
	store := open(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	s := subject{Store: store, t: t}
	s.origin = s.read(0).Next
	return s
}

// NewRecord returns a complete record of a session that begins at the given time:
// what [session.Creation] wants. Its handle and secret are random, the handle's
// shard is the user's.
func NewRecord(user session.UserID, at time.Time) session.Record {
	r := session.Record{
		Session: session.Session{
			UserID: user, PlatformID: "11", Version: 1,
			CreatedAt: at, RenewedAt: at, LastActivity: at,
		},
		Client:      session.Client{UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", IPAddress: "192.0.2.1", Language: "de-CH, fr;q=0.9"},
		Fingerprint: "1.abcdef",
		Proof:       assurance.Proof{At: at, Level: assurance.OneFactor},
	}
	rand.Read(r.ID[:])
	rand.Read(r.Secret[:])
	shard := shardOf(user)
	copy(r.ID[:], shard[:])
	return r
}

func shardOf(user session.UserID) [2]byte {
	sum := sha256.Sum256([]byte(user))
	return [2]byte(sum[:2])
}

// base is when the tests take place.
var base = time.Date(2025, 1, 11, 10, 0, 0, 123456000, time.UTC)

const (
	alex  = session.UserID("alex")
	robin = session.UserID("robin")
)

// after returns an instant that many seconds into the test.
func after(seconds int) time.Time { return base.Add(time.Duration(seconds) * time.Second) }

// subject is the store under test. The methods it adds end the test at an error:
// they are for the test's own goroutine.
type subject struct {
	session.Store
	t      *testing.T
	origin uint64 // the feed's end when the store was opened
}

func (s subject) ctx() context.Context { return s.t.Context() }

func (s subject) create(c session.Creation) session.Created {
	s.t.Helper()
	created, err := s.Create(s.ctx(), c)
	if err != nil {
		s.t.Fatalf("Create: %v", err)
	}
	return created
}

// signIn begins a session that many seconds into the test.
func (s subject) signIn(user session.UserID, seconds int) session.Record {
	s.t.Helper()
	return s.create(session.Creation{Record: NewRecord(user, after(seconds))}).Record
}

func (s subject) get(id session.ID) session.Record {
	s.t.Helper()
	r, err := s.Get(s.ctx(), id)
	if err != nil {
		s.t.Fatalf("Get: %v", err)
	}
	return r
}

// list is in order of handles.
func (s subject) list(user session.UserID) []session.Record {
	s.t.Helper()
	records, err := s.List(s.ctx(), user)
	if err != nil {
		s.t.Fatalf("List: %v", err)
	}
	return sorted(records)
}

func (s subject) end(e session.Ending) []session.Record {
	s.t.Helper()
	ended, err := s.End(s.ctx(), e)
	if err != nil {
		s.t.Fatalf("End: %v", err)
	}
	return sorted(ended)
}

// signOut ends one session.
func (s subject) signOut(r session.Record) session.Record {
	s.t.Helper()
	ended := s.end(session.Ending{User: r.UserID, ID: r.ID, Reason: session.SignedOut, By: string(r.UserID), At: after(9000)})
	if len(ended) != 1 {
		s.t.Fatalf("End ended %d sessions, want 1", len(ended))
	}
	return ended[0]
}

func (s subject) expire(x session.Expiring) []session.Record {
	s.t.Helper()
	ended, err := s.Expire(s.ctx(), x)
	if err != nil {
		s.t.Fatalf("Expire: %v", err)
	}
	return sorted(ended)
}

func (s subject) purge(p session.Purging) int {
	s.t.Helper()
	n, err := s.Purge(s.ctx(), p)
	if err != nil {
		s.t.Fatalf("Purge: %v", err)
	}
	return n
}

func (s subject) raiseRev(user session.UserID) uint64 {
	s.t.Helper()
	rev, err := s.RaiseRev(s.ctx(), user)
	if err != nil {
		s.t.Fatalf("RaiseRev: %v", err)
	}
	return rev
}

func (s subject) touch(activity ...session.Activity) {
	s.t.Helper()
	if err := s.Touch(s.ctx(), activity); err != nil {
		s.t.Fatalf("Touch: %v", err)
	}
}

func (s subject) signInEpoch(user session.UserID) uint64 {
	s.t.Helper()
	epoch, err := s.SignInEpoch(s.ctx(), user)
	if err != nil {
		s.t.Fatalf("SignInEpoch: %v", err)
	}
	return epoch
}

// mark is the present end of the feed, and what came before: a store may tell
// that again.
type mark struct {
	cursor uint64
	known  map[session.Change]bool
}

func (s subject) mark() mark {
	s.t.Helper()
	m := mark{s.read(0).Next, map[session.Change]bool{}}
	for _, ch := range s.read(s.origin).Changes {
		m.known[ch] = true
	}
	return m
}

func (s subject) read(after uint64) session.Feed {
	s.t.Helper()
	feed, err := s.Changes(s.ctx(), after, false)
	if err != nil {
		s.t.Fatalf("Changes: %v", err)
	}
	return feed
}

// since returns what is new after the mark.
func (s subject) since(m mark) (changes []session.Change) {
	s.t.Helper()
	feed := s.read(m.cursor)
	if feed.Gap {
		s.t.Fatal("Changes: a gap after a fresh cursor")
	}
	for _, ch := range feed.Changes {
		if !m.known[ch] {
			m.known[ch] = true
			changes = append(changes, ch)
		}
	}
	return changes
}

// unchanged runs a call that must leave no trace in the records or in the feed.
func (s subject) unchanged(records []session.Record, call func()) {
	s.t.Helper()
	before := s.mark()
	call()
	for _, r := range records {
		same(s.t, "a record that must not change", s.get(r.ID), r)
	}
	if changes := s.since(before); len(changes) > 0 {
		s.t.Errorf("the feed has %+v, want nothing", changes)
	}
}

// same compares records, and says in which fields they differ.
func same(t *testing.T, what string, got, want session.Record) {
	t.Helper()
	if got == want {
		return
	}
	var differ func(path string, a, b reflect.Value)
	differ = func(path string, a, b reflect.Value) {
		if _, isTime := a.Interface().(time.Time); a.Kind() == reflect.Struct && !isTime {
			for i := range a.NumField() {
				differ(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
		} else if a.Interface() != b.Interface() {
			t.Errorf("%s: %s is %v, want %v", what, path, a, b)
		}
	}
	differ("Record", reflect.ValueOf(got), reflect.ValueOf(want))
}

func sameAll(t *testing.T, what string, got, want []session.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d records %v, want %d", what, len(got), handles(got), len(want))
		return
	}
	for i, r := range sorted(want) {
		same(t, what, got[i], r)
	}
}

func handles(records []session.Record) (ids []session.ID) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func sorted(records []session.Record) []session.Record {
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b session.Record) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return records
}

func wantEnded(t *testing.T, err error, id session.ID, reason session.Reason) {
	t.Helper()
	var ended *session.EndedError
	if !errors.As(err, &ended) || ended.ID != id || ended.Reason != reason {
		t.Errorf("error %v, want that %s has ended: %s", err, id, reason)
	}
}

// isAnswer reports whether the error tells something about the state: what a
// store that could not tell must not say.
func isAnswer(err error) bool {
	_, ended := session.Ended(err)
	return ended || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) || errors.Is(err, session.ErrLimit)
}

// together runs do n times at once.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	barrier := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-barrier
			do(i)
		})
	}
	close(barrier)
	wg.Wait()
}
