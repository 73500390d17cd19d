package cli

import (
	"log/slog"
	"os"

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
	log := c.logger()
	for _, w := range c.settings.Warnings {
		log.Warn(w)
	}
	return server.Run(c, c.settings, c.Version, log, c.Stdout)
}

// logger writes text for a person at a terminal, and JSON for a machine.
func (c *Call) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.settings.LogLevel}
	var handler slog.Handler = slog.NewJSONHandler(c.Stderr, options)
	if f, ok := c.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		handler = slog.NewTextHandler(c.Stderr, options)
	}
	log := slog.New(handler)
	slog.SetDefault(log)
	return log
}
