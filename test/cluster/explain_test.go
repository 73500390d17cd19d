package cluster

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is how long porcupine may look for the order of one session's calls.
const patience = time.Minute

var seed = maphash.MakeSeed()

// facts are what a history says of every version, whoever saw it. They rule nothing out
// that the model allows. They keep porcupine from trying out all orders of the changes
// that had no answer, which are many after an outage.
type facts struct {
	platforms map[int]string // by version, as far as somebody was shown it
	last      int            // version that there ever was; 0: nobody knows
}

func factsOf(ops []op) facts {
	f := facts{platforms: map[int]string{}}
	for _, o := range ops {
		switch {
		case o.kind == look && o.outcome == done:
			f.platforms[o.version] = o.platform
		case o.kind == truth && o.outcome == done:
			f.last = o.version
		case o.kind == truth && o.outcome == refused:
			f.last = o.version - 1 // and the end
		}
	}
	return f
}

// step is the model's, where it can lead to what the history says.
func (f facts) step(s state, o op) (state, bool) {
	next, ok := s.step(o)
	if f.last > 0 && o.outcome == unknown && !s.past && next.equal(s) {
		return next, false // it is as good after the row was looked at
	}
	if !ok || next.versions == nil {
		return next, ok
	}
	number := len(next.versions)
	shown, known := f.platforms[number]
	if known && shown != next.now().platform || f.last > 0 && number > f.last {
		return next, false
	}
	if before := number - 1; number > len(s.versions) && before > 0 && f.platforms[before] == "" {
		next.versions = slices.Clone(next.versions)
		next.versions[before-1].platform = "" // nobody was shown it
	}
	return next, true
}

// model is what porcupine steps through.
func model(f facts) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(s, input, _ any) (bool, any) {
			next, ok := f.step(s.(state), input.(op))
			return ok, next
		},
		Equal: func(a, b any) bool { return a.(state).equal(b.(state)) },
		Hash: func(s any) uint64 {
			last := s.(state)
			return maphash.Comparable(seed, [3]int{len(last.versions), len(last.causes), map[bool]int{true: 1}[last.over]})
		},
		DescribeOperation: func(input, _ any) string { return input.(op).String() },
		DescribeState:     func(s any) string { return s.(state).String() },
	}
}

// operations are the ops as porcupine takes them. What may have ended the session for a
// reason that neither an answer nor the row ever told has not. Of all that may have ended
// it and had no answer the first one with a reason stands for the later ones: it stays
// possible for ever.
func operations(ops []op) (history []porcupine.Operation) {
	first, told, row := map[string]int64{}, map[string]bool{}, false
	for _, o := range ops {
		if o.outcome == refused {
			told[o.why] = true
		}
		row = row || o.kind == truth && o.outcome != gone
	}
	ops = slices.DeleteFunc(slices.Clone(ops), func(o op) bool {
		return row && (o.kind == mayEnd || o.kind == end && o.outcome == unknown) && !told[o.reason]
	})
	open := func(o op) bool { return (o.kind == end || o.kind == mayEnd) && o.outcome == unknown }
	for _, o := range ops {
		if call, ok := first[o.reason]; open(o) && (!ok || o.call < call) {
			first[o.reason] = o.call
		}
	}
	for _, o := range ops {
		if open(o) {
			if call, ok := first[o.reason]; !ok || call != o.call {
				continue
			}
			delete(first, o.reason)
		}
		history = append(history, porcupine.Operation{ClientId: o.tab, Input: o, Call: o.call, Return: o.ret})
	}
	return history
}

// explain looks for an order that explains the ops.
func explain(ops []op) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(model(factsOf(ops)), operations(ops), patience)
}

// picture draws how far porcupine came.
func picture(ops []op, path string) error {
	m := model(factsOf(ops))
	_, info := porcupine.CheckOperationsVerbose(m, operations(ops), patience)
	return porcupine.VisualizePath(m, info, path)
}
