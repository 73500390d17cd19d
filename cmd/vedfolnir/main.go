// Command vedfolnir serves sessions: sign-in, the JSON API, live updates for
// every tab, and pages for people.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/server"
)

// The program's exit codes.
const (
	exitFailed        = 1
	exitConfiguration = 2
)

type commands struct {
	Serve   config.Serve `cmd:"" help:"Serve sessions. The SESSION_ variables of the environment set time-outs and limits."`
	Version struct{}     `cmd:"" help:"Say which version this is."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var c commands
	parser := kong.Must(&c, kong.Name("vedfolnir"), kong.Description("A person's session, true in every tab, on every device."), kong.UsageOnError())
	command, err := parser.Parse(args)
	if err != nil {
		return misused(err, &c)
	}
	if command.Command() == "version" {
		fmt.Println("vedfolnir", version())
		return 0
	}
	settings, err := c.Serve.Settings(os.Environ())
	if err != nil {
		return fail(exitConfiguration, err)
	}
	return serve(settings)
}

// misused reports what kong refused, together with all else that is wrong.
func misused(err error, c *commands) int {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context.Command() != "serve" {
		return fail(exitConfiguration, fmt.Errorf("%w (vedfolnir --help tells more)", err))
	}
	// What was understood before the mistake is checked too. That these fail is
	// what is being reported.
	_ = errors.Join(parse.Context.Reset(), parse.Context.Resolve())
	_, _ = parse.Context.Apply()
	_, more := c.Serve.Settings(os.Environ())
	return fail(exitConfiguration, config.With(err, more))
}

func serve(s config.Settings) int {
	log := logger(os.Stderr, s.LogLevel)
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	if err := server.Run(ctx, s, version(), log, os.Stdout); err != nil {
		var mistake *session.ConfigError
		if errors.As(err, &mistake) {
			return fail(exitConfiguration, err)
		}
		return fail(exitFailed, err)
	}
	return 0
}

// logger writes text for a person at a terminal, and JSON for a machine.
func logger(out *os.File, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewJSONHandler(out, options)
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		handler = slog.NewTextHandler(out, options)
	}
	log := slog.New(handler)
	slog.SetDefault(log)
	return log
}

func fail(code int, err error) int {
	fmt.Fprintln(os.Stderr, "vedfolnir:", err)
	return code
}

// version is the module's, or the commit that was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "built from " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}
