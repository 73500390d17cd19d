package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/tcpproxy"
	"github.com/vedfolnir/session/internal/testservers"
)

// Two servers wake each other by Redis. Without it they are as true, and half a second
// slower.
func TestTwoNodesWakeEachOtherByRedis(t *testing.T) {
	t.Parallel()
	folder, redis := t.TempDir(), tcpproxy.Start(t, testservers.Redis(t))
	flags := []string{
		"--database=" + testservers.PostgreSQL(t), "--keys=" + filepath.Join(folder, "shared.keys"), "--bus=redis://" + redis.Addr,
	}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	demo := append([]string{"--demo"}, flags...)
	here, there := launch(t, folder, nil, demo...), launch(t, folder, nil, demo...)
	c := here.signIn("alex")
	events := there.stream(c)
	fastest := func() time.Duration {
		best := time.Hour
		for i := range 6 {
			here.post(c, "/api/switch_platform/"+[]string{"2", "1"}[i%2], `{}`)
			done := time.Now()
			took := await(t, events, "platform_switched").Sub(done)
			if i > 0 { // by now the other node has just looked by itself, and does so in half a second
				best = min(best, took)
			}
		}
		return best
	}
	if took := fastest(); took > 200*time.Millisecond {
		t.Errorf("with the bus it takes %v", took)
	}
	redis.Cut()
	here.stderr.await(t, "the bus has no connection")
	slow := fastest()
	t.Logf("without the bus it takes %v at least", slow)
	redis.Heal()
	there.stderr.await(t, "the bus is connected again")
	here.stderr.await(t, "the bus is connected again")
	if took := fastest(); took > 200*time.Millisecond {
		t.Errorf("when the bus is back it takes %v", took)
	}
	for _, p := range []*process{here, there} {
		p.end(syscall.SIGTERM)
	}
}

func TestMistakesOfTheBusAreReported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--bus=127.0.0.1:6379"}, "redis://USER@HOST:PORT"},
		{[]string{"--bus=redis://:s3cret@h"}, "REDISCLI_AUTH"},
		{[]string{"--bus=redis://h"}, "without a PostgreSQL database"},
	} {
		out, err := command(t, t.TempDir(), nil, append([]string{"serve"}, c.args...)...).CombinedOutput()
		if exitCode(err) != 2 || !strings.Contains(string(out), c.want) || strings.Contains(string(out), "s3cret") {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}
