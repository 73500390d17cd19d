package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

var get = []promise{
	{"returns the record as it was created", func(t *testing.T, s subject) {
		want := NewRecord(alex, base)
		created := s.create(session.Creation{Record: want}).Record
		want.Epoch, want.Rev = created.Epoch, created.Rev
		same(t, "created", created, want)
		same(t, "read", s.get(want.ID), want)
	}},
	{"returns every field of the record", func(t *testing.T, s subject) {
		want := NewRecord(alex, base)
		want.RenewedAt, want.LastActivity = after(1), after(3)
		want.Proof, want.PreviousProof = assurance.Proof{At: after(2), Level: 3}, assurance.Proof{At: after(7), Level: 255}
		want.FirstUsed, want.SwitchesSince, want.Switches = after(4), after(5), 6
		want.Limits = session.Limits{Idle: 90*time.Minute + time.Microsecond, Until: after(7)}
		want.Persistent, want.Guest, want.Impersonator, want.ImpersonatedFrom = true, true, "op\x00\xff", NewRecord(robin, base).ID
		for i := range want.Secret {
			want.Secret[i], want.Previous[i] = byte(i), byte(255-i)
		}
		created := s.create(session.Creation{Record: want}).Record
		want.Epoch, want.Rev = created.Epoch, created.Rev
		same(t, "read", s.get(want.ID), want)
	}},
	{"returns an ended record too", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		want := s.end(session.Ending{User: alex, Reason: session.RevokedByAdmin, By: "operator kim", At: after(1)})
		if len(want) != 1 || want[0].EndReason != session.RevokedByAdmin || want[0].EndedBy != "operator kim" || !want[0].EndedAt.Equal(after(1)) {
			t.Fatalf("End returned %+v", want)
		}
		same(t, "the tombstone", s.get(r.ID), want[0])
	}},
	{"returns ErrNotFound for none", func(t *testing.T, s subject) {
		s.signIn(alex, 0)
		for _, id := range []session.ID{{}, NewRecord(alex, base).ID} {
			if _, err := s.Get(s.ctx(), id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("Get(%s): %v, want ErrNotFound", id, err)
			}
		}
	}},
}

var list = []promise{
	{"returns the user's records that have not ended", func(t *testing.T, s subject) {
		a, b, ended := s.signIn(alex, 0), s.signIn(alex, 1), s.signIn(alex, 2)
		s.signIn(robin, 3)
		s.signOut(ended)
		sameAll(t, "of alex", s.list(alex), []session.Record{s.get(a.ID), s.get(b.ID)})
	}},
	{"returns none without an error", func(t *testing.T, s subject) {
		if records := s.list("never seen"); len(records) > 0 {
			t.Errorf("%+v", records)
		}
		s.signOut(s.signIn(alex, 0))
		if records := s.list(alex); len(records) > 0 {
			t.Errorf("after the last one ended: %+v", records)
		}
	}},
	{"returns those past a deadline too", func(t *testing.T, s subject) {
		old := NewRecord(alex, base.AddDate(-20, 0, 0))
		s.create(session.Creation{Record: old})
		if records := s.list(alex); len(records) != 1 || records[0].ID != old.ID {
			t.Errorf("%+v", records)
		}
	}},
}

var count = []promise{
	{"counts the sessions that have not ended", func(t *testing.T, s subject) {
		wantCount(s, session.Cutoffs{}, 0)
		s.signIn(alex, 0)
		s.signIn(alex, 0)
		ended := s.signIn(robin, 0)
		wantCount(s, session.Cutoffs{}, 3)
		s.signOut(ended)
		wantCount(s, session.Cutoffs{}, 2)
	}},
	{"leaves out those past a cutoff, to the microsecond", func(t *testing.T, s subject) {
		for _, c := range pastEach(base) {
			r := NewRecord(alex, after(1000))
			c.set(&r, base)
			s.create(session.Creation{Record: r})
			wantCount(s, c.cutoffs, 0)
			s.signOut(r)
			r = NewRecord(alex, after(1000))
			c.set(&r, base.Add(time.Microsecond))
			s.create(session.Creation{Record: r})
			wantCount(s, c.cutoffs, 1)
			s.signOut(r)
		}
	}},
}

func wantCount(s subject, cutoffs session.Cutoffs, want int) {
	s.t.Helper()
	if n, err := s.Count(s.ctx(), cutoffs); err != nil || n != want {
		s.t.Errorf("Count: %d, %v, want %d", n, err, want)
	}
}

// clock is one of those that end a session: cutoffs with only that one, and
// how to set what it looks at.
type clock struct {
	reason  session.Reason
	cutoffs session.Cutoffs
	set     func(r *session.Record, at time.Time)
}

func pastEach(cutoff time.Time) []clock {
	return []clock{
		{session.IdleTimeout, session.Cutoffs{Idle: cutoff}, func(r *session.Record, at time.Time) { r.LastActivity = at }},
		{session.LifetimeOver, session.Cutoffs{Lifetime: cutoff}, func(r *session.Record, at time.Time) { r.RenewedAt = at }},
		{session.AbsoluteTimeout, session.Cutoffs{Absolute: cutoff}, func(r *session.Record, at time.Time) { r.CreatedAt = at }},
		{session.IdleTimeout, session.Cutoffs{OwnIdle: cutoff}, func(r *session.Record, at time.Time) {
			r.Limits.Idle, r.LastActivity = 90*time.Second, at.Add(-90*time.Second)
		}},
		{session.AbsoluteTimeout, session.Cutoffs{Until: cutoff}, func(r *session.Record, at time.Time) { r.Limits.Until = at }},
	}
}

var signInEpoch = []promise{
	{"is 1 for a user never seen", func(t *testing.T, s subject) {
		if epoch := s.signInEpoch(alex); epoch != 1 {
			t.Errorf("%d", epoch)
		}
	}},
	{"stays while sessions come, change and go", func(t *testing.T, s subject) {
		r := s.signIn(alex, 0)
		s.raiseRev(alex)
		s.signOut(r)
		if epoch := s.signInEpoch(alex); epoch != 1 {
			t.Errorf("%d, want 1", epoch)
		}
	}},
	{"is raised by one, for that user, by each End that says so", func(t *testing.T, s subject) {
		for want := uint64(2); want < 5; want++ {
			s.end(session.Ending{User: alex, Reason: session.CredentialChanged, By: "alex", At: base, RaiseEpoch: true})
			if epoch := s.signInEpoch(alex); epoch != want {
				t.Errorf("%d, want %d", epoch, want)
			}
		}
		if epoch := s.signInEpoch(robin); epoch != 1 {
			t.Errorf("another user's: %d, want 1", epoch)
		}
	}},
}

// oddIDs are at most session.MaxIDLength bytes long, and all different.
var oddIDs = []string{
	"1", "007", "9007199254740993", "NULL", "0", "-1", "1e3",
	"alex", "Alex", "alex ", " alex", "alex\t", "álex", "a\u0301lex", "ALEX",
	strings.Repeat("x", session.MaxIDLength), strings.Repeat("x", session.MaxIDLength-1), strings.Repeat("é", session.MaxIDLength/2), strings.Repeat("🐦", session.MaxIDLength/4),
	`a'b"c\d` + "`e", "%", "_", "$1 ? :x @p {y} #z", "a;--", "/*", "<script>", "a,b:c|d", "{a}", "a*", "[a]",
	"日本語", "line\r\nfeed", "\x1b[31mred", "a\u2028b", "\u202eabc", "\ufeff", "\x7f", "\x01",
}

// oddText is what a client may say of itself.
var oddText = []string{
	"", "curl/8\r\nSet-Cookie: a=b", "\x1b]0;title\x07\x1b[31m", "a\u2028b\u2029c", "'; DROP TABLE sessions; --", `\'\"\\`, "%s%d%n", "日本語🐦", "\ufffd",
	" spaces around ", strings.Repeat("Mozilla/5.0 ", 340),
}

var text = []promise{
	{"ids are opaque: every one is itself and no other", func(t *testing.T, s subject) {
		for i, id := range oddIDs {
			user, platform := session.UserID(id), session.PlatformID(oddIDs[len(oddIDs)-1-i])
			r := NewRecord(user, base)
			r.PlatformID = platform
			s.create(session.Creation{Record: r, Limit: 1})
			other := session.PlatformID("other")
			if _, changed, err := s.SwitchPlatform(s.ctx(), r.ID, other, base, 0); err != nil || !changed {
				t.Errorf("switch of %q: %v, %v", id, changed, err)
			}
			if got, changed, err := s.SwitchPlatform(s.ctx(), r.ID, platform, base, 0); err != nil || !changed || got.PlatformID != platform {
				t.Errorf("switch to %q: %q, %v, %v", platform, got.PlatformID, changed, err)
			}
		}
		for _, id := range oddIDs {
			records := s.list(session.UserID(id))
			if len(records) != 1 || records[0].UserID != session.UserID(id) {
				t.Errorf("%q has %d sessions, want its own: %+v", id, len(records), records)
			}
		}
		before := s.mark()
		for _, id := range oddIDs {
			user := session.UserID(id)
			if ended := s.end(session.Ending{User: user, Reason: session.SignedOut, By: id, At: base, RaiseEpoch: true}); len(ended) != 1 || ended[0].UserID != user || ended[0].EndedBy != id {
				t.Errorf("%q: ended %+v", id, ended)
			}
			if epoch := s.signInEpoch(user); epoch != 2 {
				t.Errorf("%q: epoch of sign-ins %d, want 2", id, epoch)
			}
		}
		told := map[session.UserID]bool{}
		for _, ch := range s.since(before) {
			told[ch.User] = true
		}
		if len(told) != len(oddIDs) {
			t.Errorf("the feed knows %d users of %d", len(told), len(oddIDs))
		}
	}},
	{"platforms that are alike are not the same", func(t *testing.T, s subject) {
		r := NewRecord(alex, base)
		r.PlatformID = session.PlatformID(oddIDs[0])
		s.create(session.Creation{Record: r})
		for _, id := range oddIDs[1:] {
			got, changed, err := s.SwitchPlatform(s.ctx(), r.ID, session.PlatformID(id), base, 0)
			if err != nil || !changed || got.PlatformID != session.PlatformID(id) || s.get(r.ID).PlatformID != got.PlatformID {
				t.Errorf("to %q: %q, %v, %v", id, got.PlatformID, changed, err)
			}
		}
	}},
	{"a session may have no platform", func(t *testing.T, s subject) {
		r := NewRecord(alex, base)
		r.PlatformID, r.Fingerprint, r.Client = "", "", session.Client{}
		created := s.create(session.Creation{Record: r}).Record
		r.Epoch, r.Rev = created.Epoch, created.Rev
		same(t, "read", s.get(r.ID), r)
	}},
	{"what a client says of itself comes back as it was", func(t *testing.T, s subject) {
		for _, text := range oddText {
			want := NewRecord(alex, base)
			want.Client = session.Client{UserAgent: text, IPAddress: "2001:db8::1%eth0", Language: text}
			want.Fingerprint = text
			s.create(session.Creation{Record: want})
			if got := s.get(want.ID); got.Client != want.Client || got.Fingerprint != want.Fingerprint {
				t.Errorf("%q: got %+v", text, got.Client)
			}
			ended := s.end(session.Ending{User: alex, ID: want.ID, Reason: session.RevokedByAdmin, By: text, At: base})
			if len(ended) != 1 || ended[0].EndedBy != text || s.get(want.ID).EndedBy != text {
				t.Errorf("by %q: %+v", text, ended)
			}
		}
	}},
	{"times come back exactly, in UTC", func(t *testing.T, s subject) {
		for i, at := range []time.Time{
			base, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2025, 6, 30, 23, 59, 59, 999999000, time.UTC), time.Date(2025, 3, 30, 1, 30, 0, 1000, time.UTC),
			time.Date(2024, 2, 29, 12, 0, 0, 500000000, time.UTC), time.Date(2001, 9, 9, 1, 46, 40, 123000, time.UTC),
			time.Date(2038, 1, 19, 3, 14, 8, 7000, time.UTC), time.Date(2262, 4, 12, 0, 0, 0, 1000, time.UTC),
		} {
			want := NewRecord(alex, at)
			want.FirstUsed, want.SwitchesSince = at, at
			created := s.create(session.Creation{Record: want}).Record
			want.Epoch, want.Rev = created.Epoch, created.Rev
			same(t, fmt.Sprintf("%v, read", at), s.get(want.ID), want)
			sameAll(t, fmt.Sprintf("%v, listed", at), s.list(alex), []session.Record{want})
			later := at.Add(time.Duration(i+1) * time.Microsecond)
			s.touch(session.Activity{ID: want.ID, At: later})
			if got := s.get(want.ID).LastActivity; got != later {
				t.Errorf("activity %v, want %v", got, later)
			}
			if ended := s.end(session.Ending{User: alex, ID: want.ID, Reason: session.SignedOut, By: "alex", At: later}); len(ended) != 1 || ended[0].EndedAt != later || s.get(want.ID).EndedAt != later {
				t.Errorf("ended %+v, want at %v", ended, later)
			}
		}
	}},
}
