package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

type keysCommands struct {
	Make   keysMake   `cmd:"" help:"Make the file, once for all nodes of a database."`
	Rotate keysRotate `cmd:"" help:"Put a new key in front; the old ones stay good."`
}

type keysMake struct{}

func (keysMake) Help() string {
	return `A server with a file as its database makes its keys by itself. All nodes of a PostgreSQL database need the same ones: make them once, and copy the file to every node, for the server's user alone to read. A file that is there already is left alone.

Example:

  vedfolnir keys make --keys /var/lib/vedfolnir/vedfolnir.keys`
}

func (keysMake) Run(c *Call) error {
	path := c.settings.KeyFile
	if path == "" {
		return hint(errors.New("it is not said which file"), "name it with --keys FILE")
	}
	if _, err := os.Stat(path); err == nil {
		return hint(fmt.Errorf("there is a file %s already, and it was left alone", path), "vedfolnir keys rotate puts a new key in front")
	}
	if _, err := config.MakeKeys(path); err != nil {
		return err
	}
	c.say("%s holds a new key. Copy it to every node, and keep it as carefully as the database.", path)
	return nil
}

type keysRotate struct {
	DropOld bool `help:"Keep only the key that was in front, and none before it: a week after the last time."`
}

func (keysRotate) Help() string {
	return `Open pages go on: what was signed with an older key in the file stays good. Servers use the new key when they have been restarted, one after the other, with the same file.

Examples:

  vedfolnir keys rotate
  vedfolnir keys rotate --keys /var/lib/vedfolnir/vedfolnir.keys --drop-old`
}

func (k keysRotate) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	path := c.settings.KeyFile
	if path == "" {
		return hint(errors.New("a database in memory has keys that nobody keeps"), "name the file with --keys FILE, or a database that stays with --database sqlite:FILE")
	}
	n, err := config.RotateKeys(path, k.DropOld)
	if errors.Is(err, os.ErrNotExist) {
		return hint(nothing("there is no keys file %s", path), "name it with --keys FILE; the server makes it at its first start")
	}
	if err != nil {
		return err
	}
	if err := k.note(c); err != nil {
		return hint(fmt.Errorf("the keys are rotated, and the audit does not say so: %w", err), "restart the servers that use it all the same")
	}
	c.say("%s has a new key in front, and %s behind it. Restart the servers that use it.", path, count(n-1, "older one"))
	return nil
}

// note has it in the audit, if there is a database.
func (k keysRotate) note(c *Call) error {
	reason := session.Reason("")
	if k.DropOld {
		reason = "drop_old"
	}
	err := c.with(func(d *opened) error { return d.note(c, "keys_rotated", "", reason) })
	var missing notFound
	if !c.settings.Database.Stays() || errors.As(err, &missing) {
		return nil
	}
	return err
}
