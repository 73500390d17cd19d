// Package cli is the command line: one file for each noun. What a command does to
// people and sessions it does by the same calls as the server.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

// The exit statuses, as "vedfolnir --help" tells them.
const (
	exitFailed   = 1
	exitMisused  = 2
	exitNotFound = 3
)

type program struct {
	config.Common

	Serve    serveCommand    `cmd:"" help:"Serve sessions."`
	User     userCommands    `cmd:"" help:"Add and look after people."`
	Platform platformCommand `cmd:"" help:"The accounts that a person may act as."`
	Session  sessionCommands `cmd:"" help:"See and end sessions."`
	Config   configCommands  `cmd:"" name:"config" help:"See, check and write settings."`
	Audit    auditCommands   `cmd:"" help:"What happened, and who did it."`
	Keys     keysCommands    `cmd:"" help:"The server's secret keys."`
	Webhook  webhookCommands `cmd:"" help:"What sends people's notices to a program of yours."`
	Doctor   doctorCommand   `cmd:"" help:"Find out what is wrong with the set-up, and how to mend it."`
	Backup   backupCommand   `cmd:"" help:"Copy the database while it is in use, and see that the copy is whole."`
	Import   importCommand   `cmd:"" help:"Move everything from a SQLite file to a PostgreSQL database."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database up to date, as the server does at its start."`
	Version  versionCommand  `cmd:"" help:"Say which version this is."`

	Completion completionCommand `cmd:"" help:"Let the shell complete commands and flags: bash, zsh, fish."`
	Man        manCommand        `cmd:"" help:"Write the manual page."`
}

const description = `A person's session, true in every tab, on every device.

Every flag that is a setting can also be given in the environment, by the name beside it, or in a file (--config): a flag wins over the environment, and that over the file.

Exit status: 0 done; 1 it failed; 2 the command line or a setting is mistaken, and nothing was done; 3 what was named does not exist; 4 doctor found a problem; 5 audit verify found that the audit was changed.`

// Terminal is what a command reads from and writes to.
type Terminal struct {
	Stdin          *os.File
	Stdout, Stderr io.Writer
	Environ        []string
	Version        string
}

// Run does what the arguments say and returns the exit status.
func Run(args []string, t Terminal) int {
	var p program
	exit := -1
	parser := kong.Must(&p,
		kong.Name("vedfolnir"), kong.Description(description), kong.Writers(t.Stdout, t.Stderr),
		kong.Exit(func(code int) { exit = code }), kong.ValueFormatter(helpOf),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	kongcompletion.Register(parser) // answers a shell that asks, and ends the process then
	ctx, err := parser.Parse(args)
	if exit >= 0 { // help was asked for
		return exit
	}
	if err != nil {
		return t.fail(misuse(err, t.Environ))
	}
	background, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(background, stop) // a second Ctrl-C ends it at once
	again := func() (config.Settings, error) { return config.Load(config.Given(ctx), t.Environ) }
	settings, mistakes := again()
	err = ctx.Run(&Call{Context: background, Terminal: t, parser: parser, settings: settings, mistakes: mistakes, again: again})
	if err != nil {
		return t.fail(err)
	}
	return 0
}

// Call is what a command is run with.
type Call struct {
	context.Context
	Terminal
	parser   *kong.Kong
	settings config.Settings
	mistakes error
	again    func() (config.Settings, error) // reads the settings anew
}

// helpOf names a setting's variable beside what it is for.
func helpOf(v *kong.Value) string {
	if v.Flag != nil && config.IsSetting(v.Flag.Name) {
		return v.Help + " ($" + config.Env(v.Flag.Name) + ")"
	}
	return v.Help
}

// misused is a command line that says nothing that can be done.
type misused struct{ error }

// misuse reports what kong refused, together with all else that is wrong.
func misuse(err error, environ []string) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) {
		return misused{err}
	}
	command, _, _ := strings.Cut(parse.Context.Command(), "<") // without its arguments
	help := strings.Join(append([]string{"vedfolnir"}, append(strings.Fields(command), "--help")...), " ")
	if _, more := config.Load(config.Given(parse.Context), environ); more != nil {
		err = config.With(err, more)
	}
	return hint(misused{err}, "%s tells what there is", help)
}

// hinted is an error with a way out of it.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// hint adds the way out.
func hint(err error, text string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(text, args...)}
}

// notFound is what was named and does not exist.
type notFound string

func (n notFound) Error() string { return string(n) }

func nothing(text string, args ...any) error { return notFound(fmt.Sprintf(text, args...)) }

// fail tells what went wrong and how to go on.
func (t Terminal) fail(err error) int {
	var sick unwell
	if errors.As(err, &sick) {
		fmt.Fprintln(t.Stderr, t.red(sick.Error()))
		return exitUnwell
	}
	fmt.Fprintln(t.Stderr, t.red("error:"), err)
	var h *hinted
	if errors.As(err, &h) {
		fmt.Fprintln(t.Stderr, "hint:", h.hint)
	}
	var setting *session.ConfigError
	var settings *config.Error
	var usage misused
	var missing notFound
	var changed tampered
	switch {
	case errors.As(err, &changed):
		return exitTampered
	case errors.As(err, &settings), errors.As(err, &setting), errors.As(err, &usage):
		return exitMisused
	case errors.As(err, &missing):
		return exitNotFound
	}
	return exitFailed
}
