package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10 // bytes; more is answered with 431
	// finishTimeout is how long requests under way may take to finish.
	finishTimeout = 10 * time.Second
)

// Surroundings are what a server runs in.
type Surroundings struct {
	Version string
	Log     *slog.Logger
	Level   *slog.LevelVar // of Log
	Out     io.Writer      // what a person at a terminal should read
	// Settings are read again, by Again, for each signal.
	Signals <-chan os.Signal
	Again   func() (config.Settings, error)
}

// Run serves until ctx is done, and then ends in order.
func Run(ctx context.Context, s config.Settings, around Surroundings) error {
	log, out := around.Log, around.Out
	listener, err := Listen(ctx, s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	var admin net.Listener
	if s.AdminAddr != "" {
		if admin, err = Listen(ctx, s.AdminAddr); err != nil {
			return fmt.Errorf("--admin-addr: %w", err)
		}
		defer admin.Close()
	}
	app, err := New(ctx, s, around.Version, log)
	if err != nil {
		return err
	}
	app.current.level = around.Level
	app.current.take(s)
	go app.reload(s, around.Signals, around.Again)
	warnOfSetUp(s, log)
	background, stop := context.WithCancel(ctx)
	var housework sync.WaitGroup
	if app.sealer != nil {
		housework.Go(func() { app.sealer.Run(background) })
	}
	if app.courier != nil {
		housework.Go(func() { app.courier.Run(background) })
	}
	housework.Go(func() { app.forget(background) })
	app.welcome(out, address(s, listener.Addr()))
	operators := app.serveAdmin(s, admin)
	err = app.serve(ctx, s, listener)
	err = errors.Join(err, operators.Close())
	stop()
	housework.Wait()
	farewell := app.farewell() // before the sessions are gone
	err = errors.Join(err, app.Close())
	if err == nil {
		log.Info("ended")
	}
	io.WriteString(out, farewell)
	return err
}

// serve answers requests until ctx is done.
func (a *App) serve(ctx context.Context, s config.Settings, listener net.Listener) error {
	server := &http.Server{
		Handler: a.handler, TLSConfig: a.current.serverTLS(s.TLS),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if s.TLS != nil {
			failed <- server.ServeTLS(listener, "", "")
			return
		}
		failed <- server.Serve(listener)
	}()
	a.log.Info("serving", "address", listener.Addr().String(), "demo", s.Demo)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return a.drain(server)
}

// drain tells streams to reconnect and lets what is under way finish. What is
// left to store is stored by Close.
func (a *App) drain(server *http.Server) error {
	a.log.Info("ending: no new requests; those under way may finish", "within", finishTimeout.String())
	a.draining.Store(true)
	a.manager.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		a.log.Warn("requests under way were cut off", "error", err)
		return server.Close()
	}
	return nil
}
