package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// conn is one kept-alive connection that sends a request, reads the answer, and
// costs little: the requests are rendered before.
type conn struct {
	net.Conn
	in   *bufio.Reader
	body []byte
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 8192)}, nil
}

var (
	contentLength = []byte("Content-Length: ")
	setCookie     = []byte("Set-Cookie: ")
)

// response is what is read of an answer. The body is good until the next one.
type response struct {
	status     int
	setCookies []string
	body       []byte
}

// do sends one rendered request.
func (c *conn) do(request []byte) (r response, err error) {
	if _, err := c.Write(request); err != nil {
		return r, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	if len(line) < 12 {
		return r, fmt.Errorf("no status line: %q", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, err
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return r, err
			}
		} else if value, ok := bytes.CutPrefix(line, setCookie); ok {
			r.setCookies = append(r.setCookies, string(value))
		}
	}
	if length < 0 {
		return r, errors.New("the answer has no Content-Length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.in, c.body)
	r.body = c.body
	return r, err
}

const userAgent = "vedfolnir-bench/1"

// request renders one. The header lines are those that a browser's script sends,
// as far as they matter here.
func request(method, path, addr, cookie, csrf, body string) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: application/json\r\n"+
		"X-Requested-With: XMLHttpRequest\r\n", method, path, addr, userAgent)
	if cookie != "" {
		b = fmt.Appendf(b, "Cookie: %s\r\n", cookie)
	}
	if method != "GET" {
		b = fmt.Appendf(b, "Origin: http://%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-CSRFToken: %s\r\n", addr, len(body), csrf)
	}
	return append(append(b, "\r\n"...), body...)
}

// result of one round.
type result struct {
	requests  int
	took      time.Duration
	latencies []time.Duration // sorted
	cpu       time.Duration   // of the server
}

func (r result) perSecond() float64 { return float64(r.requests) / r.took.Seconds() }

func (r result) quantile(q float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[min(len(r.latencies)-1, int(q*float64(len(r.latencies))))]
}

func (r result) cpuEach() time.Duration { return r.cpu / time.Duration(max(1, r.requests)) }

// round loads the server for a while over the given number of connections. next
// gives each connection, by its number, a function that renders its requests. The
// first answer that is not 200 ends the round.
func round(ctx context.Context, c *child, connections int, length time.Duration, next func(connection int) func() []byte) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	before, err := c.usage(false)
	if err != nil {
		return result{}, err
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total result
		errs  error
	)
	begin := time.Now()
	for i := range connections {
		wg.Go(func() {
			latencies, err := load(ctx, c.Addr, next(i))
			if err != nil {
				cancel()
			}
			mu.Lock()
			defer mu.Unlock()
			total.latencies = append(total.latencies, latencies...)
			errs = errors.Join(errs, err)
		})
	}
	wg.Wait()
	total.took = time.Since(begin)
	after, err := c.usage(false)
	if err := errors.Join(errs, err); err != nil {
		return result{}, fmt.Errorf("%s: %w", c.name, err)
	}
	total.requests, total.cpu = len(total.latencies), after.CPU-before.CPU
	slices.Sort(total.latencies)
	return total, nil
}

func load(ctx context.Context, addr string, next func() []byte) (latencies []time.Duration, err error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for ctx.Err() == nil {
		request := next()
		begin := time.Now()
		r, err := c.do(request)
		if err != nil {
			return nil, err
		}
		if r.status != 200 {
			return nil, fmt.Errorf("answered %d: %s", r.status, r.body)
		}
		latencies = append(latencies, time.Since(begin))
	}
	return latencies, nil
}
