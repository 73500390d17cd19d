package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

const statePath = "/api/session_state"

// readRun prints the table of GET /api/session_state.
func readRun(ctx context.Context, s settings) (err error) {
	var servers []*child
	defer func() { err = errors.Join(err, stopAll(servers)) }()
	add := func(name string, a answer) (*child, error) {
		c, err := start(ctx, name, s, a)
		if err == nil {
			servers = append(servers, c)
		}
		return c, err
	}
	reference, err := add("vedfolnir, memory", answer{})
	if err != nil {
		return err
	}
	a, err := fetch(ctx, reference)
	if err != nil {
		return err
	}
	for _, name := range []string{"bare handler", "vedfolnir, SQLite", "scs, memory"} {
		if _, err := add(name, a); err != nil {
			return err
		}
	}

	fmt.Fprintf(s.Out, "GET %s: %d bytes, %d signed-in sessions of %d live ones, %d connections, %d cores; median of %d rounds of %v\n\n",
		statePath, len(a.Body), s.SignedIn, s.Live, s.Connections, runtime.NumCPU(), s.Rounds, s.Round)
	rounds := map[string][]result{}
	for i := -1; i < s.Rounds; i++ {
		for _, c := range servers {
			length := s.Round
			if i < 0 {
				length = min(s.Round, time.Second) // warms up
			}
			r, err := round(ctx, c, s.Connections, length, anyCookie(c))
			if err != nil {
				return err
			}
			if i >= 0 {
				rounds[c.name] = append(rounds[c.name], r)
			}
		}
	}

	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trequests/s\tto bare\tp50\tp99\tCPU/request\t")
	bare := rounds["bare handler"]
	for _, name := range []string{"bare handler", "vedfolnir, memory", "vedfolnir, SQLite", "scs, memory"} {
		own := rounds[name]
		ratios := make([]float64, len(own))
		for i := range own {
			ratios[i] = own[i].perSecond() / bare[i].perSecond()
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%v\t%v\t%v\t\n", name, median(each(own, result.perSecond)), median(ratios),
			short(median(each(own, quantile(0.5)))), short(median(each(own, quantile(0.99)))), short(median(each(own, result.cpuEach))))
	}
	return w.Flush()
}

// fetch reads one answer for the bare handler to repeat.
func fetch(ctx context.Context, c *child) (a answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+statePath, nil)
	if err != nil {
		return a, err
	}
	req.Header.Set("Cookie", c.Cookies[0])
	req.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	if a.Body, err = io.ReadAll(res.Body); err != nil {
		return a, err
	}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s answered %s: %s", c.name, res.Status, a.Body)
	}
	a.Header = res.Header
	for _, name := range []string{"Content-Length", "Date", "Connection"} {
		a.Header.Del(name) // net/http's own
	}
	return a, nil
}

// anyCookie asks with one of the signed-in sessions, at random.
func anyCookie(c *child) func(int) func() []byte {
	requests := [][]byte{request("GET", statePath, c.Addr, "", "", "")}
	if len(c.Cookies) > 0 {
		requests = requests[:0]
		for _, cookie := range c.Cookies {
			requests = append(requests, request("GET", statePath, c.Addr, cookie, "", ""))
		}
	}
	return func(int) func() []byte {
		random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
		return func() []byte { return requests[random.IntN(len(requests))] }
	}
}

func quantile(q float64) func(result) time.Duration {
	return func(r result) time.Duration { return r.quantile(q) }
}

func each[V any](results []result, f func(result) V) []V {
	values := make([]V, len(results))
	for i, r := range results {
		values[i] = f(r)
	}
	return values
}

func median[V cmp.Ordered](values []V) V {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// short rounds to three digits or so.
func short(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
