package testservers

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// PostgreSQL returns the address of a database of the test's own, for any driver;
// it is gone after the test. The server is the one that PGHOST or PGPORT names, asked
// as PGUSER, or as postgres; without them it is this process's own, whose connections
// nobody else takes, and which does not wait for its disk; and where none can be
// started, one that runs on loopback.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	server, err := postgreSQL()
	if err != nil {
		missing(t, "postgresql", err)
	}
	name := "vedfolnir_test_" + strings.ToLower(rand.Text())
	if err := psql(server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := psql(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	database := *server
	database.Path = "/" + name
	return database.String()
}

// HastyPostgreSQL is a server of the test's own, with its address, that does not
// wait for its disk (fsync is off).
func HastyPostgreSQL(t testing.TB) string {
	t.Helper()
	server, p, err := startPostgreSQL()
	if err != nil {
		missing(t, "postgresql", err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	return server.String()
}

const copyScript = `
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" --pgdata="$folder/data" --host=127.0.0.1 --port="$3" --username=postgres --checkpoint=fast --no-sync $5
"$2" -D "$folder/data" -p "$4" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off &
cat >/dev/null
kill -INT $!
wait $!
`

// CopyPostgreSQL starts a server from a base backup of one that [HastyPostgreSQL]
// returned: as its standby, or as one that has nothing more to do with it.
func CopyPostgreSQL(t testing.TB, server string, standby bool) string {
	t.Helper()
	const folders = "/usr/lib/postgresql/*/bin"
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	backup, err := program("pg_basebackup", folders)
	if err != nil {
		missing(t, "postgresql", err)
	}
	postgres, err := program("postgres", folders)
	if err != nil {
		missing(t, "postgresql", err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	option := ""
	if standby {
		option = "--write-recovery-conf"
	}
	address := postgreSQLAt("postgres", "127.0.0.1", port)
	args := []string{backup, postgres, u.Query().Get("port"), port, option}
	p, err := startPrivate("postgres", copyScript, args, func() error { return psql(address, "SELECT 1") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	return address.String()
}

// postgreSQL is the server of this process.
var postgreSQL = sync.OnceValues(func() (*url.URL, error) {
	if host, port := os.Getenv("PGHOST"), os.Getenv("PGPORT"); host != "" || port != "" {
		return postgreSQLAt(cmp.Or(os.Getenv("PGUSER"), "postgres"), cmp.Or(host, "127.0.0.1"), cmp.Or(port, "5432")), nil
	}
	server, _, err := startPostgreSQL()
	if err != nil { // without its programs here, there may be one that runs
		if running := postgreSQLAt(cmp.Or(os.Getenv("PGUSER"), "postgres"), "127.0.0.1", "5432"); psql(running, "SELECT 1") == nil {
			return running, nil
		}
	}
	return server, err
})

// postgreSQLAt is the address of a server's own database. The host may be the
// folder of a socket.
func postgreSQLAt(user, host, port string) *url.URL {
	where := url.Values{"host": {host}, "port": {port}, "sslmode": {"disable"}}
	return &url.URL{Scheme: "postgres", User: url.User(user), Path: "/postgres", RawQuery: where.Encode()}
}

const postgreSQLScript = `
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
"$2" -D "$folder/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off &
cat >/dev/null
kill -INT $!
wait $!
`

func startPostgreSQL() (*url.URL, *private, error) {
	const folders = "/usr/lib/postgresql/*/bin"
	initdb, err := program("initdb", folders)
	if err != nil {
		return nil, nil, err
	}
	postgres, err := program("postgres", folders)
	if err != nil {
		return nil, nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	server := postgreSQLAt("postgres", "127.0.0.1", port)
	p, err := startPrivate("postgres", postgreSQLScript, []string{initdb, postgres, port}, func() error { return psql(server, "SELECT 1") })
	return server, p, err
}

func psql(database *url.URL, statement string) error {
	program, err := program("psql", "/usr/lib/postgresql/*/bin")
	if err != nil {
		return err
	}
	said, err := exec.Command(program, "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--command="+statement, database.String()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}
