package cluster

import (
	"slices"
	"testing"
)

// soon is by when an open stream tells what somebody knows: the lease, and as much for a
// machine that does other things, while its node and the way to the database are well.
const soon = int64(2 * lease)

// trouble is when a node had a fault.
type trouble struct{ began, over int64 }

// due is by when a node with these troubles tells what was known at that time: soon, if
// nothing befalls it, or soon after what befell it last.
func due(known int64, troubles []trouble) int64 {
	by := known + soon
	for moved := true; moved; {
		moved = false
		for _, one := range troubles {
			if one.began < by && one.over+soon > by {
				by, moved = one.over+soon, true
			}
		}
	}
	return by
}

// hear holds a stream against what others knew of its session, and returns how much of
// that it had to tell, and did. What it did not is counted once.
func (s *sums) hear(h *history, st *stream, troubles []trouble) (inTime int) {
	late, open := "", ""
	for _, o := range h.ops {
		if o.ret == forever || o.kind == truth {
			continue
		}
		by := due(max(o.ret, st.opened), troubles)
		if by > st.closed {
			continue // it was not there any more
		}
		if o.ret == st.ended || slices.Contains(st.told, told{o.ret, o.version}) {
			continue // it is what others know that it has to tell
		}
		over := o.kind == end && o.outcome == done || o.outcome == refused || o.outcome == gone
		shows := o.kind == look && o.outcome == done
		switch {
		case over && (st.ended == 0 || st.ended > by):
			open = o.String()
		case shows && !slices.ContainsFunc(st.told, func(one told) bool { return one.version >= o.version && one.at <= by }) && (st.ended == 0 || st.ended > by):
			late = o.String()
		case over || shows:
			inTime++
		}
	}
	if late != "" {
		s.late = append(s.late, h.handle+": "+late)
	}
	if open != "" {
		s.open = append(s.open, h.handle+": "+open)
	}
	return inTime
}

// A stream is late if it does not tell what was known, or that it is over, soon after
// that was so and the node was well; and not before, nor if it is gone by then.
func TestStreamsThatAreLateAreFound(t *testing.T) {
	const known, ended = 10_000, 20_000 // ms
	ops := []op{
		{kind: create, ret: 50 * ms, platform: "one"},
		{kind: look, ret: 1000 * ms, version: 1, platform: "one"},
		{kind: switchTo, ret: known*ms - 1, platform: "two"},
		{kind: look, ret: known * ms, version: 2, platform: "two"},
		{kind: switchTo, outcome: unknown, ret: forever, platform: "one"},
		{kind: end, ret: ended * ms, reason: "signed_out"},
		{kind: truth, outcome: refused, ret: 40_000 * ms, version: 3, platform: "two", why: "signed_out"},
	}
	first := told{500 * ms, 1}
	for name, c := range map[string]struct {
		stream             stream
		troubles           []trouble
		late, open, inTime int
	}{
		"in time":                               {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {11_000 * ms, 2}}, ended: 21_000 * ms}, nil, 0, 0, 3},
		"at the last moment":                    {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {known*ms + soon, 2}}, ended: ended*ms + soon}, nil, 0, 0, 3},
		"a moment later":                        {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {known*ms + soon + 1, 2}}, ended: ended*ms + soon + 1}, nil, 1, 1, 1},
		"never":                                 {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first}}, nil, 1, 1, 1},
		"nothing at all":                        {stream{opened: 400 * ms, closed: 9_000 * ms}, nil, 1, 0, 0},
		"of a change, but not of the end":       {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {11_000 * ms, 2}}}, nil, 0, 1, 2},
		"closed before it had to":               {stream{opened: 400 * ms, closed: known*ms + soon - 1, told: []told{first}}, nil, 0, 0, 1},
		"closed in place of the end":            {stream{opened: 400 * ms, closed: ended*ms + soon - 1, told: []told{first, {11_000 * ms, 2}}}, nil, 0, 0, 2},
		"while the node was in trouble":         {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {18_000 * ms, 2}}, ended: 21_000 * ms}, []trouble{{9_000 * ms, 15_000 * ms}}, 0, 0, 3},
		"long after that":                       {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {19_500 * ms, 2}}, ended: 21_000 * ms}, []trouble{{9_000 * ms, 15_000 * ms}}, 1, 0, 2},
		"in trouble twice":                      {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {19_500 * ms, 2}}, ended: 21_000 * ms}, []trouble{{17_000 * ms, 18_000 * ms}, {9_000 * ms, 15_000 * ms}}, 0, 0, 3},
		"a trouble that was over":               {stream{opened: 400 * ms, closed: 30_000 * ms, told: []told{first, {15_500 * ms, 2}}, ended: 21_000 * ms}, []trouble{{2_000 * ms, 5_000 * ms}}, 1, 0, 2},
		"opened later, and told what there is":  {stream{opened: 12_000 * ms, closed: 30_000 * ms, told: []told{{12_010 * ms, 2}}, ended: 20_010 * ms}, nil, 0, 0, 3},
		"opened later, and told what there was": {stream{opened: 12_000 * ms, closed: 19_000 * ms, told: []told{{12_010 * ms, 1}}}, nil, 1, 0, 1},
		"open when it had ended":                {stream{opened: 24_000 * ms, closed: 30_000 * ms, told: []told{{24_010 * ms, 2}}}, nil, 0, 1, 2},
	} {
		s := &sums{}
		inTime := s.hear(&history{handle: "doctored", ops: ops}, &c.stream, c.troubles)
		if len(s.late) != c.late || len(s.open) != c.open || inTime != c.inTime || s.zero() != (c.late+c.open == 0) {
			t.Errorf("%s: %d in time, late %v, open %v", name, inTime, s.late, s.open)
		}
	}
}

// A stream's own words are no proof that it spoke in time.
func TestAStreamIsNotHeldAgainstItself(t *testing.T) {
	st := &stream{opened: 0, closed: 30_000 * ms, told: []told{{500 * ms, 1}}, ended: 20_000 * ms}
	s, h := &sums{}, &history{ops: []op{
		{kind: look, ret: 500 * ms, version: 1, platform: "one"},
		{kind: look, outcome: refused, ret: 20_000 * ms, why: "signed_out"},
	}}
	if inTime := s.hear(h, st, nil); inTime != 0 || !s.zero() {
		t.Errorf("%d in time\n%s", inTime, s)
	}
}
