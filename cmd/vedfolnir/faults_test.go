package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
)

// answers of a server to people who ask again and again.
type answers struct {
	mu    sync.Mutex
	codes map[int]int
	wrong []string
	slow  time.Duration // the slowest
}

func (a *answers) note(w *http.Response, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[w.StatusCode]++
	a.slow = max(a.slow, took)
	switch {
	case w.StatusCode == 200:
	case w.StatusCode != 503 || w.Header.Get("Retry-After") == "" || len(w.Cookies()) > 0:
		a.wrong = append(a.wrong, fmt.Sprintf("%d with %v", w.StatusCode, w.Header))
	}
}

// crowd has so many clients look at their sessions, with the pause that a polite one
// makes, until stop is called.
func crowd(t *testing.T, url string, c *http.Client, people int) (a *answers, stop func()) {
	t.Helper()
	a = &answers{codes: map[int]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	impatient := &http.Client{Jar: c.Jar, Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: people}}
	for range people {
		asking.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				w, err := impatient.Get(url + "/api/session_state")
				if err != nil {
					t.Errorf("no answer: %v", err)
					return
				}
				w.Body.Close()
				a.note(w, time.Since(began))
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	return a, func() {
		cancel()
		asking.Wait()
		impatient.CloseIdleConnections()
	}
}

func (a *answers) unavailable() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.codes[503]
}

// Whatever becomes of the way to the database, people are answered: with what is known,
// or that they are to come back in a second. Nobody is signed out, the process says
// that it lives and that it is not ready, the database is not stormed, and when the way
// is free again everything goes on by itself.
func TestFaultsOnTheWayToTheDatabase(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name   string
		begin  func(*tcpproxy.Proxy)
		atMost float64 // connections that are asked for in a second while it lasts
	}{
		{"it is cut", (*tcpproxy.Proxy).Cut, 15},
		{"it is slow", func(p *tcpproxy.Proxy) { p.Delay(5 * time.Second) }, 15},
		{"it falls silent", (*tcpproxy.Proxy).Swallow, 15},
		{"every answer breaks off", func(p *tcpproxy.Proxy) { p.ResetAfter(450) }, 30},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			proxy, address := behind(t, testservers.PostgreSQL(t))
			folder := t.TempDir()
			flags := []string{"--database=" + address, "--keys=v.keys"}
			if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			admin := freeAddress(t)
			p := launch(t, folder, nil, append([]string{"--demo", "--admin-addr=" + admin}, flags...)...)
			c := p.signIn("alex")

			fault.begin(proxy)
			before, began := proxy.Accepted(), time.Now()
			a, stop := crowd(t, p.url, c, 50) // more than there are connections
			unready := p.untilReady(503)
			if said := get(t, c, p.url+"/livez"); !strings.Contains(said, "ok") {
				t.Errorf("the process itself: %s", said)
			}
			counted := func() bool {
				return strings.Contains(get(t, http.DefaultClient, "http://"+admin+"/metrics"), "vedfolnir_store_failures_total")
			}
			for patience := began.Add(30 * time.Second); a.unavailable() == 0 || !counted(); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(patience) {
					t.Fatal("nobody is told that the database is away, or the metrics do not know")
				}
			}
			time.Sleep(max(0, 4*time.Second-time.Since(began))) // for a storm to show: the processes' clocks are real
			asked, lasted := proxy.Accepted()-before, time.Since(began)
			proxy.Heal()
			back := p.untilReady(200)
			stop()
			t.Logf("answers %v, the slowest after %v; %d connections in %v; not ready after %v, ready again after %v", a.codes, a.slow, asked, lasted, unready, back)
			if len(a.wrong) > 0 {
				t.Errorf("%d wrong answers, the first: %s", len(a.wrong), a.wrong[0])
			}
			if a.codes[503] == 0 || float64(asked) > fault.atMost*lasted.Seconds() || a.slow > 12*time.Second || back > 6*time.Second {
				t.Errorf("%v, %d connections, the slowest after %v, back after %v", a.codes, asked, a.slow, back)
			}
			if status, body := p.state(c); status != 200 {
				t.Errorf("in the end: %d %s", status, body)
			}
			p.end(syscall.SIGTERM)
		})
	}
}

// untilReady waits until /readyz says so, and returns how long that took.
func (p *process) untilReady(want int) time.Duration {
	p.t.Helper()
	began := time.Now()
	for status := 0; status != want; time.Sleep(20 * time.Millisecond) {
		w, err := http.Get(p.url + "/readyz")
		if err != nil {
			p.t.Fatal(err)
		}
		w.Body.Close()
		if status = w.StatusCode; time.Since(began) > 20*time.Second {
			p.t.Fatalf("/readyz says %d, want %d", status, want)
		}
	}
	return time.Since(began)
}

// Reads that hang use up the connections. Whoever needs one waits for as long as the
// bound and is told to come back; the process is no less alive for that, nor less ready:
// others could serve these people no better. Whoever is remembered is served.
func TestABusyDatabaseKeepsNobodyWaitingForLong(t *testing.T) {
	t.Parallel()
	folder, address, admin := t.TempDir(), testservers.PostgreSQL(t), freeAddress(t)
	flags := []string{"--demo", "--database=" + address, "--keys=v.keys"}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags[1:]...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	remembers := launch(t, folder, nil, flags...)
	asks := launch(t, folder, []string{"SESSION_LEASE_SECONDS=0"}, append([]string{"--admin-addr=" + admin}, flags...)...)
	var clients []*http.Client
	for i := range 12 { // who share no reads, and are more than there are connections
		clients = append(clients, asks.signIn([]string{"alex", "robin", "admin", "sam"}[i%4]))
	}
	if status, body := remembers.state(clients[0]); status != 200 {
		t.Fatalf("%d %s", status, body)
	}

	operator, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close(context.WithoutCancel(t.Context()))
	tx, err := operator.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE sessions"); err != nil {
		t.Fatal(err)
	}
	var crowds []*answers
	var stops []func()
	for _, c := range clients {
		a, stop := crowd(t, asks.url, c, 10)
		crowds, stops = append(crowds, a), append(stops, stop)
	}
	for patience := time.Now().Add(30 * time.Second); slices.ContainsFunc(crowds, func(a *answers) bool { return a.unavailable() == 0 }); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatal("somebody is kept waiting")
		}
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if said := get(t, http.DefaultClient, asks.url+path); said != "ok\n" {
			t.Errorf("%s says %s", path, said)
		}
	}
	if said := get(t, http.DefaultClient, "http://"+admin+"/metrics"); !strings.Contains(said, "vedfolnir_store_failures_total") {
		t.Errorf("no metrics: %s", said)
	}
	if status, body := remembers.state(clients[0]); status != 200 {
		t.Errorf("who is remembered: %d %s", status, body)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, stop := range stops {
		stop()
		if a := crowds[i]; len(a.wrong) > 0 || a.slow > 12*time.Second {
			t.Errorf("%d wrong answers, the slowest after %v: %v", len(a.wrong), a.slow, a.wrong)
		}
	}
	free := time.Now()
	for i, c := range clients {
		for status, body := asks.state(c); status != 200; status, body = asks.state(c) {
			if time.Since(free) > 10*time.Second {
				t.Fatalf("client %d: %d %s", i, status, body)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	for _, p := range []*process{remembers, asks} {
		p.end(syscall.SIGTERM)
	}
}
