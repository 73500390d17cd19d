package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// byHandle are the changes of one session that its state can refuse.
var byHandle = []struct {
	name   string
	change func(s subject, r session.Record) (session.Record, error)
}{
	{"SwitchPlatform", func(s subject, r session.Record) (session.Record, error) {
		r, _, err := s.SwitchPlatform(s.ctx(), r.ID, "12", after(1), 0)
		return r, err
	}},
	{"SwitchPlatform to the active one", func(s subject, r session.Record) (session.Record, error) {
		r, _, err := s.SwitchPlatform(s.ctx(), r.ID, r.PlatformID, after(1), 0)
		return r, err
	}},
	{"Refresh", func(s subject, r session.Record) (session.Record, error) {
		return s.Refresh(s.ctx(), r.ID, r.Version, after(1))
	}},
	{"Refresh of another version", func(s subject, r session.Record) (session.Record, error) {
		return s.Refresh(s.ctx(), r.ID, r.Version+7, after(1))
	}},
	{"Suspect", func(s subject, r session.Record) (session.Record, error) {
		return s.Suspect(s.ctx(), r.ID, r.Version, session.Suspicion{Signals: "network_changed=1", StepUp: true, Why: "why"})
	}},
	{"Suspect of another version", func(s subject, r session.Record) (session.Record, error) {
		return s.Suspect(s.ctx(), r.ID, r.Version+7, session.Suspicion{Signals: "network_changed=1"})
	}},
	{"Rotate", func(s subject, r session.Record) (session.Record, error) {
		return s.Rotate(s.ctx(), r.ID, r.Version, rotation(r, secret(2), after(1)))
	}},
	{"Rotate of another version", func(s subject, r session.Record) (session.Record, error) {
		return s.Rotate(s.ctx(), r.ID, r.Version+7, rotation(r, secret(2), after(1)))
	}},
	{"ConfirmSecret", func(s subject, r session.Record) (session.Record, error) {
		return s.ConfirmSecret(s.ctx(), r.ID, r.Secret, after(1))
	}},
	{"ConfirmSecret of another secret", func(s subject, r session.Record) (session.Record, error) {
		return s.ConfirmSecret(s.ctx(), r.ID, secret(99), after(1))
	}},
}

// secret is a hash like no other number's.
func secret(n byte) (h session.SecretHash) {
	for i := range h {
		h[i] = n
	}
	return h
}

var switchPlatform = []promise{
	{"makes the platform the active one and raises the version", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		want := r
		want.PlatformID, want.Version, want.SwitchesSince, want.Switches = "12", 2, after(5), 1
		got, changed, err := s.SwitchPlatform(s.ctx(), r.ID, "12", after(5), 0)
		if err != nil || !changed {
			t.Fatalf("changed %v, %v", changed, err)
		}
		same(t, "returned", got, want)
		same(t, "read", s.get(r.ID), want)
	}},
	{"to the active one changes nothing", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		s.unchanged([]session.Record{r}, func() {
			got, changed, err := s.SwitchPlatform(s.ctx(), r.ID, r.PlatformID, after(5), 0)
			if err != nil || changed {
				t.Errorf("changed %v, %v", changed, err)
			}
			same(t, "returned", got, r)
		})
	}},
	{"counts the switches of an hour; a new one begins at its end", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		hour := base.Add(time.Hour)
		for i, step := range []struct {
			at, since time.Time
			switches  int
		}{
			{base, base, 1},
			{after(1), base, 2},
			{after(-1), base, 3}, // of two switches the later to be stored may be the earlier by its clock
			{hour.Add(-time.Microsecond), base, 4},
			{hour, hour, 1},
			{hour.Add(time.Hour - time.Microsecond), hour, 2},
			{hour.Add(5 * time.Hour), hour.Add(5 * time.Hour), 1},
		} {
			got, changed, err := s.SwitchPlatform(s.ctx(), r.ID, session.PlatformID([]byte{'a' + byte(i)}), step.at, 0)
			if err != nil || !changed || got.SwitchesSince != step.since || got.Switches != step.switches {
				t.Errorf("at %v: %d since %v, want %d since %v; %v, %v", step.at, got.Switches, got.SwitchesSince, step.switches, step.since, changed, err)
			}
		}
	}},
	{"refuses what is beyond the limit of the hour with a SwitchLimitError, and changes nothing", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		to := func(platform session.PlatformID, at time.Time) (bool, error) {
			_, changed, err := s.SwitchPlatform(s.ctx(), r.ID, platform, at, 2)
			return changed, err
		}
		for i, platform := range []session.PlatformID{"12", "13"} {
			if changed, err := to(platform, after(i)); !changed || err != nil {
				t.Errorf("switch %d: %v, %v", i+1, changed, err)
			}
		}
		s.unchanged([]session.Record{s.get(r.ID)}, func() {
			_, err := to("14", after(600))
			var limited *session.SwitchLimitError
			if !errors.As(err, &limited) || limited.RetryAfter != 50*time.Minute {
				t.Errorf("beyond it: %v", err)
			}
			if changed, err := to("13", after(600)); changed || err != nil {
				t.Errorf("to the active one, which is none: %v, %v", changed, err)
			}
		})
		if changed, err := to("14", base.Add(time.Hour)); !changed || err != nil {
			t.Errorf("in the next hour: %v, %v", changed, err)
		}
	}},
	{"at once never passes the limit of the hour", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		var done atomic.Int32
		together(32, func(i int) {
			_, changed, err := s.SwitchPlatform(s.ctx(), r.ID, session.PlatformID([]byte{'A' + byte(i)}), after(i), 7)
			var limited *session.SwitchLimitError
			if err != nil && !errors.As(err, &limited) {
				t.Errorf("SwitchPlatform: %v", err)
			}
			if changed {
				done.Add(1)
			}
		})
		if got := s.get(r.ID); done.Load() != 7 || got.Switches != 7 {
			t.Errorf("%d switches happened, %d are counted", done.Load(), got.Switches)
		}
	}},
	{"of switches at once the last commit wins and none is lost", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		const n = 32
		returned := make([]session.Record, n)
		together(n, func(i int) {
			var changed bool
			var err error
			returned[i], changed, err = s.SwitchPlatform(s.ctx(), r.ID, session.PlatformID([]byte{'A' + byte(i)}), after(i), 0)
			if err != nil || !changed || returned[i].PlatformID != session.PlatformID([]byte{'A' + byte(i)}) {
				t.Errorf("%+v, %v, %v", returned[i], changed, err)
			}
		})
		byVersion := map[uint64]session.Record{}
		for _, r := range returned {
			byVersion[r.Version] = r
			if r.Switches != int(r.Version)-1 {
				t.Errorf("version %d is switch %d", r.Version, r.Switches)
			}
		}
		if len(byVersion) != n {
			t.Errorf("%d versions for %d switches", len(byVersion), n)
		}
		same(t, "read", s.get(r.ID), byVersion[n+1])
	}},
}

var refresh = []promise{
	{"sets RenewedAt and raises the version", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		want := r
		want.RenewedAt, want.Version = after(5), 2
		got, err := s.Refresh(s.ctx(), r.ID, 1, after(5))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "returned", got, want)
		same(t, "read", s.get(r.ID), want)
	}},
	{"refuses another version with ErrConflict", func(t *testing.T, s subject) {
		refusesOtherVersions(s, func(r session.Record, version uint64) error {
			_, err := s.Refresh(s.ctx(), r.ID, version, after(5))
			return err
		})
	}},
	{"at once with the same version happens once", func(t *testing.T, s subject) {
		happensOnce(s, func(r session.Record, i int) (session.Record, error) {
			return s.Refresh(s.ctx(), r.ID, r.Version, after(i))
		})
	}},
}

var suspect = []promise{
	{"keeps what was noticed and raises the version", func(t *testing.T, s subject) {
		want := s.signIn(alex, 0)
		got, err := s.Suspect(s.ctx(), want.ID, 1, session.Suspicion{Signals: "network_changed=1736589600", Why: "score 10: none"})
		if err != nil {
			t.Fatal(err)
		}
		want.Signals, want.Version = "network_changed=1736589600", 2
		same(t, "returned", got, want)
		same(t, "read", s.get(want.ID), want)
	}},
	{"zeroes what was proved with either token for a step-up alone", func(t *testing.T, s subject) {
		want := rotated(s)
		got, err := s.Suspect(s.ctx(), want.ID, want.Version, session.Suspicion{Signals: "two_places=1", StepUp: true, Why: "score 80: step_up"})
		if err != nil {
			t.Fatal(err)
		}
		want.Signals, want.Proof, want.PreviousProof, want.Version = "two_places=1", assurance.Proof{}, assurance.Proof{}, want.Version+1
		same(t, "returned", got, want)
		same(t, "read", s.get(want.ID), want)
	}},
	{"refuses another version with ErrConflict", func(t *testing.T, s subject) {
		refusesOtherVersions(s, func(r session.Record, version uint64) error {
			_, err := s.Suspect(s.ctx(), r.ID, version, session.Suspicion{Signals: "two_places=1"})
			return err
		})
	}},
}

// rotation is one that leaves everything but the token.
func rotation(r session.Record, to session.SecretHash, at time.Time) session.Rotation {
	return session.Rotation{
		Action: "rotated", At: at, Secret: to, Previous: r.Secret, Proof: r.Proof, PreviousProof: r.Proof,
		Client: r.Client, Fingerprint: r.Fingerprint, Signals: r.Signals,
	}
}

var rotate = []promise{
	{"sets Secret, Previous, RotatedAt and a zero FirstUsed and raises the version", func(t *testing.T, s subject) {
		want := NewRecord(alex, base)
		want.FirstUsed, want.Signals = after(1), "two_places=1"
		want = s.create(session.Creation{Record: want}).Record
		got, err := s.Rotate(s.ctx(), want.ID, 1, rotation(want, secret(2), after(3)))
		if err != nil {
			t.Fatal(err)
		}
		want.Secret, want.Previous, want.FirstUsed, want.RotatedAt, want.Version = secret(2), want.Secret, time.Time{}, after(3), 2
		want.PreviousProof = want.Proof
		same(t, "returned", got, want)
		same(t, "read", s.get(want.ID), want)
	}},
	{"sets what was proved with either token, the client, and what was noticed", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		for i, to := range []session.Rotation{
			{
				Action: "reauthenticated", At: after(3), Secret: secret(2), Previous: r.Secret,
				Proof: assurance.Proof{At: after(3), Level: 2}, PreviousProof: assurance.Proof{At: base, Level: 1},
				Client:      session.Client{UserAgent: "another \xff", IPAddress: "192.0.2.9", Language: "de"},
				Fingerprint: "another", Signals: "network_changed=2",
			},
			{Action: "reauthenticated", At: after(4), Secret: secret(3)}, // every zero value comes back
		} {
			want := s.get(r.ID)
			want.Secret, want.Previous, want.RotatedAt, want.Version = to.Secret, to.Previous, to.At, uint64(i+2)
			want.Proof, want.PreviousProof = to.Proof, to.PreviousProof
			want.Client, want.Fingerprint, want.Signals = to.Client, to.Fingerprint, to.Signals
			got, err := s.Rotate(s.ctx(), r.ID, uint64(i+1), to)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "returned", got, want)
			same(t, "read", s.get(r.ID), want)
		}
	}},
	{"refuses another version with ErrConflict", func(t *testing.T, s subject) {
		refusesOtherVersions(s, func(r session.Record, version uint64) error {
			_, err := s.Rotate(s.ctx(), r.ID, version, rotation(r, secret(2), after(1)))
			return err
		})
	}},
	{"at once with the same version happens once", func(t *testing.T, s subject) {
		happensOnce(s, func(r session.Record, i int) (session.Record, error) {
			return s.Rotate(s.ctx(), r.ID, r.Version, rotation(r, secret(byte(i+1)), after(i)))
		})
	}},
}

func refusesOtherVersions(s subject, change func(r session.Record, version uint64) error) {
	r := s.signIn(alex, 0)
	r, _, err := s.SwitchPlatform(s.ctx(), r.ID, "12", base, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, version := range []uint64{0, 1, 3} {
		s.unchanged([]session.Record{r}, func() {
			if err := change(r, version); !errors.Is(err, session.ErrConflict) {
				s.t.Errorf("version %d of 2: %v, want ErrConflict", version, err)
			}
		})
	}
	if err := change(r, 2); err != nil {
		s.t.Errorf("version 2 of 2: %v", err)
	}
}

func happensOnce(s subject, change func(r session.Record, i int) (session.Record, error)) {
	for range 5 {
		r := s.signIn(alex, 0)
		var mu sync.Mutex
		var done []session.Record
		together(16, func(i int) {
			got, err := change(r, i)
			if err != nil && !errors.Is(err, session.ErrConflict) {
				s.t.Errorf("%v", err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, got)
			}
		})
		if len(done) != 1 {
			s.t.Fatalf("happened %d times", len(done))
		}
		same(s.t, "read", s.get(r.ID), done[0])
	}
}

var confirmSecret = []promise{
	{"sets FirstUsed and raises the version", func(t *testing.T, s subject) {
		want := rotated(s)
		got, err := s.ConfirmSecret(s.ctx(), want.ID, want.Secret, after(5))
		if err != nil {
			t.Fatal(err)
		}
		want.FirstUsed, want.Version = after(5), want.Version+1
		same(t, "returned", got, want)
		same(t, "read", s.get(want.ID), want)
	}},
	{"a second time changes nothing and returns the record as it is now", func(t *testing.T, s subject) {
		r := rotated(s)
		r, err := s.ConfirmSecret(s.ctx(), r.ID, r.Secret, after(5))
		if err != nil {
			t.Fatal(err)
		}
		s.unchanged([]session.Record{r}, func() {
			got, err := s.ConfirmSecret(s.ctx(), r.ID, r.Secret, after(6))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "returned", got, r)
		})
	}},
	{"of another secret changes nothing and returns the record as it is now", func(t *testing.T, s subject) {
		r := rotated(s)
		for _, other := range []session.SecretHash{r.Previous, {}, secret(99)} {
			s.unchanged([]session.Record{r}, func() {
				got, err := s.ConfirmSecret(s.ctx(), r.ID, other, after(5))
				if err != nil {
					t.Fatal(err)
				}
				same(t, "returned", got, r)
			})
		}
	}},
	{"at once happens once, and all are told the same", func(t *testing.T, s subject) {
		r := rotated(s)
		returned := make([]session.Record, 16)
		together(len(returned), func(i int) {
			var err error
			if returned[i], err = s.ConfirmSecret(s.ctx(), r.ID, r.Secret, after(i)); err != nil {
				t.Errorf("ConfirmSecret: %v", err)
			}
		})
		now := s.get(r.ID)
		if now.Version != r.Version+1 || now.FirstUsed.IsZero() {
			t.Errorf("version %d, first used %v; was version %d", now.Version, now.FirstUsed, r.Version)
		}
		for _, got := range returned {
			same(t, "returned", got, now)
		}
	}},
}

// rotated is a session whose new secret has not been used.
func rotated(s subject) session.Record {
	s.t.Helper()
	r := s.signIn(alex, 0)
	r, err := s.Rotate(s.ctx(), r.ID, r.Version, rotation(r, secret(2), after(1)))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

var touch = []promise{
	{"raises LastActivity, no version, and leaves no mark in the feed", func(t *testing.T, s subject) {
		a, b, untouched := s.signIn(alex, 0), s.signIn(robin, 0), s.signIn(alex, 0)
		before := s.mark()
		s.touch(session.Activity{ID: a.ID, At: after(5)}, session.Activity{ID: b.ID, At: base.Add(time.Microsecond)})
		a.LastActivity, b.LastActivity = after(5), base.Add(time.Microsecond)
		same(t, "the first", s.get(a.ID), withRev(a, untouched.Rev))
		same(t, "the second", s.get(b.ID), b)
		same(t, "the untouched", s.get(untouched.ID), untouched)
		if changes := s.since(before); len(changes) > 0 {
			t.Errorf("the feed has %+v", changes)
		}
	}},
	{"never lowers LastActivity", func(t *testing.T, s subject) {
		r := s.signIn(alex, 10)
		s.unchanged([]session.Record{r}, func() {
			s.touch(session.Activity{ID: r.ID, At: after(10)}, session.Activity{ID: r.ID, At: after(9)}, session.Activity{ID: r.ID, At: base.AddDate(-1, 0, 0)})
		})
	}},
	{"of one session several times in a batch: the latest counts", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		for _, order := range [][]int{{3, 7, 5}, {12, 11, 10}, {13, 14, 15}} {
			var batch []session.Activity
			latest := 0
			for _, at := range order {
				batch, latest = append(batch, session.Activity{ID: r.ID, At: after(at)}), max(latest, at)
			}
			s.touch(batch...)
			if got := s.get(r.ID).LastActivity; got != after(latest) {
				t.Errorf("%v: %v, want %v", order, got, after(latest))
			}
		}
	}},
	{"leaves ended sessions as they are and passes over missing ones", func(t *testing.T, s subject) {
		ended, live := s.signOut(s.signIn(alex, 0)), s.signIn(alex, 0)
		ended = s.get(ended.ID)
		s.touch(session.Activity{ID: ended.ID, At: after(10000)}, session.Activity{ID: NewRecord(alex, base).ID, At: after(5)}, session.Activity{ID: live.ID, At: after(5)})
		same(t, "the ended one", s.get(ended.ID), ended)
		if got := s.get(live.ID).LastActivity; got != after(5) {
			t.Errorf("the live one beside it: %v", got)
		}
	}},
	{"of none is no error", func(t *testing.T, s subject) { s.touch() }},
	{"takes a large batch", func(t *testing.T, s subject) {
		var ids []session.ID
		var batch []session.Activity
		for range 8 {
			ids = append(ids, s.signIn(alex, 0).ID)
		}
		for i := range 3000 {
			id := NewRecord(alex, base).ID // missing: the batch is large, the store stays small
			if i%375 == 0 {
				id = ids[i/375]
			}
			batch = append(batch, session.Activity{ID: id, At: after(i + 1)})
		}
		s.touch(batch...)
		for i, id := range ids {
			if got, want := s.get(id).LastActivity, after(i*375+1); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}},
	{"at once keeps the latest, and overlapping batches do not lock each other out", func(t *testing.T, s subject) {
		a, b := s.signIn(alex, 0), s.signIn(robin, 0)
		together(16, func(i int) {
			batch := []session.Activity{{ID: a.ID, At: after(i + 1)}, {ID: b.ID, At: after(16 - i)}}
			if i%2 == 1 {
				batch[0], batch[1] = batch[1], batch[0]
			}
			if err := s.Touch(s.ctx(), batch); err != nil {
				t.Errorf("Touch: %v", err)
			}
		})
		for _, id := range []session.ID{a.ID, b.ID} {
			if got := s.get(id).LastActivity; got != after(16) {
				t.Errorf("%v, want %v", got, after(16))
			}
		}
	}},
}

var raiseRev = []promise{
	{"raises the rev by one and returns it, for that user only", func(t *testing.T, s subject) {
		r, other := s.signIn(alex, 0), s.signIn(robin, 0)
		for want := r.Rev + 1; want < r.Rev+4; want++ {
			if rev := s.raiseRev(alex); rev != want {
				t.Errorf("%d, want %d", rev, want)
			}
		}
		same(t, "the session", s.get(r.ID), withRev(r, r.Rev+3))
		sameAll(t, "listed", s.list(alex), []session.Record{withRev(r, r.Rev+3)})
		same(t, "another user's", s.get(other.ID), other)
	}},
	{"makes the row of a user never seen, whose epoch of sign-ins stays 1", func(t *testing.T, s subject) {
		rev := s.raiseRev(alex)
		if rev == 0 {
			t.Error("0")
		}
		if epoch := s.signInEpoch(alex); epoch != 1 {
			t.Errorf("epoch of sign-ins %d", epoch)
		}
		if r := s.create(session.Creation{Record: NewRecord(alex, base), SignInEpoch: 1}).Record; r.Rev != rev+1 {
			t.Errorf("rev %d after %d", r.Rev, rev)
		}
	}},
	{"at once loses none", func(t *testing.T, s subject) {
		first := s.raiseRev(alex)
		revs := make([]uint64, 32)
		together(len(revs), func(i int) {
			var err error
			if revs[i], err = s.RaiseRev(s.ctx(), alex); err != nil {
				t.Errorf("RaiseRev: %v", err)
			}
		})
		different := map[uint64]bool{}
		for _, rev := range revs {
			different[rev] = rev > first && rev <= first+uint64(len(revs))
		}
		if len(different) != len(revs) || s.raiseRev(alex) != first+uint64(len(revs))+1 {
			t.Errorf("after %d: %v", first, revs)
		}
	}},
}
