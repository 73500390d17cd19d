package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// stream is a session's, open at a node, and what it told.
type stream struct {
	node           int
	opened, closed int64 // it was answered; its end was seen
	told           []told
	ended          int64 // it said so; 0: it did not
}

type told struct {
	at      int64
	version int
}

// listen to one session after the other, at one node after the other, until the run is
// over. What is told goes into the session's history as if it had been asked for.
func (t *tab) listen(random *rand.Rand) {
	for t.going() {
		who, node, patience := random.Int(), random.IntN(len(t.cluster.nodes)), time.Duration(1+random.IntN(15))*time.Second
		if b := t.choose(who, false); b != nil {
			t.follow(b, node, patience)
		} else {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (t *tab) follow(b *browser, node int, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a := &answer{node: node, call: t.now(), ret: forever}
	w, err := t.client.Do(t.prepare(ctx, node, b.jar(), "", request{method: http.MethodGet, path: "/api/session/events"}))
	if err != nil {
		return
	}
	defer w.Body.Close()
	a.ret, a.status = t.now(), w.StatusCode
	if a.status != http.StatusOK {
		_ = json.NewDecoder(w.Body).Decode(&a.problem)
		if o := a.op(look); o.outcome == refused {
			t.note(b, a, o)
		} else if o.outcome == done {
			t.odd("a stream is answered %d %s", a.status, a.problem.Code)
		}
		return
	}
	s := &stream{node: node, opened: a.ret}
	kind := ""
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kind = name
		} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			t.heard(b, s, a.call, kind, []byte(data))
		}
	}
	s.closed = t.now()
	t.counted("stream")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams = append(b.streams, s)
}

// heard is one event. It may have been on its way since the stream was asked for.
func (t *tab) heard(b *browser, s *stream, since int64, kind string, data []byte) {
	a := &answer{node: s.node, call: since, ret: t.now(), status: http.StatusOK}
	t.counted("event " + kind)
	if kind == "ended" {
		s.ended = a.ret
		a.status = http.StatusUnauthorized
		_ = json.Unmarshal(data, &a.problem)
		t.note(b, a, a.op(look))
		return
	}
	t.check(t.person, b.handle, "the stream", data)
	v := stateOf(data)
	if v.Session.ID == "" {
		return
	}
	s.told = append(s.told, told{a.ret, v.Session.Version})
	o := a.op(look)
	o.version, o.platform = v.Session.Version, v.Platform.Name
	t.note(b, a, o)
}
