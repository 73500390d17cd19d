package cluster

import (
	"testing"
	"time"
)

const (
	// shortly is how long a session lasts on a device that is not to remember it.
	shortly = 8 * time.Second
	// skew is how far two nodes may be apart in what they believe of the database's time:
	// half of how long its answers are held up.
	skew = time.Second
	// ranOut is the reason of such an end.
	ranOut = "absolute_timeout"
)

// runsOut is what the time does to a session that began like this and is to last
// shortly: it may end it as soon as it can be over anywhere, and has when it must be.
func runsOut(began op) []op {
	return []op{
		{kind: mayEnd, outcome: unknown, call: began.call + int64(shortly-skew), reason: ranOut},
		{kind: end, node: nobody, call: began.ret + int64(shortly), ret: began.ret + int64(shortly+skew), reason: ranOut},
	}
}

// A session that lasts shortly is refused for that when its time is over, and not
// before; it is not served any more; and its row may wait for the sweep.
func TestAnEndByTheTimeIsHeldToIt(t *testing.T) {
	began := op{kind: create, node: 0, call: 0, ret: 50 * ms, platform: "one"}
	over := func(call int64, why string) op {
		return op{kind: look, node: 1, outcome: refused, call: call * ms, ret: (call + 1) * ms, why: why}
	}
	look := func(call int64) op {
		return op{kind: look, node: 1, call: call * ms, ret: (call + 1) * ms, version: 1, platform: "one"}
	}
	waits := op{kind: truth, node: nobody, call: 20_000 * ms, ret: 20_001 * ms, version: 1, platform: "one"}
	swept := op{kind: truth, node: nobody, outcome: refused, call: 20_000 * ms, ret: 20_001 * ms, version: 2, platform: "one", why: ranOut}
	for name, c := range map[string]struct {
		lasts bool
		ops   []op
		sum   func(*sums) []string // nil: nothing is found
	}{
		"its time is over, and it waits":    {false, []op{look(7000), over(8100, ranOut), waits}, nil},
		"its time is over, and it is swept": {false, []op{look(7000), over(8100, ranOut), swept}, nil},
		"its time is over, and something else ends it": {false, []op{
			look(7000), over(8100, ranOut),
			{kind: end, node: 1, call: 9000 * ms, ret: 9010 * ms, reason: "credential_changed"},
			{kind: truth, node: nobody, outcome: refused, call: 20_000 * ms, ret: 20_001 * ms, version: 2, platform: "one", why: "credential_changed"},
		}, nil},
		"a switch is under way when its time runs out, and is done": {false, []op{
			look(7000),
			{kind: switchTo, node: 1, outcome: refused, call: 7900 * ms, ret: 8200 * ms, why: ranOut, platform: "two"},
			{kind: truth, node: nobody, call: 20_000 * ms, ret: 20_001 * ms, version: 2, platform: "two"},
		}, nil},
		"a switch is under way when its time runs out, and is not": {false, []op{
			look(7000), {kind: switchTo, node: 1, outcome: refused, call: 7900 * ms, ret: 8200 * ms, why: ranOut, platform: "two"}, waits,
		}, nil},
		"nobody asks any more":                    {false, []op{look(7000), waits}, nil},
		"it was ended before":                     {false, []op{look(2000), {kind: end, node: 1, call: 3000 * ms, ret: 3010 * ms, reason: "signed_out"}, over(9000, "signed_out"), {kind: truth, node: nobody, outcome: refused, call: 20_000 * ms, ret: 20_001 * ms, version: 2, platform: "one", why: "signed_out"}}, nil},
		"refused too early":                       {false, []op{look(2000), over(6500, ranOut), swept}, func(s *sums) []string { return s.unasked }},
		"served too late":                         {false, []op{look(2000), look(11_100), waits}, func(s *sums) []string { return s.served }},
		"one that lasts is refused":               {true, []op{look(2000), over(8100, ranOut)}, func(s *sums) []string { return s.unasked }},
		"one that lasts is swept":                 {true, []op{look(2000), swept}, func(s *sums) []string { return s.unasked }},
		"the database has forgotten the sign-out": {false, []op{look(2000), {kind: end, node: 1, call: 3000 * ms, ret: 3010 * ms, reason: "signed_out"}, over(4000, "signed_out"), waits}, func(s *sums) []string { return s.lost }},
	} {
		h := history{}
		h.add(began)
		if !c.lasts {
			h.add(runsOut(began)...)
		}
		h.add(c.ops...)
		s := judged(h.ops)
		if c.sum == nil && !s.zero() || c.sum != nil && (len(c.sum(s)) == 0 || s.zero()) {
			t.Errorf("%s:\n%s\n%s", name, s, &h)
		}
	}
}
