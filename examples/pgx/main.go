// Command pgx is a small app on PostgreSQL: each platform of a person has notes, and
// each request one transaction of pgx's own.
package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/dbscope"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

var people = map[string]session.Person{
	"alex": {User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "11", Name: "My Pixelfed", IsDefault: true}, {ID: "12", Name: "My Mastodon"}}},
	"sam":  {User: session.User{ID: "2", Username: "sam"}},
}

func login(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	if p, ok := people[c.Username]; ok && c.Password == "vedfolnir-demo" {
		return session.CreateRequest{UserID: p.User.ID}, nil
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

const schema = `CREATE TABLE IF NOT EXISTS notes (platform text, note text, UNIQUE (platform, note) DEFERRABLE INITIALLY DEFERRED)`

func newApp(ctx context.Context, database string) (http.Handler, *pgxpool.Pool) {
	pool, err := pgxpool.New(ctx, database)
	if err == nil {
		_, err = pool.Exec(ctx, schema)
	}
	m, mistake := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login})
	if err := errors.Join(err, mistake, mistakes); err != nil {
		log.Fatal(err)
	}
	scope := &dbscope.Scope[pgx.Tx]{Begin: pool.Begin, Commit: pgx.Tx.Commit, Rollback: pgx.Tx.Rollback}
	show := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r.Context())
		rows, _ := pool.Query(r.Context(), "SELECT note FROM notes WHERE platform = $1 ORDER BY note", s.Platform().ID)
		notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			h.Error(w, r, err)
			return
		}
		page.Execute(w, map[string]any{"Head": h.Head(w, r), "Token": h.CSRFToken(w, r), "Session": s, "Notes": notes})
	}
	keep := func(w http.ResponseWriter, r *http.Request) {
		tx, err := scope.Tx(r.Context())
		if err == nil {
			_, err = tx.Exec(r.Context(), "INSERT INTO notes VALUES ($1, $2)", session.FromContext(r.Context()).Platform().ID, r.PostFormValue("note"))
		}
		if err != nil {
			h.Error(w, r, err)
			return
		}
		if r.PostFormValue("note") == "" { // the answer undoes what was done
			http.Error(w, "An empty note is none.", http.StatusUnprocessableEntity)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther) // commits first
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", show)
	mux.Handle("GET /{$}", h.RequireSession(http.HandlerFunc(show)))
	mux.Handle("POST /notes", h.RequireStatedPlatform(scope.Wrap(http.HandlerFunc(keep))))
	return h.Wrap(mux), pool
}

func main() {
	app, pool := newApp(context.Background(), os.Getenv("DATABASE_URL")) // empty: PGHOST and its kin
	defer pool.Close()
	log.Print(http.ListenAndServe("127.0.0.1:8080", app))
}
