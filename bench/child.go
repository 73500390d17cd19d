package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// ready is what a server says when it serves.
type ready struct {
	Addr    string
	Cookies []string // one for each signed-in session: "name=value"
}

// usage is what a server has used so far.
type usage struct {
	CPU        time.Duration // user and system
	Heap       uint64        // bytes that are live after a collection
	Goroutines int
}

// answer is what the bare handler repeats.
type answer struct {
	Header http.Header
	Body   []byte
}

// child is a server in a process of its own.
type child struct {
	ready
	name  string
	cmd   *exec.Cmd
	ask   io.WriteCloser
	lines *json.Decoder
}

// start runs this program again as the named server. The bare one needs to know
// what to answer.
func start(ctx context.Context, name string, s settings, a answer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: name}
	c.cmd = exec.CommandContext(ctx, self, "-serve", name, "-live", strconv.Itoa(s.Live), "-signed-in", strconv.Itoa(s.SignedIn), "-dir", s.Dir, "-database", s.Database)
	c.cmd.Stderr = os.Stderr
	if c.ask, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = json.NewDecoder(bufio.NewReader(out))
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(c.ask).Encode(a); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	if err := c.lines.Decode(&c.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", name, err), c.stop())
	}
	return c, nil
}

// usage asks for it; with collect the server collects its garbage first.
func (c *child) usage(collect bool) (u usage, err error) {
	if err := json.NewEncoder(c.ask).Encode(collect); err != nil {
		return u, err
	}
	return u, c.lines.Decode(&u)
}

func (c *child) stop() error {
	return errors.Join(c.ask.Close(), c.cmd.Wait())
}

func stopAll(children []*child) (err error) {
	for _, c := range children {
		err = errors.Join(err, c.stop())
	}
	return err
}

// serveChild is the program in its other part: it serves until its input ends.
func serveChild(name string, s settings) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var a answer
	if err := in.Decode(&a); err != nil {
		return err
	}
	made, err := contestants[name](s, a)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: made.handler, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if err := out.Encode(ready{listener.Addr().String(), made.cookies}); err != nil {
		return err
	}
	for {
		var collect bool
		if err := in.Decode(&collect); err != nil {
			break
		}
		if err := out.Encode(measure(collect)); err != nil {
			return err
		}
	}
	err = server.Close()
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, made.close())
}

func measure(collect bool) (u usage) {
	if collect {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap = m.HeapAlloc
	}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	u.Goroutines = runtime.NumGoroutine()
	return u
}
