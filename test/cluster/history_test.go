package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// history is all that was called on one session.
type history struct {
	person string
	handle string

	mu      sync.Mutex
	ops     []op
	streams []*stream
}

func (h *history) add(ops ...op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range ops {
		if o.outcome == nothing || o.kind == look && o.outcome == unknown {
			continue
		}
		if o.outcome == unknown {
			o.ret, o.node = forever, nobody
		}
		if o.kind == rotate && o.outcome != refused {
			h.ops = append(h.ops, op{kind: confirm, outcome: unknown, node: nobody, call: o.call, ret: forever, tab: o.tab})
		}
		h.ops = append(h.ops, o)
		if o.outcome == refused && o.why == ranOut && (o.kind == switchTo || o.kind == refresh || o.kind == rotate) {
			// It was under way when the time ran out: the database may have done it.
			h.ops = append(h.ops, op{kind: o.kind, outcome: unknown, node: nobody, call: o.call, ret: forever, platform: o.platform, tab: o.tab})
		}
	}
}

// span returns when the session began, and by when it was known to be over: what
// happened to others' sessions afterwards is none of its history, unless it ran out and
// its row waits for something that ends it.
func (h *history) span() (began op, over int64) {
	over = forever
	for _, o := range h.ops {
		switch {
		case o.kind == create:
			began = o
		case o.reason == ranOut || o.why == ranOut:
		case o.outcome == refused || o.outcome == gone || o.kind == end && o.outcome == done:
			over = min(over, o.ret)
		}
	}
	return began, over
}

func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "session %s of %s\n", h.handle, h.person)
	ops := slices.Clone(h.ops)
	slices.SortStableFunc(ops, func(a, b op) int { return int(min(1, max(-1, a.call-b.call))) })
	for _, o := range ops {
		until := "      ?"
		if o.ret != forever {
			until = fmt.Sprintf("%7.3f", time.Duration(o.ret).Seconds())
		}
		fmt.Fprintf(&b, "%7.3f – %s  tab %d  %s\n", time.Duration(o.call).Seconds(), until, o.tab, o)
	}
	return b.String()
}
