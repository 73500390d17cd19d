package main

import (
	"context"
	"crypto/sha256"
	databasesql "database/sql"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/vedfolnir/session/internal/handle"
	"github.com/vedfolnir/session/internal/migration"
	"github.com/vedfolnir/session/internal/testservers"
)

// An oldDatabase was left by the first version of the program. Its sessions' and its
// people's tables are brought up to date one after the other, each at once.
type oldDatabase struct {
	driver, dsn string
	dialect     migration.Dialect
	migrations  [2]string // folders
	blob        string    // how bytes are written
	describe    string    // says what tables there are whose names begin with %s
	onlyPeople  bool      // are old: the tables of sessions are up to date
}

// is is what the tables of sessions and of people are.
func (d oldDatabase) is(t *testing.T) (parts [2]string) {
	t.Helper()
	db := d.open(t)
	defer db.Close()
	for i, name := range []string{"session", "directory"} {
		if err := db.QueryRow(fmt.Sprintf(d.describe, name)).Scan(&parts[i]); err != nil {
			t.Fatal(err)
		}
	}
	return parts
}

func (d oldDatabase) open(t *testing.T) *databasesql.DB {
	t.Helper()
	db, err := databasesql.Open(d.driver, d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// make makes it, with a person who is signed in, and others.
func (d oldDatabase) make(t *testing.T, others string) (token string) {
	t.Helper()
	db := d.open(t)
	defer db.Close()
	up := func(part int, files fs.FS) {
		table := []string{"session_migrations", "directory_migrations"}[part]
		if err := (migration.Plan{Files: files, Table: table, Dialect: d.dialect}).Up(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	for part, folder := range d.migrations {
		files, err := fs.Glob(os.DirFS(folder), "00001_*.sql")
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		text, err := os.ReadFile(filepath.Join(folder, files[0]))
		if err != nil {
			t.Fatal(err)
		}
		up(part, fstest.MapFS{files[0]: {Data: text}})
	}
	id, err := handle.New("7")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := handle.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(b []byte) string { return fmt.Sprintf(d.blob, b) }
	hash := sha256.Sum256(secret[:])
	statements := fmt.Sprintf(`
		INSERT INTO directory_people (id, username, username_key, email, email_key, password, role, demo)
		VALUES (7, 'kim', 'kim', 'kim@example.org', 'kim@example.org', 'none', 'person', false);
		INSERT INTO session_users (id) VALUES ('7');
		INSERT INTO sessions (id, user_id, platform_id, version, created_at, renewed_at, authenticated_at, last_activity,
			user_agent, ip_address, language, secret, previous, fingerprint, switches)
		VALUES (%s, '7', '', 1, %[2]d, %[2]d, %[2]d, %[2]d, 'Firefox', '192.0.2.1', '', %s, %[3]s, '', 0);`,
		bytes(id[:]), time.Now().UnixMicro(), bytes(hash[:])) + others
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if d.onlyPeople {
		up(0, os.DirFS(d.migrations[0]))
	}
	return handle.Token(id, secret)
}

// killed has the program migrate, again and again, until it is not killed any more: how
// kills the nth, each later than the one before, or returns false once that has ended.
// Before each is what has to be done.
func (d oldDatabase) killed(t *testing.T, folder, database string, before func(), how func(n int, c *exec.Cmd, ended <-chan struct{}) bool) {
	t.Helper()
	if out, err := command(t, folder, nil, "keys", "make", "--keys=keys").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	old := d.is(t)
	var found [][2]string
	for n, whole := 0, false; !whole; n++ {
		before()
		c := command(t, folder, nil, "migrate", "--database="+database, "--keys=keys")
		said := new(output)
		c.Stdout, c.Stderr = said, said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		var err error
		go func() {
			err = c.Wait()
			close(ended)
		}()
		killed := how(n, c, ended)
		<-ended
		switch {
		case killed: // or it has ended at that moment
			found = append(found, d.is(t))
		case err != nil:
			t.Fatalf("after %d that were killed: %v: %s", n, err, said)
		default:
			whole = true
		}
	}
	after := d.is(t)
	if !slices.Contains(found, old) || after[1] == old[1] {
		t.Fatalf("of %d that were killed all had changed something, or the last one nothing", len(found))
	}
	for i, state := range found {
		for part := range state {
			if state[part] != old[part] && state[part] != after[part] {
				t.Errorf("killed for the %dth time it left\n%s\nwhich is neither the old\n%s\nnor the new\n%s", i+1, state[part], old[part], after[part])
			}
		}
	}
	t.Logf("killed %d times", len(found))
}

// serves starts the server on what is there, and has the session from before go on.
func serves(t *testing.T, folder, database, token string) {
	t.Helper()
	p := launch(t, folder, nil, "--database="+database, "--keys=keys")
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/api/session_state", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "vedfolnir", Value: token})
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 200 {
		t.Errorf("the session from before is answered %d", w.StatusCode)
	}
	p.end(syscall.SIGTERM)
}

// kill returns false if it has ended.
func kill(c *exec.Cmd) bool { return c.Process.Kill() == nil }

// Migrations of a file are killed as soon as their write-ahead log has come to a size:
// there are enough sessions, or people, that more is changed than SQLite keeps in memory.
// Each begins with the old file, for one that is killed late has changed it.
func TestAKilledMigrationOfAFileChangesNothing(t *testing.T) {
	t.Parallel()
	const people = `
		INSERT INTO directory_people (id, username, username_key, email, email_key, password, role, demo)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT (1 << 50) + i, i, i, i, i, '', 'person', 0 FROM n;`
	for what, others := range map[string]string{
		"people": fmt.Sprintf(people, 120_000),
		"sessions": fmt.Sprintf(people, 8_000) + `
			INSERT INTO sessions SELECT randomblob(16), user_id, platform_id, version, created_at, renewed_at, authenticated_at, last_activity, 1, '', '',
				user_agent, ip_address, language, secret, previous, NULL, fingerprint, NULL, 0 FROM sessions, directory_people WHERE username <> 'kim';`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := filepath.Join(folder, "v.db")
			d := oldDatabase{
				driver: "sqlite", dsn: path, dialect: migration.SQLite, blob: "x'%x'",
				migrations: [2]string{"../../sqlitestore/migrations", "internal/directory/migrations/sqlite"},
				describe:   `SELECT group_concat(name || ': ' || sql, char(10)) FROM (SELECT * FROM sqlite_schema WHERE tbl_name LIKE '%s%%' ORDER BY name)`,
				onlyPeople: what == "people",
			}
			token := d.make(t, others)
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			restore := func() {
				_ = os.Remove(path + "-wal") // there may be none
				_ = os.Remove(path + "-shm")
				if err := os.WriteFile(path, old, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d.killed(t, folder, "sqlite:"+path, restore, func(n int, c *exec.Cmd, ended <-chan struct{}) bool {
				for {
					select {
					case <-ended:
						return false
					case <-time.After(time.Millisecond):
					}
					// To raise the epoch takes less, in a transaction of its own.
					if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > int64(64_000+n<<19) {
						return kill(c)
					}
				}
			})
			serves(t, folder, "sqlite:"+path, token)
		})
	}
}

// Migrations of PostgreSQL are stopped at a statement by a lock, and killed there.
func TestAKilledMigrationOfPostgreSQLChangesNothing(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"people", "sessions"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			killedOnPostgreSQL(t, what == "people")
		})
	}
}

func killedOnPostgreSQL(t *testing.T, onlyPeople bool) {
	folder := t.TempDir()
	address := testservers.PostgreSQL(t)
	d := oldDatabase{
		driver: "pgx", dsn: address, dialect: migration.PostgreSQL, blob: `'\x%x'`,
		migrations: [2]string{"../../pgstore/migrations", "internal/directory/migrations/postgres"},
		describe: `SELECT string_agg(line, chr(10) ORDER BY line) FROM (
			SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE '%[1]s%%'
			UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE '%[1]s%%') AS part (line)`,
		onlyPeople: onlyPeople,
	}
	token := d.make(t, `
		CREATE SCHEMA stop;
		CREATE SEQUENCE stop.statements;
		CREATE TABLE stop.at AS SELECT 1 AS statement;
		CREATE FUNCTION stop.here() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('stop.statements') = (SELECT statement FROM stop.at) THEN PERFORM pg_advisory_xact_lock(1); END IF;
		END $$;
		CREATE EVENT TRIGGER stop_here ON ddl_command_end EXECUTE FUNCTION stop.here();`)
	operator, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close(context.WithoutCancel(t.Context()))
	do := func(statement string) {
		t.Helper()
		if _, err := operator.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(statement string) (yes bool) {
		t.Helper()
		if err := operator.QueryRow(t.Context(), statement).Scan(&yes); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	d.killed(t, folder, address, func() {}, func(n int, c *exec.Cmd, ended <-chan struct{}) bool {
		do(fmt.Sprintf(`UPDATE stop.at SET statement = %d; SELECT setval('stop.statements', 1, false), pg_advisory_lock(1)`, 1+3*n))
		defer func() {
			do(`SELECT pg_advisory_unlock(1)`)
			for !ask(`SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`) {
				time.Sleep(time.Millisecond)
			}
		}()
		for !ask(`SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) {
			select {
			case <-ended:
				return false
			case <-time.After(time.Millisecond):
			}
		}
		return kill(c)
	})
	serves(t, folder, address, token)
}
