package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// soakRun lets people sign in, look, switch and leave for a long while. Each answer
// has to be right, and when it is over the server may not have grown.
func soakRun(ctx context.Context, s settings, length time.Duration) (err error) {
	s.Live, s.SignedIn = 1000, 0
	c, err := start(ctx, "vedfolnir, SQLite", s, answer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	fmt.Fprintf(s.Out, "%d people at a time sign in, look, switch and leave, for %v\n", s.Connections, length)

	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var group sync.WaitGroup
	var requests atomic.Int64
	failed := make(chan error, s.Connections)
	for i := range s.Connections {
		group.Go(func() {
			if err := (&visitor{addr: c.Addr, person: s.Live + i, requests: &requests}).stay(ctx); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	err = watch(ctx, s.Out, c, length, &requests)
	cancel()
	group.Wait()
	close(failed)
	for one := range failed {
		err = errors.Join(err, one)
	}
	return err
}

// watch prints what the server uses, and says if that grew after the first fifth.
func watch(ctx context.Context, out io.Writer, c *child, length time.Duration, requests *atomic.Int64) error {
	begin := time.Now()
	var early, u usage
	for every := time.NewTicker(max(length/30, time.Second)); ; {
		over := false
		select {
		case <-every.C:
		case <-ctx.Done():
			every.Stop()
			over = true
		}
		var err error
		if u, err = c.usage(true); err != nil {
			return err
		}
		fmt.Fprintf(out, "%8v  %9d requests  heap %5.1f MB  %4d goroutines\n", time.Since(begin).Round(time.Second), requests.Load(), float64(u.Heap)/1e6, u.Goroutines)
		if early.Heap == 0 && time.Since(begin) > length/5 {
			early = u
		}
		if over {
			break
		}
	}
	if early.Heap > 0 && u.Heap > early.Heap+early.Heap/2+8<<20 {
		return fmt.Errorf("the heap grew from %d to %d bytes", early.Heap, u.Heap)
	}
	if early.Heap > 0 && u.Goroutines > early.Goroutines+50 {
		return fmt.Errorf("there were %d goroutines, now there are %d", early.Goroutines, u.Goroutines)
	}
	return nil
}

// visitor is one person with one browser, who knows what each answer must be.
type visitor struct {
	*conn
	addr     string
	person   int
	cookie   string
	csrf     string
	platform int // the active one
	requests *atomic.Int64
}

func (v *visitor) stay(ctx context.Context) (err error) {
	if v.conn, err = dial(v.addr); err != nil {
		return err
	}
	defer v.Close()
	for ctx.Err() == nil {
		if err := v.visit(ctx); err != nil {
			return fmt.Errorf("person %d: %w", v.person, err)
		}
	}
	return nil
}

func (v *visitor) visit(ctx context.Context) error {
	if err := v.signIn(); err != nil {
		return err
	}
	for range 200 {
		if ctx.Err() != nil {
			break
		}
		var err error
		switch n := rand.IntN(100); {
		case n < 85:
			err = v.look()
		case n < 95:
			err = v.switchPlatform()
		default:
			_, err = v.ask("POST", "/api/session/heartbeat", `{"active":true}`, 200)
		}
		if err != nil {
			return err
		}
	}
	return v.signOut()
}

// ask sends one request and wants the status.
func (v *visitor) ask(method, path, body string, status int) (response, error) {
	v.requests.Add(1)
	r, err := v.do(request(method, path, v.addr, v.cookie, v.csrf, body))
	if err == nil && r.status != status {
		err = fmt.Errorf("%s %s answered %d, not %d: %s", method, path, r.status, status, r.body)
	}
	return r, err
}

// signIn begins as a browser does that knows nothing: with a pre-login cookie.
func (v *visitor) signIn() (err error) {
	v.cookie, v.csrf = "", ""
	r, err := v.ask("GET", "/api/csrf", "", 200)
	if err != nil {
		return err
	}
	var body struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		return err
	}
	v.csrf = body.Token
	for _, line := range r.setCookies {
		v.cookie = nameAndValue(line)
	}
	if r, err = v.ask("POST", "/login", fmt.Sprintf(`{"username":"%d","password":"any"}`, v.person+1), 200); err != nil {
		return err
	}
	for _, line := range r.setCookies {
		if strings.HasPrefix(line, cookieName+"=") {
			v.cookie = nameAndValue(line)
		}
	}
	v.platform = 3*v.person + 1
	v.csrf, err = v.conn.csrf(v.addr, v.cookie)
	return err
}

func nameAndValue(setCookie string) string {
	pair, _, _ := strings.Cut(setCookie, ";")
	return pair
}

// look wants to see who it is, and as which platform.
func (v *visitor) look() error {
	r, err := v.ask("GET", statePath, "", 200)
	if err != nil {
		return err
	}
	var state struct {
		User     struct{ ID int }
		Platform struct{ ID int }
	}
	if err := json.Unmarshal(r.body, &state); err != nil {
		return err
	}
	if state.User.ID != v.person+1 || state.Platform.ID != v.platform {
		return fmt.Errorf("expected user %d as %d: %s", v.person+1, v.platform, r.body)
	}
	return nil
}

func (v *visitor) switchPlatform() error {
	v.platform = 3*v.person + 1 + rand.IntN(3)
	_, err := v.ask("POST", fmt.Sprintf("/api/switch_platform/%d", v.platform), "", 200)
	return err
}

// signOut, after which the cookie is worth nothing.
func (v *visitor) signOut() error {
	if _, err := v.ask("POST", "/logout", "", 200); err != nil {
		return err
	}
	_, err := v.ask("GET", statePath, "", 401)
	return err
}
