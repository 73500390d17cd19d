package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
)

// hostOf is where the server of an address listens.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(u.Query().Get("host"), u.Query().Get("port"))
}

// elsewhere is the same database at another HOST:PORT.
func elsewhere(t *testing.T, address, at string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", host)
	q.Set("port", port)
	u.RawQuery = q.Encode()
	return u.String()
}

// behind is the same database, reached through a proxy.
func behind(t *testing.T, address string) (*tcpproxy.Proxy, string) {
	t.Helper()
	p := tcpproxy.Start(t, hostOf(t, address))
	return p, elsewhere(t, address, p.Addr)
}

// operate runs a statement at a server, and returns what it says.
func operate(t *testing.T, address, statement string) (said string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	rows, err := c.Query(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		said = fmt.Sprint(values...)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return said
}

func untilSaid(t *testing.T, address, statement, want string) {
	t.Helper()
	for patience := time.Now().Add(20 * time.Second); operate(t, address, statement) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(patience) {
			t.Fatalf("%s is %q", statement, operate(t, address, statement))
		}
	}
}

// stampOf is where a tab is, by the id of an event.
func stampOf(t *testing.T, e told) session.Stamp {
	t.Helper()
	stamp, err := session.ParseStamp(e.id)
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return stamp
}

// until the node says so of a session; it may be unavailable meanwhile, and nothing
// else.
func (c *cluster) until(i int, v *visitor, want int) {
	c.t.Helper()
	seen := map[int]int{}
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, body, err := c.at(i, v).do(c.t.Context(), "GET", "/api/session_state", "")
		if err != nil {
			c.t.Fatal(err)
		}
		if status == want {
			return
		}
		if seen[status]++; time.Now().After(patience) {
			c.t.Fatalf("node %d says %d to %s, want %d; before %v", i, status, body, want, seen)
		}
	}
}

// at is the same browser at another node.
func (c *cluster) at(i int, v *visitor) *visitor {
	other := *v
	other.url = c.nodes[i].url
	return &other
}

// post until it is done: a node whose connection has just broken asks to come back.
func (c *cluster) post(i int, v *visitor, path string) {
	c.t.Helper()
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, body, err := c.at(i, v).do(c.t.Context(), "POST", path, "{}")
		if status == 200 && err == nil {
			return
		}
		if status != 503 || time.Now().After(patience) {
			c.t.Fatalf("%s: %d %s %v", path, status, body, err)
		}
	}
}

// What was acknowledged is lost, in each of the ways in which it can be: the nodes
// notice by themselves, forget what they remember, and tabs follow to what is there,
// although its versions are lower than theirs. Whoever was signed in before is still.
func TestLostHistoryIsNoticed(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, address string, p *tcpproxy.Proxy) (now func()){
		"a standby takes over that lacks the last commits": func(t *testing.T, address string, p *tcpproxy.Proxy) func() {
			standby := testservers.CopyPostgreSQL(t, address, true)
			untilSaid(t, address, "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()", "1")
			operate(t, standby, "ALTER SYSTEM SET primary_conninfo = ''")
			operate(t, standby, "SELECT pg_reload_conf()")
			untilSaid(t, address, "SELECT count(*) FROM pg_stat_replication", "0")
			return func() {
				operate(t, standby, "SELECT pg_promote()")
				p.Lead(hostOf(t, standby))
				p.HangUp()
			}
		},
		"a copy of the files is put back": func(t *testing.T, address string, p *tcpproxy.Proxy) func() {
			copied := testservers.CopyPostgreSQL(t, address, false)
			return func() {
				p.Lead(hostOf(t, copied))
				p.HangUp()
			}
		},
		"a dump is put back": func(t *testing.T, address string, p *tcpproxy.Proxy) func() {
			file := filepath.Join(t.TempDir(), "dump.sql")
			if out, err := exec.Command("pg_dump", "--file="+file, address).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return func() {
				p.Cut()
				u, _ := url.Parse(address)
				database := strings.TrimPrefix(u.Path, "/")
				u.Path = "/postgres"
				operate(t, u.String(), "DROP DATABASE "+database+" WITH (FORCE)")
				operate(t, u.String(), "CREATE DATABASE "+database)
				if out, err := exec.Command("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file="+file, address).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				p.Heal()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := url.Parse(testservers.HastyPostgreSQL(t))
			if err != nil {
				t.Fatal(err)
			}
			operate(t, server.String(), "CREATE DATABASE sessions")
			server.Path = "/sessions"
			p, address := behind(t, server.String())
			c := newClusterOn(t, 2, address)
			before, ended := c.signIn(c.nodes[0].url), c.signIn(c.nodes[1].url)
			tab := follow(t, c.nodes[1], before.client, "")
			nextTold(t, tab)

			now := lose(t, server.String(), p)
			var last told
			for _, platform := range []string{"2", "1", "2"} {
				c.post(0, before, "/api/switch_platform/"+platform)
				for last = nextTold(t, tab); last.name != "platform_switched"; last = nextTold(t, tab) {
				}
			}
			after := c.signIn(c.nodes[0].url)
			c.post(1, ended, "/logout")
			c.until(1, after, 200)

			now()
			e := nextTold(t, tab)
			for ; e.name == "sessions_changed" && stampOf(t, e).Epoch == stampOf(t, last).Epoch; e = nextTold(t, tab) {
			}
			have, had := stampOf(t, e), stampOf(t, last)
			if e.name != "platform_switched" && e.name != "state" || have.Epoch <= had.Epoch || have.Version >= had.Version || !strings.Contains(e.data, `"name":"One"`) {
				t.Errorf("after %+v the tab is told %+v", last, e)
			}
			for i := range c.nodes {
				c.until(i, before, 200)
				c.until(i, after, 401) // signed in, and lost
			}
			c.post(1, before, "/api/switch_platform/2")
			if e := nextTold(t, tab); stampOf(t, e).Epoch != have.Epoch {
				t.Errorf("then %+v", e)
			}
			for _, node := range c.nodes {
				node.end(syscall.SIGTERM)
			}
		})
	}
}

// With a synchronous standby nothing that was acknowledged is lost when that takes over.
func TestASynchronousStandbyKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	server := testservers.HastyPostgreSQL(t)
	standby := testservers.CopyPostgreSQL(t, server, true)
	operate(t, server, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	operate(t, server, "SELECT pg_reload_conf()")
	untilSaid(t, server, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1")
	p, address := behind(t, server)
	c := newClusterOn(t, 2, address)
	if found := problemsAndNotes(t, c); strings.Contains(found, "NO_SYNCHRONOUS_STANDBY") || strings.Contains(found, "STANDBY_AWAY") {
		t.Errorf("doctor says %s", found)
	}
	kept, ended := c.signIn(c.nodes[0].url), c.signIn(c.nodes[1].url)
	for i := range 10 {
		c.post((i+1)%2, kept, "/api/switch_platform/"+[]string{"2", "1"}[i%2])
	}
	tab := follow(t, c.nodes[0], kept.client, "")
	had := stampOf(t, nextTold(t, tab))
	c.post(1, ended, "/logout")
	p.Cut() // the server that fails says nothing more
	operate(t, standby, "SELECT pg_promote()")
	p.Lead(hostOf(t, standby))
	p.Heal()
	for i := range c.nodes {
		c.until(i, kept, 200)
		c.until(i, ended, 401)
	}
	for e := nextTold(t, tab); ; e = nextTold(t, tab) {
		if have := stampOf(t, e); have.Version != had.Version {
			t.Fatalf("version %d after %d", have.Version, had.Version)
		} else if have.Epoch > had.Epoch {
			break
		}
	}
	c.post(0, kept, "/api/switch_platform/2")
	for _, node := range c.nodes {
		node.end(syscall.SIGTERM)
	}
}

func problemsAndNotes(t *testing.T, c *cluster) string {
	t.Helper()
	return fmt.Sprintf("%+v", diagnose(t, c.folder, nil, c.flags...))
}
