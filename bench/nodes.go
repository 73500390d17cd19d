package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

const (
	together = 3 // nodes on one database
	// begun are as many sessions as a feed keeps changes, so that it is as long as that of
	// a server in use.
	begun = 20_000
	// watchers are how many changes at a time are waited for, and pause is how often
	// each looks: seldom enough to leave the nodes in peace.
	watchers = 4
	pause    = time.Millisecond
)

// nodeRun prints how fast several nodes on one PostgreSQL database answer, beside one,
// and how soon one knows what another has done: with the bus, and without it.
func nodeRun(ctx context.Context, s settings) (err error) {
	s.Live = min(s.Live, begun)
	s.SignedIn = min(s.Live, s.SignedIn, 2000)
	nodes, err := startNodes(ctx, s, "vedfolnir, PostgreSQL")
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "\nGET %s on PostgreSQL: %d signed-in sessions of %d live ones, %d connections in all, %d cores, which the nodes, the database and the client share; median of %d rounds of %v\n\n",
		statePath, s.SignedIn, s.Live, s.Connections, runtime.NumCPU(), s.Rounds, s.Round)
	err = readNodes(ctx, s, nodes)
	if err == nil {
		fmt.Fprintf(s.Out, "\nFrom the answer of one node to the first request that another one answers by it; %d of each, %d at a time, looked for each %v\n\n", s.changes(), watchers, pause)
		w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\tswitch p50\tp99\tend p50\tp99\t")
		err = heardLine(ctx, s, w, "with the bus", nodes)
		if err = errors.Join(err, stopAll(nodes)); err != nil {
			return err
		}
		if nodes, err = startNodes(ctx, s, "vedfolnir, PostgreSQL without a bus"); err != nil {
			return err
		}
		err = errors.Join(heardLine(ctx, s, w, "without it", nodes), w.Flush())
	}
	return errors.Join(err, stopAll(nodes))
}

// changes is how many are measured.
func (s settings) changes() int { return max(watchers, 60*s.Rounds) }

// startNodes returns nodes that all know the sessions of the first.
func startNodes(ctx context.Context, s settings, name string) (nodes []*child, err error) {
	for range together {
		c, err := start(ctx, name, s, answer{})
		if err != nil {
			return nil, errors.Join(err, stopAll(nodes))
		}
		nodes = append(nodes, c)
		c.Cookies = nodes[0].Cookies
		s.Live, s.SignedIn = 0, 0 // only the first makes any
	}
	return nodes, nil
}

func readNodes(ctx context.Context, s settings, nodes []*child) error {
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "nodes\trequests/s\tp50\tp99\tCPU/request\t")
	rounds := map[int][]result{}
	for i := -1; i < s.Rounds; i++ { // the first warms up
		for _, n := range []int{1, len(nodes)} {
			r, err := roundOn(ctx, nodes[:n], s.Connections, s.Round)
			if err != nil {
				return err
			}
			if i >= 0 {
				rounds[n] = append(rounds[n], r)
			}
		}
	}
	for _, n := range []int{1, len(nodes)} {
		fmt.Fprintf(w, "%d\t%.0f\t%v\t%v\t%v\t\n", n, median(each(rounds[n], result.perSecond)),
			short(median(each(rounds[n], quantile(0.5)))), short(median(each(rounds[n], quantile(0.99)))), short(median(each(rounds[n], result.cpuEach))))
	}
	return w.Flush()
}

// roundOn loads all of the nodes at once, with the connections dealt out.
func roundOn(ctx context.Context, nodes []*child, connections int, length time.Duration) (total result, err error) {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
	)
	for i, c := range nodes {
		group.Go(func() {
			r, failed := round(ctx, c, (connections+i)/len(nodes), length, anyCookie(c))
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, failed)
			total.requests, total.cpu, total.took = total.requests+r.requests, total.cpu+r.cpu, max(total.took, r.took)
			total.latencies = append(total.latencies, r.latencies...)
		})
	}
	group.Wait()
	slices.Sort(total.latencies)
	return total, err
}

func heardLine(ctx context.Context, s settings, w *tabwriter.Writer, name string, nodes []*child) error {
	switches, ends, err := heard(ctx, nodes[0], nodes[1], s.changes())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%v\t\n", name, short(switches.quantile(0.5)), short(switches.quantile(0.99)), short(ends.quantile(0.5)), short(ends.quantile(0.99)))
	return nil
}

// heard changes sessions here, and watches them there: each is switched once, and then
// ended.
func heard(ctx context.Context, here, there *child, n int) (switches, ends result, err error) {
	n = min(n, len(here.Cookies))
	var (
		group sync.WaitGroup
		mu    sync.Mutex
	)
	for first := range watchers {
		group.Go(func() {
			for i := first; i < n && ctx.Err() == nil; i += watchers {
				switched, ended, failed := heardOf(ctx, here, there, i)
				mu.Lock()
				err = errors.Join(err, failed)
				switches.latencies, ends.latencies = append(switches.latencies, switched), append(ends.latencies, ended)
				mu.Unlock()
				if failed != nil {
					return
				}
			}
		})
	}
	group.Wait()
	slices.Sort(switches.latencies)
	slices.Sort(ends.latencies)
	return switches, ends, errors.Join(err, ctx.Err())
}

func heardOf(ctx context.Context, here, there *child, i int) (switched, ended time.Duration, err error) {
	actor, err := dial(here.Addr)
	if err != nil {
		return 0, 0, err
	}
	defer actor.Close()
	watcher, err := dial(there.Addr)
	if err != nil {
		return 0, 0, err
	}
	defer watcher.Close()
	csrf, err := actor.csrf(here.Addr, here.Cookies[i])
	if err != nil {
		return 0, 0, err
	}
	look := request("GET", statePath, there.Addr, there.Cookies[i], "", "")
	until := func(path string, seen func(response) bool) (time.Duration, error) {
		if r, err := watcher.do(look); err != nil || r.status != 200 || seen(r) {
			return 0, fmt.Errorf("before %s: %d, %w", path, r.status, errors.Join(err, errors.New("the other node does not know the session as it is")))
		}
		r, err := actor.do(request("POST", path, here.Addr, here.Cookies[i], csrf, ""))
		if err != nil || r.status != 200 {
			return 0, fmt.Errorf("%s: %d %s %w", path, r.status, r.body, err)
		}
		for answered := time.Now(); ctx.Err() == nil; time.Sleep(pause) {
			if r, err = watcher.do(look); err != nil || seen(r) {
				return time.Since(answered), err
			}
		}
		return 0, ctx.Err()
	}
	other := fmt.Sprintf(`"platform":{"id":%d,`, 3*i+2)
	if switched, err = until(fmt.Sprintf("/api/switch_platform/%d", 3*i+2), func(r response) bool { return strings.Contains(string(r.body), other) }); err != nil {
		return 0, 0, err
	}
	ended, err = until("/logout", func(r response) bool { return r.status == 401 })
	return switched, ended, err
}
