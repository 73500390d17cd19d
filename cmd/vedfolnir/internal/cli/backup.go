package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
)

type backupCommand struct {
	File string `arg:"" name:"file" help:"Where to write the copy; nothing may be there yet."`
}

func (backupCommand) Help() string {
	return `The server may go on meanwhile: the copy is of one moment. It is read as a whole before it gets its name. It opens no session, but it holds names, addresses and password hashes: keep it as carefully as the database, and the keys file with it.

A PostgreSQL database is copied by pg_dump, or by whatever its server is backed up with; the epoch rises when such a copy is restored, too.

To restore it, stop the server and put the copy in the database's place. Everyone who was signed in then is signed in again.

Example:

  vedfolnir backup /var/backups/vedfolnir-$(date +%F).db`
}

func (b backupCommand) Run(c *Call) error {
	return c.with(func(d *opened) error {
		copier, ok := d.store.(interface {
			Backup(ctx context.Context, path string) error
		})
		if !ok {
			return hint(errors.New("a PostgreSQL database is copied by its own tools, and nothing was done"), "pg_dump --format=custom --file=%s '%s'", b.File, c.settings.Database)
		}
		err := copier.Backup(c, b.File)
		if errors.Is(err, os.ErrExist) {
			return hint(fmt.Errorf("there is a file %s already, and it was left alone", b.File), "give another name")
		}
		if err != nil {
			return err
		}
		if err := d.note(c, "backup_made", "", ""); err != nil {
			return err
		}
		info, err := os.Stat(b.File)
		if err != nil {
			return err
		}
		c.say("%s holds a copy of %s, %d kB, read and found whole.", b.File, c.settings.Database.Path, (info.Size()+1023)/1024)
		if c.settings.KeyFile != "" && len(c.settings.Keys) > 0 {
			c.say("Keep %s with it.", c.settings.KeyFile)
		}
		return nil
	})
}
