package main

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/testservers"
)

// told is a line-by-line reading of one event of a stream.
type told struct {
	name, id, data string
	retry          int // milliseconds
}

// follow reads the stream of a node as a browser that comes back does, from a
// place that it names. It is closed with the stream.
func follow(t *testing.T, node *process, c *http.Client, lastEventID string) <-chan told {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", node.url+"/api/session/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	w, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if w.StatusCode != 200 {
		t.Fatalf("the stream: %d", w.StatusCode)
	}
	events := make(chan told, 100)
	go func() {
		defer close(events)
		defer w.Body.Close()
		var e told
		for lines := bufio.NewScanner(w.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "retry":
				e.retry, _ = strconv.Atoi(value)
			case "":
				if e.name != "heartbeat" {
					events <- e
				}
				e = told{}
			}
		}
	}()
	return events
}

func nextTold(t *testing.T, events <-chan told) told {
	t.Helper()
	select {
	case e, open := <-events:
		if !open {
			t.Fatal("the stream has ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is heard")
	}
	panic("unreachable")
}

// Tabs are on three nodes. What is done on one reaches all; a node that restarts sends
// its tabs away, each at a moment of its own, and they go on elsewhere from where they
// were: nothing is told twice and nothing is missed.
func TestStreamsMoveBetweenNodes(t *testing.T) {
	t.Parallel()
	c := newClusterOn(t, 3, testservers.PostgreSQL(t))
	v := c.signIn(c.nodes[0].url)
	here, _ := url.Parse(c.nodes[0].url) // all are of one host, and cookies know no ports
	cookies := v.client.Jar.Cookies(here)
	if len(cookies) == 0 {
		t.Fatal("no cookie")
	}

	streams := make([]<-chan told, len(c.nodes))
	for i, node := range c.nodes {
		streams[i] = follow(t, node, v.client, "")
		if first := nextTold(t, streams[i]); first.name != "state" || first.id == "" {
			t.Fatalf("node %d begins with %+v", i, first)
		}
	}
	post := func(path string) {
		t.Helper()
		if status, body, err := v.do(t.Context(), "POST", path, "{}"); status != 200 || err != nil {
			t.Fatalf("%s: %d %s %v", path, status, body, err)
		}
	}
	var last string
	post("/api/switch_platform/2")
	for i, s := range streams {
		e := nextTold(t, s)
		if e.name != "platform_switched" || last != "" && e.id != last {
			t.Fatalf("node %d tells %+v, the first one %s", i, e, last)
		}
		last = e.id
	}

	// Many tabs of the node that goes: each is told when to come back.
	leaving := []<-chan told{streams[2]}
	for range 20 {
		leaving = append(leaving, follow(t, c.nodes[2], v.client, last)) // has it all: told nothing
	}
	ended := make(chan struct{})
	go func() { defer close(ended); c.nodes[2].end(syscall.SIGTERM) }()
	pauses := map[int]bool{}
	for i, s := range leaving {
		e := nextTold(t, s)
		if e.name != "" || e.retry < 200 || e.retry >= 1000 {
			t.Fatalf("tab %d is told %+v", i, e)
		}
		pauses[e.retry] = true
		if e, open := <-s; open {
			t.Errorf("tab %d is told %+v after it was sent away", i, e)
		}
	}
	if len(pauses) < len(leaving)/2 {
		t.Errorf("%d tabs come back at %d moments", len(leaving), len(pauses))
	}
	<-ended

	// Elsewhere: one that has everything hears the next thing first, one that has missed
	// something hears how it is now.
	moved := follow(t, c.nodes[1], v.client, last)
	post("/api/switch_platform/1")
	after := nextTold(t, moved)
	if after.name != "platform_switched" || after.id == last {
		t.Errorf("where it was resumed %+v comes first", after)
	}
	late := follow(t, c.nodes[1], v.client, last)
	if e := nextTold(t, late); e.name != "state" || e.id != after.id {
		t.Errorf("who has missed the switch is told %+v, want the state %s", e, after.id)
	}
	c.start(2)
	back := follow(t, c.nodes[2], v.client, after.id)
	post("/logout")
	for i, s := range []<-chan told{moved, late, back} {
		if e := nextTold(t, s); e.name != "ended" || !strings.Contains(e.data, "signed_out") {
			t.Errorf("stream %d ends with %+v", i, e)
		}
	}
}
