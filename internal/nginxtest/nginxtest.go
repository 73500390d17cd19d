// Package nginxtest runs a real nginx for tests.
package nginxtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Start runs nginx in the folder home, with these lines in its block "http", until
// the test is over, and waits until it listens on the address. Files that the
// lines name are looked for in home. Without nginx the test is skipped, and fails
// if CI=true.
func Start(t testing.TB, home, http, addr string) {
	t.Helper()
	nginx := find(t)
	conf := "pid nginx.pid; error_log stderr;\nevents {}\nhttp { access_log off;\n" +
		"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" + http + "\n}\n"
	if os.Getuid() == 0 {
		conf = "user root;\n" + conf // its workers read this folder
	}
	if err := os.WriteFile(filepath.Join(home, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	out := new(output)
	c := exec.Command(nginx, "-p", home, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;")
	c.Stderr = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("nginx says:\n%s", out)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v\n%s", err, out)
		}
	}
}

func find(t testing.TB) string {
	t.Helper()
	for _, candidate := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("nginx is missing: sh tools/need nginx installs it")
	}
	t.Skip("nginx is missing: sh tools/need nginx installs it")
	return ""
}

// output may be looked at while nginx goes on writing it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
