package testservers

import (
	"fmt"
	"net/url"
	"testing"
)

const pgBouncerScript = `
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "$2" >"$folder/pgbouncer.ini"
"$1" --quiet "$folder/pgbouncer.ini" &
cat >/dev/null
kill -TERM $!
wait $! || true
`

// PgBouncer starts the pooler in front of a database that [PostgreSQL] returned, and
// returns the database's address through it. mode is "session" or "transaction". It
// ends with the test.
func PgBouncer(t testing.TB, database, mode string) string {
	t.Helper()
	pooler, err := program("pgbouncer", "/usr/sbin")
	if err != nil {
		missing(t, "pgbouncer", err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	settings := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
`, q.Get("host"), q.Get("port"), u.User.Username(), port, mode)
	q.Set("host", "127.0.0.1")
	q.Set("port", port)
	u.RawQuery = q.Encode()
	p, err := startPrivate("nobody", pgBouncerScript, []string{pooler, settings}, func() error { return psql(u, "SELECT 1") })
	if err != nil {
		missing(t, "pgbouncer", err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("%v\n%s", err, p.said())
		}
	})
	return u.String()
}
