package main

import (
	"context"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedfolnir/session/internal/testservers"
)

// The database is away for longer than a lease: nobody is signed out and nobody is
// let in, people are told when to come back, and it goes on by itself.
func TestAnOutageOfPostgreSQLSignsNobodyOut(t *testing.T) {
	t.Parallel()
	address, folder := testservers.PostgreSQL(t), t.TempDir()
	flags := []string{"--database=" + address, "--keys=v.keys"}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := launch(t, folder, nil, append([]string{"--demo"}, flags...)...)
	c := p.signIn("alex")

	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	operator, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close(context.WithoutCancel(t.Context()))
	connections := func(allowed string) {
		t.Helper()
		_, err := operator.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{database}.Sanitize()+" ALLOW_CONNECTIONS "+allowed)
		if err == nil {
			_, err = operator.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	connections("false")
	defer connections("true")
	until := func(want int) {
		t.Helper()
		for patience := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			w, err := c.Get(p.url + "/api/session_state")
			if err != nil {
				t.Fatal(err)
			}
			w.Body.Close()
			if w.StatusCode == 503 && (w.Header.Get("Retry-After") == "" || len(w.Cookies()) > 0) {
				t.Errorf("503 with %v", w.Header)
			}
			if w.StatusCode == want {
				return
			}
			if w.StatusCode != 200 && w.StatusCode != 503 || time.Now().After(patience) {
				t.Fatalf("%d, want %d in the end", w.StatusCode, want)
			}
		}
	}
	until(503)
	if said := get(t, c, p.url+"/livez"); !strings.Contains(said, "ok") {
		t.Errorf("the process itself: %s", said)
	}
	connections("true")
	until(200)
	p.post(c, "/api/switch_platform/2", `{}`)
	p.end(syscall.SIGTERM)
}
