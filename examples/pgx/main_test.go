package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vedfolnir/session/internal/testservers"
	"github.com/vedfolnir/session/sessiontest"
)

func open(t *testing.T) (*sessiontest.Client, *pgxpool.Pool) {
	t.Helper()
	app, pool := newApp(t.Context(), testservers.PostgreSQL(t))
	t.Cleanup(pool.Close)
	return sessiontest.NewClient(t, app).SignIn("alex"), pool
}

func note(text string) url.Values { return url.Values{"note": {text}, "platform_id": {"11"}} }

// kept is what the database has, seen from outside of every request.
func kept(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	rows, _ := pool.Query(t.Context(), "SELECT platform || ': ' || note FROM notes ORDER BY 1")
	notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(notes, ", ")
}

func TestNotesAreKeptWhereTheTabSays(t *testing.T) {
	tab, pool := open(t)
	tab.SwitchPlatform("12") // another tab; this one still shows My Pixelfed
	tab.PostForm("/notes", note("buy film")).Want(303)
	tab.PostForm("/notes", url.Values{"note": {"x"}}).Want(409)
	if got := kept(t, pool); got != "11: buy film" {
		t.Errorf("kept: %s", got)
	}
	if body := tab.Acting("11").Open("/").Want(200).Body; !strings.Contains(body, "<li>buy film</li>") {
		t.Errorf("the page:\n%s", body)
	}
	if body := tab.Open("/").Want(200).Body; strings.Contains(body, "buy film") {
		t.Errorf("the other platform's page:\n%s", body)
	}
}

func TestARefusedNoteIsNotKept(t *testing.T) {
	tab, pool := open(t)
	tab.PostForm("/notes", note("")).Want(422)
	if got := kept(t, pool); got != "" {
		t.Errorf("kept: %s", got)
	}
}

// Only the commit finds that the note is there already.
func TestACommitThatFailsIsNoSuccess(t *testing.T) {
	tab, pool := open(t)
	tab.PostForm("/notes", note("buy film")).Want(303)
	if location := tab.PostForm("/notes", note("buy film")).Want(503).Header.Get("Location"); location != "" {
		t.Errorf("it leads on to %s", location)
	}
	if got := kept(t, pool); got != "11: buy film" {
		t.Errorf("kept: %s", got)
	}
}

func TestNoConnectionIsLeftBehind(t *testing.T) {
	tab, pool := open(t)
	for range 20 {
		tab.PostForm("/notes", note("")).Want(422)
	}
	tab.PostForm("/notes", note("buy film")).Want(303)
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are still in use", n)
	}
}
