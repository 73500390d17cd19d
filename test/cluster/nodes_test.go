package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
)

// host is the name under which people know the nodes.
const host = "sessions.example.org"

// limit of live sessions of one person.
const limit = 3

// cluster are nodes on one database, behind nginx.
type cluster struct {
	t        testing.TB
	folder   string
	database string
	nodes    []*node
	nginx    string // its address
}

// node is one of the programs, with its way to the database.
type node struct {
	number int
	*island
	database *tcpproxy.Proxy // in front of it
	addr     string
	flags    []string
	folder   string
	program  string
	said     *output // all that it ever said

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error
}

// newCluster starts so many nodes, on a database of their own.
func newCluster(t testing.TB, nodes int) *cluster {
	t.Helper()
	c := &cluster{t: t, folder: t.TempDir(), database: testservers.PostgreSQL(t)}
	address, err := url.Parse(c.database)
	if err != nil {
		t.Fatal(err)
	}
	program := build(t)
	c.command(program, "", "keys", "make")
	for number, i := range islands(t, nodes) {
		n := &node{number: number, island: i, folder: c.folder, program: program, said: &output{}, addr: net.JoinHostPort(i.node, "8080")}
		if i.name == "" {
			n.addr = freeAddress(t)
		}
		own := *address
		query := own.Query()
		n.database = tcpproxy.StartAt(t, net.JoinHostPort(i.database, "0"), serverOf(query))
		at, port, err := net.SplitHostPort(n.database.Addr)
		if err != nil {
			t.Fatal(err)
		}
		query.Set("host", at)
		query.Set("port", port)
		own.RawQuery = query.Encode()
		n.flags = []string{"serve", "--database=" + own.String(), "--keys=v.keys", "--addr=" + n.addr, "--trusted-proxy=" + i.people}
		c.nodes = append(c.nodes, n)
	}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.stop()
		}
	})
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
	}
	c.front()
	return c
}

// serverOf the database is where it listens: the host may be the folder of a socket.
func serverOf(database url.Values) string {
	host, port := database.Get("host"), database.Get("port")
	if filepath.IsAbs(host) {
		return filepath.Join(host, ".s.PGSQL."+port)
	}
	return net.JoinHostPort(host, port)
}

// command is what an operator types. It goes to the database past every fault.
func (c *cluster) command(program, stdin string, args ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--database="+c.database, "--keys=v.keys")...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.folder, environ(), strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "GORACE=halt_on_error=1 atexit_sleep_ms=0",
		fmt.Sprintf("SESSION_MAX_CONCURRENT_PER_USER=%d", limit), "SESSION_MAX_PLATFORM_SWITCHES_PER_HOUR=0",
		fmt.Sprintf("SESSION_UNREMEMBERED_LIFETIME_SECONDS=%d", int(shortly.Seconds())),
		"VEDFOLNIR_ATTEMPTS_PER_ACCOUNT=1000000", "VEDFOLNIR_ATTEMPTS_PER_ADDRESS=1000000",
	}
}

var (
	building sync.Once
	built    string
	unbuilt  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(filepath.Dir(built))
	}
	os.Exit(code)
}

// build makes the program once, and looks for races in it if they are looked for here.
func build(t testing.TB) string {
	t.Helper()
	building.Do(func() {
		folder, err := os.MkdirTemp("", "vedfolnir-cluster-")
		if err != nil {
			unbuilt = err
			return
		}
		built = filepath.Join(folder, "vedfolnir")
		args := []string{"build", "-o", built, fmt.Sprintf("-race=%t", racing), "./cmd/vedfolnir"}
		c := exec.Command("go", args...)
		c.Dir = "../.."
		if out, err := c.CombinedOutput(); err != nil {
			unbuilt = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if unbuilt != nil {
		t.Fatal(unbuilt)
	}
	return built
}

// start the program and wait until it says that it serves.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd := n.island.command(n.program, n.flags...)
	cmd.Dir, cmd.Env, cmd.Stderr = n.folder, environ(), n.said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stdout)
	for served := false; !served; {
		line, err := lines.ReadString('\n')
		_, _ = io.WriteString(n.said, line)
		if err != nil {
			return fmt.Errorf("node %d ended: %w\n%s", n.number, errors.Join(err, cmd.Wait()), n.said)
		}
		served = strings.Contains(line, "://"+n.addr)
	}
	n.cmd, n.ended = cmd, make(chan error, 1)
	go func() {
		_, _ = io.Copy(n.said, lines)
		n.ended <- cmd.Wait()
	}()
	return nil
}

func (n *node) signal(s syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(s) // it may have ended
	}
}

// end sends the signal and waits. What is wrong is how it ended, if it was asked to.
func (n *node) end(s syscall.Signal) error {
	n.signal(s)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return nil
	}
	defer func() { n.cmd = nil }()
	select {
	case err := <-n.ended:
		if s == syscall.SIGTERM && err != nil {
			return fmt.Errorf("node %d, asked to end: %w; its last words:\n%s", n.number, err, n.said.last())
		}
		return nil
	case <-time.After(30 * time.Second):
		_ = n.cmd.Process.Kill()
		<-n.ended
		return fmt.Errorf("node %d did not end within 30 s", n.number)
	}
}

// stop whatever state it is in.
func (n *node) stop() {
	n.signal(syscall.SIGCONT)
	_ = n.end(syscall.SIGKILL)
}

// ready waits until it says so.
func (n *node) ready(patience time.Duration) error {
	client := &http.Client{Timeout: 3 * time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		w, err := client.Get("http://" + n.addr + "/readyz")
		if err == nil {
			w.Body.Close()
			if w.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(w.Status)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("node %d is not ready after %v: %w", n.number, patience, err)
		}
	}
}
