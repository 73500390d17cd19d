package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/transfer"
)

type importCommand struct {
	File string `arg:"" name:"file" help:"The SQLite file."`
}

func (importCommand) Help() string {
	return `For a server that grows from one machine to several. Stop it first: what is done afterwards stays behind. People, platforms, sessions and the audit with its seals go to the PostgreSQL database that --database names, which has to be empty; the file stays as it is, but for being brought up to date. Whoever is signed in stays signed in, if the nodes are given the same keys file.

Example:

  vedfolnir import /var/lib/vedfolnir/vedfolnir.db --database postgres://vedfolnir@db.internal/vedfolnir --keys /var/lib/vedfolnir/vedfolnir.keys`
}

func (i importCommand) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	if c.settings.Database.URL == "" {
		return hint(misused{errors.New("it is not said whereto")}, "name a PostgreSQL database with --database postgres://USER@HOST/DATABASE")
	}
	if _, err := os.Stat(i.File); err != nil {
		return hint(nothing("there is no file %s", i.File), "give the one that --database named before, without sqlite:")
	}
	return c.withNew(c.settings.Database, func(d *opened) error {
		file := config.Database{Path: i.File}
		from, err := database.Open(c, file, database.Options{})
		if err != nil {
			return err
		}
		defer from.Close()
		people, err := directory.Open(c, from.DB(), directory.Config{}) // brings its tables up to date
		if err != nil {
			return err
		}
		defer people.Close()
		moved, err := transfer.Move(c, from.DB(), d.store.DB())
		if errors.Is(err, transfer.ErrNotEmpty) {
			return hint(err, "name an empty one, or a new schema in it: ...?search_path=NAME")
		}
		if err != nil {
			return fmt.Errorf("nothing was moved: %w", err)
		}
		if err := d.note(c, "imported", "", ""); err != nil {
			return err
		}
		c.say("Moved to %s: %s, %s, %s. %s is not needed any more.", c.settings.Database,
			count(int(moved.People), "person"), count(int(moved.Sessions), "session"), count(int(moved.Lines), "audit line"), i.File)
		return nil
	})
}
