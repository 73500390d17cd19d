package main

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/sqlitestore"
)

// Each script is an operator at a terminal, in an empty folder, with the database
// v.db. Besides what testscript has there are
//
//	exits STATUS COMMAND...  runs it, and it has to exit with that status
//	signin PERSON            makes a session, whose handle is then $SESSION
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("VEDFOLNIR_DATABASE", "sqlite:v.db")
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "signin": signin},
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

func signin(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	store, err := sqlitestore.Open(ctx, ts.MkAbs("v.db"), sqlitestore.Config{Audit: true})
	ts.Check(err)
	defer store.Close()
	people, err := directory.Open(ctx, store.DB(), directory.Config{AllowDemoPeople: true})
	ts.Check(err)
	defer people.Close()
	sessions, err := session.New(store, people, session.Config{Security: session.Security{NoAuditLogging: true}})
	ts.Check(err)
	defer sessions.Close()
	person, err := people.Lookup(ctx, args[0])
	ts.Check(err)
	c, _, err := sessions.Create(ctx, session.CreateRequest{UserID: person.ID, Client: session.Client{IPAddress: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}})
	ts.Check(err)
	ts.Setenv("SESSION", c.Session.ID.String())
}
