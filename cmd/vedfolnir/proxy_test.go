package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/nginxtest"
)

// skip says what is missing. Where everything is to be tested it fails.
func skip(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// tool finds a program of Debian's.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	skip(t, name+" is missing: sh tools/need "+name+" installs it")
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// front is an nginx in front of a server.
type front struct {
	location string // lines of its location
	plain    bool   // without TLS, and at an address that is not this machine's by its name
}

// behindNginx starts a real nginx in front of the server and returns the address
// that people use. Its certificate is the folder's.
func behindNginx(t *testing.T, folder, server string, f front) string {
	t.Helper()
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	address, listen := "https://"+addr, addr+" ssl"
	if f.plain {
		address, listen = "http://0.0.0.0:"+port, addr // which leads here, too
	}
	home := t.TempDir()
	for _, name := range []string{"cert.pem", "key.pem"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nginxtest.Start(t, home, fmt.Sprintf(`
	proxy_cache_path cache keys_zone=all:1m;
	server {
		listen %s;
		ssl_certificate cert.pem;
		ssl_certificate_key key.pem;
		location / { proxy_pass %s; %s }
	}`, listen, server, f.location), addr)
	return address
}

// serveWith runs a proxy until the test is over, and waits until it listens.
func serveWith(t *testing.T, addr string, c *exec.Cmd) {
	t.Helper()
	out := new(output)
	c.Stderr = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", c.Path, out)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v\n%s", c.Path, err, out)
		}
	}
}
