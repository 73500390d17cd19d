package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
)

// switchRun prints how many platform switches a second are durable, each an
// answered POST to a store that commits to disk before it answers.
func switchRun(ctx context.Context, s settings) (err error) {
	sessions := max(256, min(s.Live, 1000)) // at least one for each connection
	s.Live, s.SignedIn = sessions, sessions
	fmt.Fprintf(s.Out, "\nPOST /api/switch_platform/ID: durable on SQLite (synchronous=FULL), %d sessions; median of %d rounds of %v\n\n", s.SignedIn, s.Rounds, s.Round)
	c, err := start(ctx, "vedfolnir, SQLite", s, answer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	switching, err := newSwitcher(c)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "connections\tswitches/s\tp50\tp99\tCPU/request\t")
	for _, connections := range []int{1, s.Connections, 256} {
		var rounds []result
		for range s.Rounds {
			r, err := round(ctx, c, connections, s.Round, func(i int) func() []byte { return switching.from(i, connections) })
			if err != nil {
				return err
			}
			rounds = append(rounds, r)
		}
		fmt.Fprintf(w, "%d\t%.0f\t%v\t%v\t%v\t\n", connections, median(each(rounds, result.perSecond)),
			short(median(each(rounds, quantile(0.5)))), short(median(each(rounds, quantile(0.99)))), short(median(each(rounds, result.cpuEach))))
	}
	return w.Flush()
}

// switcher has, for each session, a request for each of its platforms, and knows
// which comes next: no switch is to the platform that is active already.
type switcher struct {
	requests [][3][]byte
	next     []int
}

func newSwitcher(c *child) (*switcher, error) {
	conn, err := dial(c.Addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	s := &switcher{requests: make([][3][]byte, len(c.Cookies)), next: make([]int, len(c.Cookies))}
	for i, cookie := range c.Cookies {
		csrf, err := conn.csrf(c.Addr, cookie)
		if err != nil {
			return nil, err
		}
		for n := range 3 {
			path := fmt.Sprintf("/api/switch_platform/%d", 3*i+n+1)
			s.requests[i][n] = request("POST", path, c.Addr, cookie, csrf, "")
		}
		s.next[i] = 1 // the first is the default, and active
	}
	return s, nil
}

// csrf asks for a token of the cookie's login.
func (c *conn) csrf(addr, cookie string) (string, error) {
	r, err := c.do(request("GET", "/api/csrf", addr, cookie, "", ""))
	if err != nil {
		return "", err
	}
	var body struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal(r.body, &body); err != nil || r.status != 200 {
		return "", fmt.Errorf("no CSRF token: %d %s", r.status, r.body)
	}
	return body.Token, nil
}

// from lets one of several connections use every several-th session in turn.
func (s *switcher) from(first, several int) func() []byte {
	i := first - several
	return func() []byte {
		if i += several; i >= len(s.requests) {
			i = first
		}
		n := s.next[i]
		s.next[i] = (n + 1) % 3
		return s.requests[i][n]
	}
}
