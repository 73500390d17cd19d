package cluster

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/vedfolnir/session/internal/nginxtest"
)

// front runs deploy/nginx.conf in front of the nodes, without its TLS, and has each
// answer say who gave it.
func (c *cluster) front() {
	c.t.Helper()
	content, err := os.ReadFile("../../deploy/nginx.conf")
	if err != nil {
		c.t.Fatal(err)
	}
	c.nginx = freeAddress(c.t)
	servers := ""
	for _, n := range c.nodes {
		servers += "server " + n.addr + " max_fails=0;"
	}
	conf := regexp.MustCompile(`(?m)^\s*ssl_.*$`).ReplaceAllString(string(content), "")
	for _, r := range [][2]string{
		{"listen 443 ssl;", "listen " + c.nginx + "; add_header X-Served-By $upstream_addr always;"},
		{"Retry-After 5 always;", "Retry-After 5 always; add_header X-Served-By $upstream_addr always;"}, // if nobody gave it
		{"listen 80;", "listen " + freeAddress(c.t) + ";"},
		{"server 127.0.0.1:8080 max_fails=0;", servers},
		{"X-Forwarded-Proto $scheme;", "X-Forwarded-Proto https;"},
	} {
		if !strings.Contains(conf, r[0]) {
			c.t.Fatalf("deploy/nginx.conf does not say %q", r[0])
		}
		conf = strings.ReplaceAll(conf, r[0], r[1])
	}
	nginxtest.Start(c.t, c.t.TempDir(), conf, c.nginx)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
