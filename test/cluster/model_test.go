package cluster

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// lease is how long a node may go on with what it remembers.
const lease = 2 * time.Second

// The model of one session, as everybody outside may know it.
//
// A change takes effect at one moment between its call and its answer; one without an
// answer (503, a timeout, a crash) at one moment after its call, or never. What a node
// shows of a session may be old, within these bounds:
//
//   - a change is seen by every request that begins more than a lease after the change
//     was known, that is, answered, or shown by any node;
//   - and by every request that begins on the node that answered the change, after that.
//
// A refusal is never old: that a session has ended is what the database says.
//
// Whether a sign-in elsewhere ended this session cannot be told from its answer. Such an
// op only may have ended it: that is open until an answer says that it did, or until
// one says that the session lives, which could not know it otherwise.

// op is one call on a session by somebody.
type op struct {
	kind
	outcome
	node      int   // that answered; nobody: the database itself, or not known
	call, ret int64 // nanoseconds since the run began; ret is forever if there was no answer
	platform  string
	version   int    // that was shown
	reason    string // of an end that was asked for
	why       string // it had ended, by a refusal or the row
	tab       int    // who called, for the picture
}

type kind int

const (
	create   kind = iota
	look          // GET session_state: shows version and platform
	switchTo      // platform
	refresh
	rotate
	confirm // the first use of a rotated token: part of some later call
	end     // reason; done: this session is over now, whoever ended it
	mayEnd  // reason; may have ended it, even if done
	truth   // the row in the database, when all is over
)

func (k kind) String() string {
	return [...]string{"sign in", "look", "switch", "refresh", "rotate", "confirm", "end", "may end", "row"}[k]
}

type outcome int

const (
	done outcome = iota
	refused
	gone    // it has ended, and no reason is told; of the truth: there is no row
	unknown // it may have happened, or may happen yet
	nothing // and that is for certain: a conflict
)

const (
	nobody  = -1
	forever = int64(math.MaxInt64)
)

func (o op) String() string {
	s := o.kind.String()
	switch o.kind {
	case create, switchTo:
		s += " " + o.platform
	case look, truth:
		if o.outcome == done {
			s += fmt.Sprintf(" → %d %s", o.version, o.platform)
		}
	case end, mayEnd:
		s += " (" + o.reason + ")"
	}
	switch o.outcome {
	case refused:
		s += " → " + o.why
	case gone:
		s += " → gone"
	case unknown:
		s += " → ?"
	}
	if o.node != nobody {
		s += fmt.Sprintf(" @%d", o.node)
	}
	return s
}

// mark says since when a change has to be seen.
type mark struct {
	known    int64 // by anybody; forever: not yet
	answered int64 // by the node
	node     int
}

func (o outcome) String() string {
	return [...]string{"done", "refused", "gone", "unknown", "nothing"}[o]
}

func (o op) mark() mark {
	if o.outcome == unknown {
		return mark{forever, forever, nobody}
	}
	return mark{o.ret, o.ret, o.node}
}

// binds reports whether a request that began at call on the node has to see it.
func (m mark) binds(call int64, node int) bool {
	return m.known < call-int64(lease) || m.node == node && m.answered < call
}

type version struct {
	platform string
	mark
}

// cause is something that may have ended the session.
type cause struct {
	reason string
	mark
}

// state of a session. It is never changed in place.
type state struct {
	versions    []version // the first is version 1
	unconfirmed bool      // rotated, and the new token has not been used yet
	causes      []cause   // one of which ended it, if over
	over        bool
	end         mark // if over
	past        bool // the row was looked at: what happens now is nobody's matter
}

func (s state) now() version { return s.versions[len(s.versions)-1] }

// step returns the state after the op, and whether the op could be answered like this.
func (s state) step(o op) (state, bool) {
	switch {
	case o.kind == create:
		return state{versions: []version{{o.platform, o.mark()}}}, s.versions == nil
	case s.versions == nil: // what ends others' sessions has nothing to end here yet
		return s, o.kind == end || o.kind == mayEnd || o.kind == confirm
	case s.past:
		return s, o.outcome == unknown || o.kind == mayEnd || o.reason == ranOut
	case o.kind == truth:
		ok := s.is(o)
		s.past = true
		return s, ok
	case o.outcome == refused:
		return s.refuse(o)
	case o.outcome == gone:
		return s.close(o.mark()), len(s.causes) > 0
	case o.kind == look:
		return s.look(o)
	case o.kind == end || o.kind == mayEnd:
		return s.finish(o), true
	}
	return s.change(o)
}

func (s state) change(o op) (state, bool) {
	if s.over && !(o.outcome == unknown && s.ranOut()) {
		return s, o.outcome == unknown // and nothing came of it
	}
	if o.outcome == done { // it lived; what has no answer may happen yet
		s.causes = slices.DeleteFunc(slices.Clone(s.causes), func(c cause) bool { return c.known != forever })
	}
	switch o.kind {
	case switchTo:
		if s.now().platform == o.platform {
			return s, true
		}
	case rotate:
		s.unconfirmed = true
	case confirm:
		if !s.unconfirmed {
			return s, true
		}
		s.unconfirmed = false
	}
	platform := s.now().platform
	if o.kind == switchTo {
		platform = o.platform
	}
	s.versions = append(slices.Clip(s.versions), version{platform, o.mark()})
	if o.outcome == done {
		s = s.knew(len(s.versions)-1, o.ret)
	}
	return s, true
}

// knew notes that by that time the version, and those before it, had happened.
func (s state) knew(number int, at int64) state {
	if s.versions[number-1].known <= at {
		return s
	}
	s.versions = slices.Clone(s.versions)
	for i := number - 1; i >= 0 && s.versions[i].known > at; i-- {
		s.versions[i].known = at
	}
	return s
}

func (s state) look(o op) (state, bool) {
	if o.version < 1 || o.version > len(s.versions) || s.versions[o.version-1].platform != o.platform {
		return s, false
	}
	missed := s.versions[o.version:]
	if slices.ContainsFunc(missed, func(v version) bool { return v.binds(o.call, o.node) }) {
		return s, false
	}
	if s.over && s.end.binds(o.call, o.node) {
		return s, false
	}
	if !s.over {
		s.causes = slices.DeleteFunc(slices.Clone(s.causes), func(c cause) bool { return c.binds(o.call, o.node) })
	}
	return s.knew(o.version, o.ret), true
}

// ranOut reports whether the session's time may be over. The row then waits for the
// sweep, or for something else that ends it for a reason of its own.
func (s state) ranOut() bool {
	return slices.ContainsFunc(s.causes, func(c cause) bool { return c.reason == ranOut })
}

// finish takes in that something ended the session, or may have.
func (s state) finish(o op) state {
	if !s.over || s.ranOut() {
		s.causes = append(slices.Clip(s.causes), cause{o.reason, o.mark()})
	}
	if o.kind == end && o.outcome == done {
		s = s.close(o.mark())
	}
	return s
}

// close: by then one of the causes had ended it.
func (s state) close(m mark) state {
	if s.over {
		s.end.known = min(s.end.known, m.known)
		return s
	}
	s.over, s.end = true, m
	return s
}

// refuse is what the database says: it has ended, and why.
func (s state) refuse(o op) (state, bool) {
	i := slices.IndexFunc(s.causes, func(c cause) bool { return c.reason == o.why })
	if i < 0 {
		return s, false
	}
	s.causes = s.causes[i : i+1 : i+1]
	return s.close(o.mark()), true
}

// is the row of the database what it should be?
func (s state) is(o op) bool {
	if o.platform != s.now().platform {
		return false
	}
	switch o.outcome {
	case done:
		return (!s.over || s.ranOut()) && o.version == len(s.versions)
	case refused:
		return o.version == len(s.versions)+1 && slices.ContainsFunc(s.causes, func(c cause) bool { return c.reason == o.why })
	}
	return false
}

func (s state) equal(other state) bool {
	return s.unconfirmed == other.unconfirmed && s.over == other.over && s.past == other.past && s.end == other.end &&
		slices.Equal(s.versions, other.versions) && slices.Equal(s.causes, other.causes)
}

func (s state) String() string {
	if s.versions == nil {
		return "not yet"
	}
	text := fmt.Sprintf("%d %s", len(s.versions), s.now().platform)
	var why []string
	for _, c := range s.causes {
		why = append(why, c.reason)
	}
	if s.over {
		text += " over"
	}
	return strings.TrimSpace(text + " " + strings.Join(why, "|"))
}
