package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// island is a network of one node's own: two cables lead out of it, one to the people
// and one to the database, and either can be pulled.
type island struct {
	name        string // of the network namespace; empty: the node is in this machine's network
	front, back string // this machine's ends of the cables
	node        string // the node's address for people
	people      string // theirs for the node
	database    string // the database's for the node
}

// laid counts the islands of this process.
var laid atomic.Int32

// lay the cables. Names and addresses are the process's own.
func (i *island) lay() error {
	pid, number := os.Getpid(), int(laid.Add(1))
	net := fmt.Sprintf("10.%d.%d.", 128+pid>>8&127, pid&255)
	i.name = fmt.Sprintf("vedfolnir-%d-%d", pid, number)
	i.front, i.back = fmt.Sprintf("vf%df%d", pid, number), fmt.Sprintf("vf%db%d", pid, number)
	at := 8 * number
	i.people, i.node = fmt.Sprint(net, at+1), fmt.Sprint(net, at+2)
	i.database = fmt.Sprint(net, at+5)
	lines := []string{
		"netns add " + i.name,
		"-n " + i.name + " link set lo up",
	}
	for _, cable := range []struct{ end, here, there string }{{i.front, i.people, i.node}, {i.back, i.database, fmt.Sprint(net, at+6)}} {
		lines = append(lines,
			"link add "+cable.end+" type veth peer name "+cable.end+"n netns "+i.name,
			"addr add "+cable.here+"/30 dev "+cable.end,
			"link set "+cable.end+" up",
			"-n "+i.name+" addr add "+cable.there+"/30 dev "+cable.end+"n",
			"-n "+i.name+" link set "+cable.end+"n up")
	}
	for _, line := range lines {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

// pull the database's cable until mend is called.
func (i *island) pull() (mend func() error, err error) {
	return func() error { return ip("link set " + i.back + " up") }, ip("link set " + i.back + " down")
}

// drain what a process has left that was killed: its networks, by their names.
func drain() {
	left, _ := filepath.Glob("/run/netns/vedfolnir-*")
	for _, path := range left {
		name := filepath.Base(path)
		if _, err := os.Stat("/proc/" + strings.Split(name, "-")[1]); os.IsNotExist(err) {
			_ = ip("netns del " + name)
		}
	}
}

func ip(line string) error {
	out, err := exec.Command(program("ip"), strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}

func program(name string) string {
	for _, folder := range []string{"/usr/sbin", "/sbin", "/usr/bin"} {
		if path := filepath.Join(folder, name); exec.Command("test", "-x", path).Run() == nil {
			return path
		}
	}
	return name
}

// capable reports whether the kernel lets this process make networks.
func capable() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, text, _ := strings.Cut(string(status), "CapEff:")
	text, _, _ = strings.Cut(text, "\n")
	held, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
	const admin = 1<<12 | 1<<21 // CAP_NET_ADMIN, CAP_SYS_ADMIN
	return err == nil && held&admin == admin
}

// islands returns a network for each of n nodes. Where this process may not make
// networks all of them are in the machine's own, which is said, and the proxies are
// all that can part them from the database; with CI=true that is a failure if it may.
func islands(t testing.TB, n int) []*island {
	t.Helper()
	drain()
	var made []*island
	for range n {
		i := &island{}
		t.Cleanup(func() {
			if i.name == "" {
				return
			}
			_ = ip("netns del " + i.name) // and the cables with it
		})
		if err := i.lay(); err != nil {
			if os.Getenv("CI") == "true" && capable() {
				t.Fatalf("no network of a node's own: %v", err)
			}
			t.Logf("no network namespaces here, so that no cable can be pulled; the proxies alone part nodes from the database: %v", err)
			return loopback(n)
		}
		made = append(made, i)
	}
	return made
}

func loopback(n int) (all []*island) {
	for range n {
		all = append(all, &island{node: "127.0.0.1", people: "127.0.0.1", database: "127.0.0.1"})
	}
	return all
}

// command runs in the island's network.
func (i *island) command(name string, args ...string) *exec.Cmd {
	if i.name == "" {
		return exec.Command(name, args...)
	}
	return exec.Command(program("ip"), append([]string{"netns", "exec", i.name, name}, args...)...)
}
