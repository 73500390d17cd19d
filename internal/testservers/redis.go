package testservers

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Redis returns the HOST:PORT of a server of this process's own, which keeps nothing
// and belongs to all of its tests: they do not end each other's connections, and
// have channels and keys of their own.
func Redis(t testing.TB) string {
	t.Helper()
	address, err := redis()
	if err != nil {
		missing(t, "redis", err)
	}
	return address
}

const redisScript = `
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" --port "$2" --bind 127.0.0.1 --dir "$folder" --save "" --appendonly no &
cat >/dev/null
kill -INT $!
wait $!
`

var redis = sync.OnceValues(func() (string, error) {
	server, err := program("redis-server")
	if err != nil {
		return "", err
	}
	client, err := program("redis-cli")
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	_, err = startPrivate("redis", redisScript, []string{server, port}, func() error {
		said, err := exec.Command(client, "-p", port, "ping").CombinedOutput()
		if err == nil && strings.TrimSpace(string(said)) != "PONG" {
			err = fmt.Errorf("redis-cli: %s", said)
		}
		return err
	})
	return net.JoinHostPort("127.0.0.1", port), err
})
