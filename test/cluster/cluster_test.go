package cluster

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	seedGiven = flag.Uint64("cluster.seed", 0, "repeat the choices of this seed (0: any; or CLUSTER_SEED)")
	timeGiven = flag.Duration("cluster.time", 0, "how long people and faults go on (or CLUSTER_TIME; default 30s, or 5m with CI=true)")
)

const (
	nodes  = 3
	people = 6
	// episode is how long one cluster lives at most: a longer run is several, each with
	// a seed of its own that repeats it.
	episode = 5 * time.Minute
)

// howLong and fromWhere say what to do.
func howLong(t *testing.T) time.Duration {
	t.Helper()
	if *timeGiven > 0 {
		return *timeGiven
	}
	if text := os.Getenv("CLUSTER_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("CLUSTER_TIME: %v", err)
		}
		return d
	}
	if os.Getenv("CI") == "true" {
		return 5 * time.Minute
	}
	return 30 * time.Second
}

func firstSeed(t *testing.T) uint64 {
	t.Helper()
	if *seedGiven > 0 {
		return *seedGiven
	}
	if text := os.Getenv("CLUSTER_SEED"); text != "" {
		var given uint64
		if _, err := fmt.Sscan(text, &given); err != nil {
			t.Fatalf("CLUSTER_SEED: %v", err)
		}
		return given
	}
	return 1 + rand.Uint64N(1<<32)
}

// Whatever happens to three nodes, to the database and to the ways between them: nothing
// that was acknowledged is lost, nothing that has ended is served beyond the bound,
// nobody is signed out unasked, nobody has more sessions than the limit, and nobody is
// shown another's data; and what each answer says of a session can be explained.
func TestNodesKeepTheirPromisesWhateverHappens(t *testing.T) {
	t.Parallel()
	left, first := howLong(t), firstSeed(t)
	for number := first; left > 0; number++ {
		length := min(left, episode)
		left -= length
		t.Run(fmt.Sprint("seed ", number), func(t *testing.T) { live(t, number, length) })
	}
}

func live(t *testing.T, seed uint64, length time.Duration) {
	t.Logf("go test ./test/cluster -cluster.seed=%d -cluster.time=%v", seed, length)
	c := newCluster(t, nodes)
	r := &run{cluster: c, seed: seed, counts: map[string]int{}, owners: map[string]*person{}, troubles: map[int][]trouble{}, began: time.Now()}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	r.settlers(client, people)
	database, err := pgx.Connect(t.Context(), c.database)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close(context.WithoutCancel(t.Context()))

	r.until = time.Now().Add(length)
	var all sync.WaitGroup
	for i, p := range r.people {
		for j := range tabs {
			number := i*tabs + j
			all.Go(func() { (&tab{person: p, number: number, random: r.random(number), client: client}).live() })
		}
	}
	for i, p := range r.people {
		all.Go(func() { (&tab{person: p, number: i * tabs, client: client}).listen(r.random(3000 + i)) })
	}
	f := &faults{run: r}
	for _, n := range c.nodes {
		all.Go(func() { f.befall(n, r.random(1000+n.number)) })
	}
	all.Go(func() { f.outage(r.random(2000)) })
	all.Go(func() {
		if err := r.watch(database); err != nil {
			r.odd("the watch over the limit: %v", err)
		}
	})
	all.Wait()
	for _, n := range c.nodes {
		if err := n.ready(30 * time.Second); err != nil {
			r.odd("mended: %v", err)
		}
	}
	r.settle(client)
	if err := r.truths(database); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		if said := n.said.String(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic") {
			r.odd("node %d says:\n%s", n.number, said)
		}
	}
	r.judge(t)
}

// settlers are the people, with their platforms, and what the server calls these.
func (r *run) settlers(client *http.Client, n int) {
	for i := range n {
		p := &person{run: r, name: fmt.Sprintf("person%d", i), passwords: []string{fmt.Sprintf("secret words no. 0 of person%d", i)}, platforms: map[string]string{}}
		r.cluster.command(built, p.passwords[0]+"\n", "user", "add", p.name, "--email", p.name+"@example.org", "--password-stdin")
		for _, which := range []string{"first", "second", "third"} {
			r.cluster.command(built, "", "platform", "add", p.name, which+" of "+p.name, "--type=mastodon", "--url=https://"+which+".example")
		}
		r.people = append(r.people, p)
		t := &tab{person: p, number: i * tabs, client: client}
		t.signIn(0, false)
		if len(p.browsers) != 1 {
			r.cluster.t.Fatalf("%s cannot sign in: %v", p.name, r.sums.odd)
		}
		a := t.ask(0, p.browsers[0].jar(), "", request{method: "GET", path: "/api/user_platforms"})
		for _, one := range stateOf(a.body).Platforms {
			var id json.Number
			if err := json.Unmarshal(one.ID, &id); err != nil {
				r.cluster.t.Fatal(err)
			}
			p.platforms[id.String()] = one.Name
		}
	}
	r.sums.foreign = nil // nobody knew the platforms' names yet
}

func (r *run) judge(t *testing.T) {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("vedfolnir-cluster-seed-%d", r.seed))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	sessions, ops := 0, 0
	began := time.Now()
	for _, p := range r.people {
		for _, h := range p.histories() {
			r.sums.judge(h, folder)
			for _, s := range h.streams {
				r.counts["told in time by a stream"] += r.sums.hear(h, s, r.troubles[s.node])
			}
			sessions, ops = sessions+1, ops+len(h.ops)
		}
	}
	t.Log(r.summary(sessions, ops))
	t.Logf("judged in %v", time.Since(began).Round(time.Millisecond))
	if r.sums.zero() {
		if err := os.Remove(folder); err != nil {
			t.Error(err)
		}
		return
	}
	t.Errorf("the histories of these sessions, with porcupine's pictures, are in %s", folder)
	for name, found := range r.sums.all() {
		slices.Sort(*found)
		for _, line := range (*found)[:min(20, len(*found))] {
			t.Errorf("%s: %s", name, line)
		}
	}
}
