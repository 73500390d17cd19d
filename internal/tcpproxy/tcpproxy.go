// Package tcpproxy stands between a test and a server, and does to the connections
// what networks do.
package tcpproxy

import (
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy hands bytes on, and fails as it is told. It is safe for concurrent use.
type Proxy struct {
	// Addr is where it listens: HOST:PORT of this machine.
	Addr string

	listener net.Listener
	server   atomic.Pointer[string]
	fault    atomic.Pointer[fault]
	accepted atomic.Int64
	sent     atomic.Int64

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	done  sync.WaitGroup
	ended chan struct{}
}

type fault struct {
	refuse, swallow bool
	delay           time.Duration
	resetAfter      int64 // bytes of the server's, for each connection; 0: never
	over            chan struct{}
}

// Start a proxy in front of the server at HOST:PORT, or at the path of a socket. It
// ends with the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", server)
}

// StartAt listens at HOST:PORT of this machine; port 0: any.
func StartAt(t testing.TB, listen, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), listener: l, open: map[net.Conn]struct{}{}, ended: make(chan struct{})}
	p.Lead(server)
	p.fault.Store(&fault{over: make(chan struct{})})
	p.done.Go(p.accept)
	t.Cleanup(func() {
		close(p.ended)
		l.Close()
		p.become(fault{refuse: true})
		p.hangUp()
		p.done.Wait()
	})
	return p
}

// Lead new connections to another server. Those that are open stay where they are.
func (p *Proxy) Lead(server string) { p.server.Store(&server) }

// Heal hands everything on, from now on.
func (p *Proxy) Heal() { p.become(fault{}) }

// Cut ends every connection, and refuses new ones until Heal.
func (p *Proxy) Cut() {
	p.become(fault{refuse: true})
	p.hangUp()
}

// HangUp ends every connection; new ones are served.
func (p *Proxy) HangUp() { p.hangUp() }

// Swallow lets nothing through, either way, and ends no connection: as a network does
// that has lost its route. What was swallowed goes on its way with Heal.
func (p *Proxy) Swallow() { p.become(fault{swallow: true}) }

// Delay holds back what the server says by so long.
func (p *Proxy) Delay(by time.Duration) { p.become(fault{delay: by}) }

// ResetAfter resets each connection once the server has said so many bytes more on it.
func (p *Proxy) ResetAfter(bytes int64) { p.become(fault{resetAfter: bytes}) }

// Accepted is how many connections were asked for, refused ones included; Sent how
// many times bytes of a client's were handed on: about one for each of its messages.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }
func (p *Proxy) Sent() int64     { return p.sent.Load() }

func (p *Proxy) become(f fault) {
	f.over = make(chan struct{})
	close(p.fault.Swap(&f).over)
}

func (p *Proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		reset(c)
	}
}

// reset ends a connection as a machine does that knows nothing of it any more.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		p.done.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.keep(client)()
	if p.fault.Load().refuse {
		reset(client)
		return
	}
	address, network := *p.server.Load(), "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	server, err := net.Dial(network, address)
	if err != nil {
		reset(client)
		return
	}
	defer p.keep(server)()
	if p.fault.Load().refuse { // since it was looked at
		reset(client)
		return
	}
	p.done.Go(func() {
		defer reset(server)
		p.hand(client, server, true)
	})
	defer reset(client)
	p.hand(server, client, false)
}

// keep makes a connection one that Cut ends.
func (p *Proxy) keep(c net.Conn) (forget func()) {
	p.mu.Lock()
	p.open[c] = struct{}{}
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		delete(p.open, c)
		p.mu.Unlock()
	}
}

func (p *Proxy) hand(from, to net.Conn, asking bool) {
	buffer := make([]byte, 32<<10)
	var under *fault
	var said int64 // under that fault
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			f := p.fault.Load()
			if f != under {
				under, said = f, 0
			}
			if f.swallow && !p.wait(f.over, time.Hour) {
				return
			}
			if asking {
				p.sent.Add(1)
			} else if f.delay > 0 && !p.wait(f.over, f.delay) {
				return
			}
			rest := f.resetAfter - said
			if said += int64(n); !asking && f.resetAfter > 0 && said >= f.resetAfter {
				_, _ = to.Write(buffer[:max(0, min(int64(n), rest))]) // it is reset either way
				time.Sleep(time.Millisecond)                          // a reset overtakes what is on its way
				reset(to)
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait until the fault is over, or for so long; false: the test is.
func (p *Proxy) wait(over <-chan struct{}, atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-p.ended:
		return false
	}
	return true
}
