package main

import (
	"context"
	databasesql "database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/sqlitestore"
)

// Each script is an operator at a terminal, in an empty folder, with the database
// v.db. Besides what testscript has there are
//
//	exits STATUS COMMAND...  runs it, and it has to exit with that status
//	signin PERSON            makes a session, whose handle is then $SESSION
//	signin-ahead PERSON      the same, by a clock that is an hour ahead
//	signin-nasty PERSON      the same, with a user agent that tries to write lines of its own
//	sql STATEMENT...         does something to the database behind everybody's back
//	readenv NAME FILE        sets a variable to what the file holds
//	postgresql               makes a database there, whose address is then $POSTGRESQL
//	receiver                 takes what the webhook sends; receiver.toml are the settings for it
//	damage FILE              changes bytes in its middle
//	journal-delete FILE      takes a database out of WAL mode
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VEDFOLNIR_DATABASE", "sqlite:v.db")
			e.Setenv("TZ", "UTC")
			e.Setenv("OVERHEARD", os.Getenv("OVERHEARD"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "damage": damage, "sql": sql, "readenv": readenv, "journal-delete": journalDelete,
			"signin-nasty": func(ts *testscript.TestScript, _ bool, args []string) {
				signinWith(ts, args[0], nasty, time.Now)
			},
			"postgresql": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Setenv("POSTGRESQL", testservers.PostgreSQL(t))
			},
			"receiver": func(ts *testscript.TestScript, _ bool, _ []string) {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
				ts.Defer(server.Close)
				settings := "origin = 'http://localhost:8080'\nwebhook_url = '" + server.URL + "'\nwebhook_secrets = 'webhook.secrets'\nwebhook_network = 'loopback'\n"
				ts.Check(os.WriteFile(ts.MkAbs("receiver.toml"), []byte(settings), 0o600))
			},
			"signin": func(ts *testscript.TestScript, _ bool, args []string) { signin(ts, args[0], time.Now) },
			"signin-ahead": func(ts *testscript.TestScript, _ bool, args []string) {
				signin(ts, args[0], func() time.Time { return time.Now().Add(time.Hour) })
			},
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

func readenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

func sql(ts *testscript.TestScript, _ bool, args []string) {
	store, err := sqlitestore.Open(context.Background(), ts.MkAbs("v.db"), sqlitestore.Config{})
	ts.Check(err)
	defer store.Close()
	for _, statement := range args {
		_, err = store.DB().ExecContext(context.Background(), statement)
		ts.Check(err)
	}
}

// nasty holds what begins a line or commands a terminal.
const nasty = "one\r\n{\"seq\":99,\"action\":\"forged\"}\n2025-01-11 10:00:00  forged\u2028forged\u2029forged\u0085forged\x1b[2J\x1b]0;forged\a\u009b2Jend"

func signin(ts *testscript.TestScript, who string, now func() time.Time) {
	signinWith(ts, who, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", now)
}

func signinWith(ts *testscript.TestScript, who, agent string, now func() time.Time) {
	ctx := context.Background()
	store, err := sqlitestore.Open(ctx, ts.MkAbs("v.db"), sqlitestore.Config{Audit: true})
	ts.Check(err)
	defer store.Close()
	people, err := directory.Open(ctx, store.DB(), directory.Config{AllowDemoPeople: true})
	ts.Check(err)
	defer people.Close()
	sessions, err := session.New(store, people, session.Config{Now: now, Security: session.Security{NoAuditLogging: true}})
	ts.Check(err)
	defer sessions.Close()
	person, err := people.Lookup(ctx, who)
	ts.Check(err)
	c, _, err := sessions.Create(ctx, session.CreateRequest{UserID: person.ID, Client: session.Client{IPAddress: "192.0.2.7", UserAgent: agent}})
	ts.Check(err)
	ts.Setenv("SESSION", c.Session.ID.String())
}

func journalDelete(ts *testscript.TestScript, _ bool, args []string) {
	db, err := databasesql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec("PRAGMA journal_mode = DELETE")
	ts.Check(err)
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	for i := 4096; i < len(content); i += 512 {
		content[i] ^= 0x5a
	}
	ts.Check(os.WriteFile(path, content, 0o600))
}
