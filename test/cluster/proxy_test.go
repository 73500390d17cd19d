package cluster

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node and its database.
type proxy struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)
	ctx      context.Context

	mu    sync.Mutex
	conns map[*net.TCPConn]struct{} // the node's ends
	held  int                       // how many hold everything back
	open  chan struct{}             // closed while nobody does
	delay time.Duration             // of each piece that is sent on
}

// proxyTo listens at the address for a node, in front of the database.
func proxyTo(t testing.TB, listen string, database *url.URL) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	network, host, port := "tcp", database.Query().Get("host"), database.Query().Get("port")
	address := net.JoinHostPort(host, port)
	if filepath.IsAbs(host) {
		network, address = "unix", filepath.Join(host, ".s.PGSQL."+port)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &proxy{listener: listener, ctx: ctx, conns: map[*net.TCPConn]struct{}{}, open: make(chan struct{}), dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	close(p.open)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { p.serve(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		stop()
		listener.Close()
		p.reset()
		running.Wait()
	})
	return p
}

func (p *proxy) serve(node *net.TCPConn) {
	defer node.Close()
	p.mu.Lock()
	p.conns[node] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, node)
		p.mu.Unlock()
	}()
	if !p.pass() {
		return
	}
	database, err := p.dial(p.ctx)
	if err != nil {
		return
	}
	defer database.Close()
	var both sync.WaitGroup
	both.Go(func() { p.copy(database, node) })
	both.Go(func() { p.copy(node, database) })
	both.Wait()
}

// copy sends on what arrives until one end is closed. What is held back is sent on
// later, as the network does that was cut and is mended: a commit may arrive whose node
// has long given up.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			if !p.pass() {
				return
			}
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass returns when a piece may go on; false: never.
func (p *proxy) pass() bool {
	p.mu.Lock()
	open, delay := p.open, p.delay
	p.mu.Unlock()
	select {
	case <-open:
	case <-p.ctx.Done():
		return false
	}
	select {
	case <-time.After(delay):
		return true
	case <-p.ctx.Done():
		return false
	}
}

// cut holds everything back until mend is called.
func (p *proxy) cut() (mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held++; p.held == 1 {
		p.open = make(chan struct{})
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held--; p.held == 0 {
			close(p.open)
		}
	}
}

// slow delays every piece until mend is called.
func (p *proxy) slow(by time.Duration) (mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = by
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.delay = 0
	}
}

// reset breaks every connection, as a firewall does that was restarted.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.SetLinger(0)
		c.Close()
	}
}

func (p *proxy) addr() *net.TCPAddr { return p.listener.Addr().(*net.TCPAddr) }

// A proxy that holds back delivers later, one that resets loses, and one that is slow
// takes its time.
func TestTheProxyDoesWhatItSays(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	host, port, _ := net.SplitHostPort(echo.Addr().String())
	p := proxyTo(t, "127.0.0.1:0", &url.URL{RawQuery: url.Values{"host": {host}, "port": {port}}.Encode()})
	c, err := net.Dial("tcp", p.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(patience time.Duration) error {
		t.Helper()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(patience))
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	if err := say(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	mend := p.cut()
	if say(50*time.Millisecond) == nil {
		t.Error("cut, it lets through")
	}
	mend()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("mended, it has lost what it held: %v", err)
	}
	mend = p.slow(50 * time.Millisecond)
	began := time.Now()
	if err := say(20 * time.Second); err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("slow both ways, it took %v: %v", time.Since(began), err)
	}
	mend()
	p.reset()
	if say(20*time.Second) == nil {
		t.Error("reset, it goes on")
	}
}
