package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// TakenError: somebody else listens on the address.
type TakenError struct {
	Addr   string
	Holder string // "nginx (process 812)"; empty: it could not be found out
	Free   string // an address that is free just now; empty: none was found
}

func (e *TakenError) Error() string {
	who := "another program"
	if e.Holder != "" {
		who = e.Holder
	}
	text := fmt.Sprintf("%s is taken by %s: stop that, or choose another port with --addr", e.Addr, who)
	if e.Free != "" {
		text += " " + e.Free
	}
	return text
}

// Listen on the address, or say who does.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case !errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen: %w", err)
	}
	taken := &TakenError{Addr: addr}
	host, port, _ := net.SplitHostPort(addr)
	if n, err := net.LookupPort("tcp", port); err == nil {
		taken.Holder, taken.Free = holder(n), freeAfter(host, n)
	}
	return nil, taken
}

// freeAfter finds the next free port, for a suggestion.
func freeAfter(host string, port int) string {
	for n := port + 1; n <= min(port+20, 65535); n++ {
		addr := net.JoinHostPort(host, strconv.Itoa(n))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	return ""
}
