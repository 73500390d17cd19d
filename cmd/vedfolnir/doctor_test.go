package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// behindNginx starts a real nginx with TLS in front of the server, with these
// lines in its location, and returns the address that people use.
func behindNginx(t *testing.T, folder, server, location string) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(nginx); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("nginx is missing: sh tools/need nginx installs it")
		}
		t.Skip("nginx is missing: sh tools/need nginx installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // its workers read this folder
	}
	conf := fmt.Sprintf(`
%s
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	proxy_cache_path cache keys_zone=all:1m;
	server {
		listen %s ssl;
		ssl_certificate cert.pem;
		ssl_certificate_key key.pem;
		location / { proxy_pass %s; %s }
	}
}`, user, addr, server, location)
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
	if err := os.WriteFile(filepath.Join(home, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(nginx, "-p", home, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;")
	out := new(output)
	c.Stderr = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGQUIT)
		_ = c.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return "https://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v\n%s", err, out)
		}
	}
}

const goodLocation = `proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr;`

// Each set-up is broken in one way, behind a real nginx.
func TestDoctorBehindAProxy(t *testing.T) {
	folder := t.TempDir()
	certificate(t, folder)
	p := launch(t, folder, nil, "--trusted-proxy=127.0.0.1")
	deaf := launch(t, t.TempDir(), nil) // trusts no proxy
	for _, c := range []struct {
		what, server, location string
		want                   []string
	}{
		{"as documented", p.url, goodLocation, nil},
		{"Host is not handed on", p.url, strings.Replace(goodLocation, "$http_host", "backend", 1), []string{"HOST_CHANGED"}},
		{"the protocol is not handed on", p.url, `proxy_set_header Host $http_host;`, []string{"COOKIE_NOT_SECURE", "NO_HSTS"}},
		{"the proxy is not trusted", deaf.url, goodLocation, []string{"COOKIE_NOT_SECURE", "NO_HSTS"}},
		{"cookies are changed", p.url, goodLocation + ` proxy_cookie_path / /app;`, []string{"COOKIE_CHANGED", "COOKIE_LOST"}},
		{"cookies are not handed on", p.url, goodLocation + ` proxy_set_header Cookie "";`, []string{"COOKIE_LOST"}},
		{"cookies are hidden", p.url, goodLocation + ` proxy_hide_header Set-Cookie;`, []string{"COOKIE_LOST", "NO_COOKIE"}},
		{"pages are cached", p.url, goodLocation + ` proxy_cache all; proxy_cache_key $uri; proxy_ignore_headers Cache-Control Set-Cookie Vary; proxy_cache_valid any 1m; add_header X-Cache-Status $upstream_cache_status always;`, []string{"CACHED"}},
		{"the API is not handed on", p.url, goodLocation + ` if ($uri ~ ^/api/) { return 404; }`, []string{"NO_API"}},
		{"the server is away", "http://127.0.0.1:1", goodLocation, []string{"NOT_READY"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			address := behindNginx(t, folder, c.server, c.location)
			trust := []string{"SSL_CERT_FILE=" + filepath.Join(folder, "cert.pem"), "VEDFOLNIR_KEYS=" + filepath.Join(folder, "vedfolnir.keys")}
			var got []string
			for range 2 { // a cache answers the second time
				got = nil
				cmd := command(t, folder, trust, "doctor", "--json", "--url", address)
				out, err := cmd.Output()
				if exit := cmd.ProcessState.ExitCode(); exit != 0 && exit != exitUnwell {
					t.Fatalf("%v\n%s", err, out)
				}
				var findings []struct {
					Code, What, Fix string
					Problem         bool
				}
				if err := json.Unmarshal(out, &findings); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				for _, f := range findings {
					if f.Problem {
						got = append(got, f.Code)
					}
					if f.What == "" || f.Fix == "" {
						t.Errorf("%s says too little: %+v", f.Code, f)
					}
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// Behind a real proxy that nobody named the log says which flag is missing, once
// and not for each request.
func TestLesson29_AProxyThatNobodyNamedIsTold(t *testing.T) {
	folder := t.TempDir()
	roots := certificate(t, folder)
	deaf := launch(t, folder, nil)
	address := behindNginx(t, folder, deaf.url, goodLocation)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for range 5 {
		get(t, c, address+"/login")
	}
	deaf.stderr.await(t, "--trusted-proxy ADDRESS): until then nobody can sign in through it")
	get(t, c, address+"/login")
	if told := strings.Count(deaf.stderr.String(), "until then nobody can sign in"); told != 1 {
		t.Errorf("told %d times", told)
	}
	deaf.end(syscall.SIGTERM)
}

const exitUnwell = 4
