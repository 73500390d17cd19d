package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// sums are what has to be zero, each with what it was found by.
type sums struct {
	lost        []string // sessions whose acknowledged changes are not in the database
	served      []string // answers from a session that had ended, beyond the bound
	unasked     []string // refusals for which there was no cause
	late        []string // changes that a stream did not tell in time
	open        []string // streams of sessions that had ended, beyond the bound
	exceeded    []string // looks at the database that found more live sessions than the limit
	foreign     []string // answers with another person's data
	unexplained []string // sessions whose answers no order explains, though each sum above is zero
	undecided   []string // sessions for which porcupine found no order in time
	odd         []string // answers that nobody should get, and what nodes should not say
}

func (s *sums) all() map[string]*[]string {
	return map[string]*[]string{
		"acknowledged changes lost": &s.lost, "ended but served after the bound": &s.served, "unasked sign-outs": &s.unasked,
		"changes that streams did not tell in time": &s.late, "streams open after the end": &s.open,
		"limit exceeded": &s.exceeded, "answers with another's data": &s.foreign,
		"sessions without an explanation": &s.unexplained, "sessions not decided": &s.undecided, "odd answers": &s.odd,
	}
}

// zero reports whether there is nothing to complain of.
func (s *sums) zero() bool {
	for _, found := range s.all() {
		if len(*found) > 0 {
			return false
		}
	}
	return true
}

func (s *sums) String() string {
	var lines []string
	for name, found := range s.all() {
		lines = append(lines, fmt.Sprintf("%6d %s", len(*found), name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[7:], b[7:]) })
	return strings.Join(lines, "\n")
}

// judge adds what a session's history has to say. A picture of what cannot be
// explained goes into the folder.
func (s *sums) judge(h *history, folder string) {
	unasked := refusedWithoutCause(h.ops)
	served := servedAfterTheEnd(h.ops, unasked)
	for _, o := range served {
		s.served = append(s.served, fmt.Sprintf("%s: %s", h.handle, o))
	}
	for _, o := range unasked {
		s.unasked = append(s.unasked, fmt.Sprintf("%s: %s", h.handle, o))
	}
	found, result := len(served)+len(unasked) > 0, explain(h.ops)
	switch {
	case result == porcupine.Unknown:
		s.undecided = append(s.undecided, h.handle)
	case result == porcupine.Ok || found:
	case changesLost(h.ops):
		s.lost = append(s.lost, h.handle)
	default:
		s.unexplained = append(s.unexplained, h.handle)
	}
	if folder != "" && (found || result != porcupine.Ok) {
		path := filepath.Join(folder, h.handle)
		err := os.WriteFile(path+".txt", []byte(h.String()), 0o600)
		if err == nil {
			err = picture(h.ops, path+".html")
		}
		if err != nil {
			s.odd = append(s.odd, fmt.Sprintf("%s: no picture of it: %v", h.handle, err))
		}
	}
}

// servedAfterTheEnd returns what was answered as if the session lived, to requests that
// began beyond the bound after it had ended for certain. An unasked refusal is no end.
func servedAfterTheEnd(ops, unasked []op) (late []op) {
	var ends []mark
	for _, o := range ops {
		certain := o.kind == end && o.outcome == done || o.outcome == refused || o.outcome == gone
		if o.kind == truth || !certain || slices.Contains(unasked, o) {
			continue
		}
		m := o.mark()
		if slices.ContainsFunc(ops, func(other op) bool { return (other.kind == end || other.kind == mayEnd) && other != o }) {
			m.node = nobody // what had ended before is nothing that this node did
		}
		ends = append(ends, m)
	}
	for _, o := range ops {
		lives := o.outcome == done && (o.kind == look || o.kind == switchTo || o.kind == refresh || o.kind == rotate)
		if lives && slices.ContainsFunc(ends, func(m mark) bool { return m.binds(o.call, o.node) }) {
			late = append(late, o)
		}
	}
	return late
}

// refusedWithoutCause returns the refusals, and the rows, that say that the session has
// ended for a reason that nobody gave before.
func refusedWithoutCause(ops []op) (unasked []op) {
	for _, o := range ops {
		if o.outcome != refused && !(o.outcome == gone && o.kind != truth) {
			continue
		}
		if !slices.ContainsFunc(ops, func(c op) bool {
			return (c.kind == end || c.kind == mayEnd) && c.outcome != refused && c.outcome != gone && c.call <= o.ret && (o.outcome == gone || c.reason == o.why)
		}) {
			unasked = append(unasked, o)
		}
	}
	return unasked
}

// changesLost reports whether the changes alone cannot have led to the row that is in
// the database in the end.
func changesLost(ops []op) bool {
	changes := slices.DeleteFunc(slices.Clone(ops), func(o op) bool { return o.kind == look })
	return explain(changes) == porcupine.Illegal
}
