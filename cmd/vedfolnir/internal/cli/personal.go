package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/personal"
)

// anybody is named, and may have been removed: then by their id.
func (d *opened) anybody(c *Call, text string) (id session.UserID, name string, err error) {
	e, err := d.person(c, text)
	if err == nil {
		return e.ID, e.Username, nil
	}
	var missing notFound
	if id, ok := directory.ParseID(text); ok && errors.As(err, &missing) {
		return id, "the person " + text, nil
	}
	return "", "", err
}

func (d *opened) gather(c *Call, who string) (personal.Data, session.UserID, string, error) {
	id, name, err := d.anybody(c, who)
	if err != nil {
		return personal.Data{}, id, name, err
	}
	data, err := personal.Gather(c, d.people, d.store, id, time.Now())
	if err == nil && data.Empty() {
		_, err = d.person(c, who)
	}
	return data, id, name, err
}

type userExport struct {
	who
	Output string `short:"o" placeholder:"FILE" help:"Where to write it; nothing may be there yet. Default: standard output."`
}

func (userExport) Help() string {
	return `Profile, platforms, sessions with those that have ended, and the audit's lines, as JSON; no password, token or hash of either. Whoever was removed is named by their id. The person can have the same from their own page.

Example:

  vedfolnir user export kim --output kim.json`
}

func (u userExport) Run(c *Call) error {
	return c.with(func(d *opened) error {
		data, id, _, err := d.gather(c, u.Who)
		if err != nil {
			return err
		}
		to, done, err := c.output(u.Output)
		if err != nil {
			return err
		}
		if data.Person == nil && len(data.Audit) == 0 {
			id = "" // erased: no line is to name them again
		}
		if err := d.note(c, "person_exported", id, ""); err != nil {
			return errors.Join(err, done())
		}
		return errors.Join(writeJSON(to, data), done())
	})
}

// output is a new file, for its owner's eyes only, or standard output.
func (c *Call) output(path string) (to io.Writer, done func() error, err error) {
	if path == "" {
		return c.Stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, hint(fmt.Errorf("there is a file %s already, and it was left alone", path), "give another name")
	}
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

type userErase struct {
	who
	Yes bool `help:"It cannot be taken back: say that you mean it."`
}

func (userErase) Help() string {
	return `The person, their platforms and their sessions go, and open tabs leave. What has to stay is emptied: ended sessions, until they are too old, and the audit's lines, which still verify; they say what happened and when, and not to whom. Backups, exports and logs from before are yours to look after. Whoever was removed is named by their id. If it fails, run it again.

Examples:

  vedfolnir user export kim --output kim.json
  vedfolnir user erase kim --yes`
}

func (u userErase) Run(c *Call) error {
	return c.with(func(d *opened) error {
		_, id, name, err := d.gather(c, u.Who)
		if err != nil {
			return err
		}
		if !u.Yes {
			return hint(misused{fmt.Errorf("this erases %s for good, and nothing was done yet", name)}, "add --yes; vedfolnir user disable %s only locks them out", u.Who)
		}
		erased, err := personal.Erase(c, d.people, d.store, d.sessions, id, operator)
		if err != nil {
			return hint(err, "vedfolnir user erase %s --yes goes on from there", id)
		}
		c.say("%s is erased; emptied: %s and %s.", name, count(erased.Sessions, "session"), count(erased.Lines, "audit line"))
		return nil
	})
}
