// Command app is a small real application on the library: a queue of pictures that
// wait for a caption, one queue for each platform of a person. People, pictures
// and sessions share one SQLite file.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/dbscope"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sqlitestore"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	database := flag.String("database", "captions.db", "SQLite file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *database); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, database string) error {
	a, err := open(ctx, database)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	go a.publishEvery(ctx, 5*time.Second)
	context.AfterFunc(ctx, func() {
		a.manager.Drain() // streams would keep the server from finishing
		patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(patience)
	})
	log.Printf("http://%s/ (alex, password %s)", addr, demoPassword)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, a.close())
	}
	return a.close()
}

// app holds what the handlers and the background work need.
type app struct {
	store    *sqlitestore.Store
	manager  *session.Manager
	sessions *sessionhttp.Handler
	people   people
	scope    *dbscope.Scope[tx]
}

func open(ctx context.Context, database string) (a *app, err error) {
	a = &app{}
	if a.store, err = sqlitestore.Open(ctx, database, sqlitestore.Config{}); err != nil {
		return nil, err
	}
	a.people, a.scope = people{a.store.DB()}, dbscope.SQL(a.store.DB(), nil)
	if err := a.people.prepare(ctx); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	if a.manager, err = session.New(a.store, a.people, session.Config{}); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	a.sessions, err = sessionhttp.New(a.manager, sessionhttp.Config{Login: a.login})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *app) close() error { return errors.Join(a.manager.Close(), a.store.Close()) }

// handler says of each route what it needs of the session.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", a.signInPage)
	mux.Handle("GET /{$}", a.sessions.RequirePlatform(http.HandlerFunc(a.queuePage)))
	mux.Handle("GET /api/queue", a.sessions.RequirePlatform(http.HandlerFunc(a.queueJSON)))
	// It writes in the platform's name: the form says which platform the tab shows.
	mux.Handle("POST /captions/{id}", a.sessions.RequireStatedPlatform(a.scope.Wrap(http.HandlerFunc(a.caption))))
	return a.sessions.Wrap(mux)
}
