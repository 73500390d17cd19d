package cli

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/server"
)

type serveCommand struct{ config.Serve }

func (serveCommand) Help() string {
	return `Examples:

  vedfolnir serve --demo
  vedfolnir serve --database sqlite:/var/lib/vedfolnir/vedfolnir.db --trusted-proxy 127.0.0.1`
}

func (serveCommand) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	log, level := c.logger()
	for _, w := range c.settings.Warnings {
		log.Warn(w)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer close(signals)
	defer signal.Stop(signals)
	return server.Run(c, c.settings, server.Surroundings{
		Version: c.Version, Log: log, Level: level, Out: c.Stdout, Signals: signals, Again: c.again,
	})
}

// logger writes text for a person at a terminal, and JSON for a machine, from the
// level on that it returns too.
func (c *Call) logger() (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.settings.LogLevel)
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(c.Stderr, options)
	if f, ok := c.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		handler = slog.NewTextHandler(c.Stderr, options)
	}
	log := slog.New(handler)
	slog.SetDefault(log)
	return log, level
}
