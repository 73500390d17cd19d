// Package noticing finds what is remarkable about the requests of sessions, at next
// to no cost for those that are not.
//
// What is noticed is judged by the package suspicion. What has been noticed is kept
// with the session; only what takes several requests to see, within minutes, is a
// matter of one node's memory.
package noticing

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/suspicion"
)

// Eye of one node. It is safe for concurrent use.
type Eye struct {
	policy suspicion.Policy
	keys   [][]byte // of fingerprints; none: clients are not compared
	seed   maphash.Seed
	looked [1 << 14]atomic.Uint64 // what was looked at within this minute, by its hash

	mu       sync.Mutex
	places   map[[16]byte]tally
	failures map[[16]byte]tally
}

// tally counts what happens to a session within a while.
type tally struct {
	since time.Time
	n     int
	last  string
}

const (
	placesWithin, changesOfPlace = 10 * time.Minute, 3
	failuresWithin, manyFailures = 5 * time.Minute, 10
	// tallies bounds what strangers make a node remember. Past it, it forgets.
	tallies = 1 << 14
)

// New returns an eye. Without keys clients are not compared.
func New(policy suspicion.Policy, keys [][]byte) *Eye {
	return &Eye{policy: policy, keys: keys, seed: maphash.MakeSeed(), places: map[[16]byte]tally{}, failures: map[[16]byte]tally{}}
}

// Digest tells clients apart, on this node and until it ends.
func (e *Eye) Digest(c client.Info) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	for _, s := range [...]string{c.UserAgent, c.IPAddress, c.Language} {
		h.WriteString(s)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// Passes reports whether there is nothing to look at: the client is the one of that
// digest, which was looked at last, or it was looked at within this minute, as one of
// several that come in turn. It does not allocate.
func (e *Eye) Passes(id [16]byte, last uint64, seen client.Info, now time.Time) bool {
	if e.keys == nil {
		return true
	}
	digest := e.Digest(seen)
	if digest == last {
		return true
	}
	look := e.lookOf(id, digest, now)
	return e.looked[look%uint64(len(e.looked))].Load() == look
}

// lookOf is the same within a minute.
func (e *Eye) lookOf(id [16]byte, digest uint64, now time.Time) uint64 {
	return maphash.Bytes(e.seed, id[:]) ^ maphash.Comparable(e.seed, [2]uint64{digest, uint64(now.Unix() / 60)})
}

// Session is what is known of one from before.
type Session struct {
	ID          [16]byte
	Fingerprint string // of the client that signed in
	UserAgent   string // that it sent
	Signals     string // as they were kept; [suspicion.Marks]
}

// Finding is what is to be kept, and what the policy makes of it.
type Finding struct {
	Signals string
	StepUp  bool // the session no longer counts as recently authenticated
	suspicion.Verdict
}

// Look at a client's request: what is remarkable about it?
func (e *Eye) Look(s Session, seen client.Info, now time.Time) []suspicion.Signal {
	if e.keys == nil || s.Fingerprint == "" {
		return nil
	}
	look := e.lookOf(s.ID, e.Digest(seen), now)
	e.looked[look%uint64(len(e.looked))].Store(look)
	noticed := e.compare(s, seen)
	if e.turns(s.ID, seen.Network(), slices.Contains(noticed, suspicion.NetworkChanged), now) {
		noticed = append(noticed, suspicion.TwoPlaces)
	}
	return noticed
}

// compare a client with the one that signed in.
func (e *Eye) compare(s Session, seen client.Info) []suspicion.Signal {
	noticed := seen.Changes(s.Fingerprint, e.keys)
	if seen.OlderThan(s.UserAgent) {
		noticed = append(noticed, suspicion.UserAgentOlder)
	}
	return noticed
}

// Find what the policy makes of what was noticed. news is false if there is nothing
// to keep. The session has to be proved anew when there is a signal that did not
// count before, and not for the same ones twice.
func (e *Eye) Find(s Session, noticed []suspicion.Signal, now time.Time) (f Finding, news bool) {
	marks, first, news := suspicion.ParseMarks(s.Signals).With(noticed, now)
	f = Finding{Signals: marks.String(), Verdict: e.policy.Judge(marks, now)}
	f.StepUp = f.Answer >= suspicion.StepUp && first
	return f, news
}

// Judge a session for somebody who asks and changes nothing.
func (e *Eye) Judge(s Session, seen client.Info, now time.Time) suspicion.Verdict {
	var noticed []suspicion.Signal
	if e.keys != nil && s.Fingerprint != "" {
		noticed = e.compare(s, seen)
	}
	f, _ := e.Find(s, noticed, now)
	return f.Verdict
}

// turns notes the network of a client, and reports whether the session goes back and
// forth. One that has not been away yet is nothing to remember.
func (e *Eye) turns(id [16]byte, network string, away bool, now time.Time) bool {
	if network == "" {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t, known := e.places[id]
	if !known && !away {
		return false
	}
	if !known || now.Sub(t.since) >= placesWithin {
		t = tally{since: now, last: network}
	}
	if t.last != network {
		t.n, t.last = t.n+1, network
	}
	keep(e.places, id, t)
	return t.n >= changesOfPlace
}

// Failed notes a request of the session that was refused, and reports whether those
// are many by now.
func (e *Eye) Failed(id [16]byte, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.failures[id]
	if now.Sub(t.since) >= failuresWithin {
		t = tally{since: now}
	}
	t.n++
	keep(e.failures, id, t)
	return t.n >= manyFailures
}

func keep(tallied map[[16]byte]tally, id [16]byte, t tally) {
	if len(tallied) >= tallies {
		clear(tallied)
	}
	tallied[id] = t
}
