package cluster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session/internal/testservers"
)

// ms is a moment of a doctored history.
const ms = int64(time.Millisecond)

// life is an honest history: a session on three nodes that is used, switched, rotated,
// perhaps pushed out by a sign-in elsewhere, and ended.
func life() []op {
	h := history{}
	h.add(
		op{kind: create, node: 0, call: 0, ret: 50 * ms, platform: "one"},
		op{kind: look, node: 1, call: 60 * ms, ret: 61 * ms, version: 1, platform: "one"},
		op{kind: switchTo, node: 0, call: 100 * ms, ret: 110 * ms, platform: "two"},
		op{kind: look, node: 1, call: 111 * ms, ret: 112 * ms, version: 1, platform: "one"}, // within the lease
		op{kind: look, node: 0, call: 111 * ms, ret: 113 * ms, version: 2, platform: "two"},
		op{kind: switchTo, node: 2, outcome: unknown, call: 200 * ms, platform: "one"}, // nothing came of it
		op{kind: look, node: 1, call: 3000 * ms, ret: 3001 * ms, version: 2, platform: "two"},
		op{kind: rotate, node: 1, call: 4000 * ms, ret: 4100 * ms},
		op{kind: look, node: 1, call: 4200 * ms, ret: 4201 * ms, version: 4, platform: "two"},
		op{kind: switchTo, node: 2, outcome: unknown, call: 4300 * ms, platform: "one"}, // it has happened
		op{kind: mayEnd, node: 0, call: 4400 * ms, ret: 4500 * ms, reason: "evicted_by_limit"},
		op{kind: look, node: 2, call: 7000 * ms, ret: 7001 * ms, version: 5, platform: "one"},
		op{kind: end, node: 0, call: 8000 * ms, ret: 8010 * ms, reason: "signed_out"},
		op{kind: look, node: 1, call: 8500 * ms, ret: 8501 * ms, version: 5, platform: "one"}, // within the lease
		op{kind: look, node: 1, outcome: refused, call: 10100 * ms, ret: 10101 * ms, why: "signed_out"},
		op{kind: truth, outcome: refused, node: nobody, call: 20000 * ms, ret: 20001 * ms, version: 6, platform: "one", why: "signed_out"},
	)
	return h.ops
}

func judged(ops []op) *sums {
	s := &sums{}
	s.judge(&history{handle: "doctored", ops: ops}, "")
	return s
}

func TestAnHonestHistoryIsExplained(t *testing.T) {
	if s := judged(life()); !s.zero() {
		t.Errorf("\n%s\n%s", s, &history{ops: life()})
	}
}

// After an outage much has no answer: that is explained too, and soon.
func TestWhatHadNoAnswerIsExplainedSoon(t *testing.T) {
	h := history{handle: "doctored"}
	for i := range int64(20) { // ends that came to nothing, before and while it lived
		h.add(op{kind: end, outcome: unknown, call: -1000*ms + 500*i*ms, reason: "revoked_by_user"})
		h.add(op{kind: mayEnd, outcome: unknown, call: -1000*ms + 500*i*ms, reason: "credential_changed"})
	}
	h.add(life()...)
	h.ops = slices.DeleteFunc(h.ops, func(o op) bool { return o.kind == end && o.reason == "signed_out" })
	for i := range h.ops {
		if h.ops[i].outcome == refused {
			h.ops[i].why = "credential_changed"
		}
	}
	for i := range int64(12) {
		h.add(op{kind: switchTo, outcome: unknown, call: 210*ms + 5*i*ms, platform: []string{"one", "two", "three"}[i%3]})
	}
	for i := range int64(100) { // three at a time
		h.add(op{kind: look, node: 1, call: 3002*ms + 5*i*ms, ret: 3002*ms + 5*i*ms + 14*ms, version: 2, platform: "two"})
	}
	began := time.Now()
	s := &sums{}
	s.judge(&h, "")
	if !s.zero() || time.Since(began) > patience/2 {
		t.Errorf("after %v:\n%s\n%s", time.Since(began), s, &h)
	}
}

// Every sum counts what it is there for, and nothing else does.
func TestTheSumsFindWhatTheyAreThereFor(t *testing.T) {
	at := func(ops []op, call int64) *op {
		return &ops[slices.IndexFunc(ops, func(o op) bool { return o.call == call*ms && o.kind != confirm })]
	}
	for name, c := range map[string]struct {
		doctor func([]op) []op
		sum    func(*sums) []string
	}{
		"the database has forgotten a switch": {func(ops []op) []op {
			row := at(ops, 20000)
			row.version, row.platform = 3, "two" // as after the first switch and the end
			return ops
		}, func(s *sums) []string { return s.lost }},
		"the database has forgotten the end": {func(ops []op) []op {
			row := at(ops, 20000)
			row.outcome, row.version, row.why = done, 5, ""
			return ops
		}, func(s *sums) []string { return s.lost }},
		"the row is gone": {func(ops []op) []op {
			*at(ops, 20000) = op{kind: truth, outcome: gone, node: nobody, call: 20000 * ms, ret: 20001 * ms}
			return ops
		}, func(s *sums) []string { return s.lost }},
		"served beyond the lease": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, call: 10011 * ms, ret: 10012 * ms, version: 5, platform: "one"})
		}, func(s *sums) []string { return s.served }},
		"served by the node that ended it": {func(ops []op) []op {
			ops = slices.DeleteFunc(ops, func(o op) bool { return o.kind == mayEnd }) // which could have ended it elsewhere
			return append(ops, op{kind: look, node: 0, call: 8011 * ms, ret: 8012 * ms, version: 5, platform: "one"})
		}, func(s *sums) []string { return s.served }},
		"changed after the end": {func(ops []op) []op {
			return append(ops, op{kind: switchTo, node: 2, call: 10011 * ms, ret: 10012 * ms, platform: "one"})
		}, func(s *sums) []string { return s.served }},
		"refused for no reason": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, outcome: refused, call: 5000 * ms, ret: 5001 * ms, why: "unknown"})
		}, func(s *sums) []string { return s.unasked }},
		"refused before anybody ended it": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, outcome: refused, call: 7500 * ms, ret: 7501 * ms, why: "signed_out"})
		}, func(s *sums) []string { return s.unasked }},
		"an old platform beyond the lease": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, call: 2111 * ms, ret: 2112 * ms, version: 1, platform: "one"})
		}, func(s *sums) []string { return s.unexplained }},
		"an old platform on the node that switched": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 0, call: 114 * ms, ret: 115 * ms, version: 1, platform: "one"})
		}, func(s *sums) []string { return s.unexplained }},
		"a platform that nobody chose": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, call: 500 * ms, ret: 501 * ms, version: 2, platform: "three"})
		}, func(s *sums) []string { return s.unexplained }},
		"a version from the future": {func(ops []op) []op {
			return append(ops, op{kind: look, node: 2, call: 70 * ms, ret: 71 * ms, version: 2, platform: "two"})
		}, func(s *sums) []string { return s.unexplained }},
		"alive again after a refusal": {func(ops []op) []op {
			// Nobody knows whether the sign-in elsewhere ended it, until one node says so.
			return append(ops[:slices.IndexFunc(ops, func(o op) bool { return o.call == 8000*ms })],
				op{kind: look, node: 1, outcome: refused, call: 7100 * ms, ret: 7101 * ms, why: "evicted_by_limit"})
		}, func(s *sums) []string { return s.unexplained }},
	} {
		t.Run(name, func(t *testing.T) {
			s := judged(c.doctor(life()))
			if len(c.sum(s)) != 1 {
				t.Errorf("not found:\n%s", s)
			}
			found := 0
			for _, lines := range s.all() {
				found += len(*lines)
			}
			if found != 1 {
				t.Errorf("found %d times:\n%s", found, s)
			}
		})
	}
}

// The sums that are not of one session's history find what they are there for, too.
func TestForeignDataAndTooManySessionsAreFound(t *testing.T) {
	me, other := &person{name: "me", platforms: map[string]string{"1": "mine"}}, &person{name: "other"}
	for name, c := range map[string]struct {
		body              string
		foreign, exceeded int
	}{
		"my own":                   {`{"user":{"username":"me"},"session":{"session_id":"a"},"platform":{"name":"mine"},"sessions":[{"session_id":"a"},{"session_id":"unheard"}]}`, 0, 0},
		"somebody else":            {`{"user":{"username":"other"},"session":{"session_id":"a"}}`, 1, 0},
		"another session":          {`{"user":{"username":"me"},"session":{"session_id":"c"}}`, 1, 0},
		"another's platform":       {`{"platform":{"name":"theirs"}}`, 1, 0},
		"another's platforms":      {`{"platforms":[{"id":1,"name":"mine"},{"id":2,"name":"theirs"}]}`, 1, 0},
		"another's among sessions": {`{"sessions":[{"session_id":"a"},{"session_id":"b"}]}`, 1, 0},
		"more than the limit":      {`{"sessions":[{"session_id":"a"},{"session_id":"d"},{"session_id":"e"},{"session_id":"f"}]}`, 0, 1},
	} {
		r := &run{owners: map[string]*person{"a": me, "b": other}}
		r.check(me, "a", "/", []byte(c.body))
		if len(r.sums.foreign) != c.foreign || len(r.sums.exceeded) != c.exceeded || r.sums.zero() != (c.foreign+c.exceeded == 0) {
			t.Errorf("%s:\n%s", name, &r.sums)
		}
	}
}

// The watch over the database counts what is over the limit there.
func TestTheWatchFindsMoreSessionsThanTheLimit(t *testing.T) {
	database, err := pgx.Connect(t.Context(), testservers.PostgreSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close(context.WithoutCancel(t.Context()))
	if _, err := database.Exec(t.Context(), `CREATE TABLE sessions (user_id bytea, ended_at bigint);
		INSERT INTO sessions SELECT 'much', NULL FROM generate_series(1, 4);
		INSERT INTO sessions SELECT 'right', NULL FROM generate_series(1, 3);
		INSERT INTO sessions SELECT 'right', 1 FROM generate_series(1, 9)`); err != nil {
		t.Fatal(err)
	}
	r := &run{counts: map[string]int{}, until: time.Now().Add(time.Millisecond)}
	if err := r.watch(database); err != nil {
		t.Fatal(err)
	}
	if len(r.sums.exceeded) == 0 || !strings.Contains(r.sums.exceeded[0], "much has 4") || strings.Contains(strings.Join(r.sums.exceeded, ""), "right") {
		t.Errorf("found %v", r.sums.exceeded)
	}
}
