package cluster

import (
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// One node is stopped, one's cable to the database is pulled, and one's connections to
// it are held back, all for ten seconds. On a fourth one sessions end and others switch
// meanwhile: from a lease later on, none of the three serves what has ended, or shows
// what was, neither while it is so nor in its first answers when it is back; and what
// lives is served again.
func TestANodeThatWasStoppedOrCutOffServesNothingOld(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 4)
	r := &run{cluster: c, counts: map[string]int{}, owners: map[string]*person{}, began: time.Now()}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	r.settlers(client, 2)
	tabOf := func(p *person) *tab { return &tab{person: p, client: client} }
	var ended, live *tab
	var gone, stays *browser
	ended, live = tabOf(r.people[0]), tabOf(r.people[1])
	gone, stays = ended.browsers[0], live.browsers[0]
	everywhere := func() {
		for way := range c.nodes {
			ended.look(gone, way, 0)
			live.look(stays, way, 0)
		}
	}
	everywhere() // all remember both
	everywhere()

	c.nodes[1].signal(syscall.SIGSTOP)
	c.nodes[2].database.Swallow()
	var plug func() error
	if c.nodes[3].island.name != "" {
		var err error
		if plug, err = c.nodes[3].island.pull(); err != nil {
			t.Fatal(err)
		}
	} else {
		c.nodes[3].database.Swallow()
		plug = func() error { c.nodes[3].database.Heal(); return nil }
	}
	parted := r.now()
	meanwhile := func() time.Duration { return time.Duration(r.now() - parted) }
	ended.signOut(gone, 0, 0)
	ids := live.platformIDs()
	for _, id := range ids { // one of them is the active one
		a := live.called(stays, 0, request{method: "POST", path: "/api/switch_platform/" + id, body: "{}"}, 200)
		o := a.op(switchTo)
		o.platform = live.platforms[id]
		live.note(stays, a, o)
	}
	var asking sync.WaitGroup
	ask := func(way int) {
		for i := range 4 { // they wait in the socket of the one that is stopped
			asking.Go(func() { (&tab{person: ended.person, number: i, client: client}).look(gone, way, 0) })
			asking.Go(func() { (&tab{person: live.person, number: i, client: client}).look(stays, way, 0) })
		}
	}
	for ; meanwhile() < 10*time.Second-hurry/2; time.Sleep(100 * time.Millisecond) {
		ask(2)
		ask(3)
	}
	ask(1)
	time.Sleep(10*time.Second - meanwhile())
	c.nodes[1].signal(syscall.SIGCONT)
	for range 20 {
		ask(1)
	}
	c.nodes[2].database.Heal()
	if err := plug(); err != nil {
		t.Fatal(err)
	}
	asking.Wait()
	for _, n := range c.nodes {
		if err := n.ready(30 * time.Second); err != nil {
			t.Error(err)
		}
	}
	everywhere()
	for _, h := range []*history{gone.history, stays.history} {
		r.sums.judge(h, "")
	}
	t.Log(r.summary(2, len(gone.ops)+len(stays.ops)))
	if !r.sums.zero() {
		for name, found := range r.sums.all() {
			for _, line := range *found {
				t.Errorf("%s: %s", name, line)
			}
		}
		t.Errorf("%s\n%s", gone, stays)
	}
	served, refusals := 0, 0
	for _, o := range slices.Concat(gone.ops, stays.ops) {
		switch {
		case o.kind != look || o.call < parted || o.node == 0:
		case o.outcome == done:
			served++
		case o.outcome == refused:
			refusals++
		}
	}
	if served < 20 || refusals < 20 {
		t.Errorf("only %d answers and %d refusals to judge by", served, refusals)
	}
}
