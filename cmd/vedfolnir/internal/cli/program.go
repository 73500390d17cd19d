package cli

import (
	"errors"
	"fmt"

	mangokong "github.com/alecthomas/mango-kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/muesli/roff"
)

type migrateCommand struct{}

func (migrateCommand) Help() string {
	return "The server does this by itself when it starts; here it can be done before. A database that is not there is made.\n\nExample:\n\n  vedfolnir migrate --database sqlite:/var/lib/vedfolnir/vedfolnir.db"
}

func (migrateCommand) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	where := c.settings.Database
	if !where.Stays() {
		return hint(errors.New("there is nothing to bring up to date in memory"), "name a database with --database sqlite:FILE")
	}
	return c.withNew(where, func(*opened) error {
		c.say("The database %s is up to date.", where)
		return nil
	})
}

type versionCommand struct{}

func (versionCommand) Help() string { return "Example:\n\n  vedfolnir version" }

func (versionCommand) Run(c *Call) error {
	c.say("vedfolnir %s", c.Version)
	return nil
}

type completionCommand struct{ kongcompletion.Completion }

func (completionCommand) Help() string {
	return `It says what to put into the shell's own start-up file; without a name it finds out which shell this is.

Examples:

  vedfolnir completion bash
  vedfolnir completion zsh --code >> ~/.zshrc`
}

type manCommand struct{}

func (manCommand) Help() string {
	return "Example:\n\n  vedfolnir man | gzip > /usr/local/share/man/man1/vedfolnir.1.gz"
}

func (manCommand) Run(c *Call) error {
	_, err := fmt.Fprint(c.Stdout, mangokong.NewManPage(1, c.parser.Model).Build(roff.NewDocument()))
	return err
}
