// Package testservers gives a test a database server that really runs: a private
// one, started from Debian's programs, or a PostgreSQL that the environment names. It
// needs no driver, and speaks to the servers by their own clients.
//
// A private server listens on loopback only, keeps everything in a temporary
// folder, is shared by the tests of one process, and ends with that process,
// however it ends. Where no server can be had the test is skipped, and fails if
// CI=true.
package testservers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// patience is how long a private server may take to start, on a busy machine.
const patience = time.Minute

// missing skips the test, or fails it where nothing may be skipped.
func missing(t testing.TB, thing string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v", err)
	}
	t.Skipf("%v; sh tools/need %s installs what is missing", err, thing)
}

// private is a server that this process has started.
type private struct {
	cmd    *exec.Cmd
	alive  io.Closer // the script ends, and its server with it, when this is closed
	output *os.File  // has no name; a buffer would want a goroutine, which outlives a test
}

// started keeps the servers from the garbage collector, which would close alive.
var started sync.Map

// startPrivate runs a script that starts a server, waits for the end of its input,
// stops the server and removes its folder: it sees that end also if this process
// is killed. It runs as user if this is root, for some servers refuse root. ready
// is asked until it returns nil.
func startPrivate(user, script string, args []string, ready func() error) (*private, error) {
	command := append([]string{"sh", "-euc", script, "sh"}, args...)
	if os.Geteuid() == 0 {
		command = append([]string{"runuser", "-u", user, "--"}, command...)
	}
	p := &private{cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.Dir = "/" // the user may not see where the test runs
	var err error
	if p.output, err = os.CreateTemp("", "server"); err != nil {
		return nil, err
	}
	if err := os.Remove(p.output.Name()); err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if p.alive, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ready()
		if err == nil {
			started.Store(p, nil)
			return p, nil
		}
		if time.Now().After(deadline) {
			err = errors.Join(err, p.stop())
			return nil, fmt.Errorf("the private server did not start: %w\n%s", err, p.said())
		}
	}
}

// said is what the server has written so far.
func (p *private) said() string {
	text, err := io.ReadAll(io.NewSectionReader(p.output, 0, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop waits until nothing is left of the server.
func (p *private) stop() error {
	started.Delete(p)
	return errors.Join(p.alive.Close(), p.cmd.Wait())
}

// freePort is one that nobody listens on just now.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), listener.Close()
}

// program finds one in the newest of the folders that match the patterns, or in
// PATH.
func program(name string, folders ...string) (string, error) {
	newest := ""
	for _, folder := range folders {
		found, _ := filepath.Glob(filepath.Join(folder, name)) // the patterns are constants
		for _, f := range found {
			if len(f) > len(newest) || len(f) == len(newest) && f > newest {
				newest = f // 9 before 15
			}
		}
	}
	if newest != "" {
		return newest, nil
	}
	return exec.LookPath(name)
}
