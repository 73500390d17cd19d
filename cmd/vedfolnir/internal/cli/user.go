package cli

import (
	"errors"
	"fmt"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

type userCommands struct {
	Add     userAdd     `cmd:"" help:"Add a person."`
	List    userList    `cmd:"" help:"List everybody."`
	Disable userDisable `cmd:"" help:"End somebody's sessions and let them in no more."`
	Enable  userEnable  `cmd:"" help:"Let somebody in again."`
	Passwd  userPasswd  `cmd:"" help:"Give somebody a new password, and end their sessions."`
	Role    userRole    `cmd:"" help:"Say what somebody may do."`
	Remove  userRemove  `cmd:"" help:"Remove a person, their platforms and their sessions."`

	Passkeys      userPasskeys      `cmd:"" help:"List somebody's passkeys."`
	RemovePasskey userRemovePasskey `cmd:"" help:"Remove one of somebody's passkeys, and end their sessions."`

	Export userExport `cmd:"" help:"Write all that is stored about a person, for them to have."`
	Erase  userErase  `cmd:"" help:"Remove a person, and all that is personal from what has to stay."`
}

// who is named by a command.
type who struct {
	Who string `arg:"" name:"person" help:"Name, e-mail address or id."`
}

// do something to the person.
func (w who) do(c *Call, what func(*opened, directory.Entry) error) error {
	return c.with(func(d *opened) error {
		e, err := d.person(c, w.Who)
		if err != nil {
			return err
		}
		return what(d, e)
	})
}

type userAdd struct {
	Name  string `arg:"" help:"What they sign in as: letters, digits, dots, hyphens and underscores."`
	Email string `required:"" placeholder:"ADDRESS" help:"Their e-mail address; they may sign in by it too."`
	Role  string `enum:"person,admin" default:"person" help:"person or admin. Default: ${default}."`
	passwordInput
}

func (userAdd) Help() string {
	return `The password has at least 15 characters, of any kind, and is not among those that are guessed first.

Examples:

  vedfolnir user add kim --email kim@example.org
  vedfolnir user add root --email root@example.org --role admin --password-stdin < password.txt`
}

func (u userAdd) Run(c *Call) error {
	add := func(d *opened) error {
		password, err := u.read(c)
		if err != nil {
			return err
		}
		id, err := d.people.Add(c, directory.Newcomer{Username: u.Name, Email: u.Email, Password: password, Role: directory.Role(u.Role)})
		if errors.Is(err, directory.ErrTaken) {
			return hint(fmt.Errorf("somebody is called %s or has the address %s already", u.Name, u.Email), "vedfolnir user list shows who there is")
		}
		if err != nil {
			return err
		}
		c.say("Added %s with the id %s. vedfolnir platform add %s gives them an account to act as.", u.Name, id, u.Name)
		return nil
	}
	if where := c.settings.Database; where.Stays() && c.mistakes == nil {
		return c.withNew(where, add) // the first person may come before the first start
	}
	return c.with(add)
}

type userList struct{ listing }

func (userList) Help() string { return "Example:\n\n  vedfolnir user list --json" }

func (u userList) Run(c *Call) error {
	return c.with(func(d *opened) error {
		people, err := d.people.Everybody(c)
		if err != nil {
			return err
		}
		return table(c, u.listing, people, "ID NAME EMAIL ROLE PLATFORMS STATE", func(e directory.Entry) []string {
			return []string{string(e.ID), e.Username, e.Email, string(e.Role), fmt.Sprint(e.Platforms), e.State()}
		})
	})
}

type userDisable struct{ who }

func (userDisable) Help() string { return "Example:\n\n  vedfolnir user disable kim" }

func (u userDisable) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		if err := d.people.Disable(c, e.ID); err != nil {
			return err
		}
		n, err := d.sessions.RevokeUser(c, e.ID, session.UserDisabled, operator)
		if err != nil {
			return hint(err, "%s cannot sign in any more; run it again to end the sessions too", e.Username)
		}
		c.say("%s cannot sign in any more; ended: %s.", e.Username, count(n, "session"))
		return nil
	})
}

type userEnable struct{ who }

func (userEnable) Help() string { return "Example:\n\n  vedfolnir user enable kim" }

func (u userEnable) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		if err := d.people.Enable(c, e.ID); err != nil {
			return err
		}
		c.say("%s can sign in.", e.Username)
		return d.changed(c, e.ID)
	})
}

type userPasswd struct {
	who
	passwordInput
}

func (userPasswd) Help() string {
	return "Examples:\n\n  vedfolnir user passwd kim\n  vedfolnir user passwd kim --password-stdin < password.txt"
}

func (u userPasswd) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		password, err := u.read(c)
		if err != nil {
			return err
		}
		if err := d.people.SetPassword(c, e.ID, password, byOperator(notice.PasswordChanged)); err != nil {
			return err
		}
		n, err := d.sessions.RevokeUser(c, e.ID, session.CredentialChanged, operator)
		if err != nil {
			return hint(err, "the password is changed; vedfolnir session revoke --user %s ends the sessions", e.Username)
		}
		c.say("%s has a new password; ended: %s.", e.Username, count(n, "session"))
		return nil
	})
}

type userRole struct {
	who
	Role string `arg:"" enum:"person,admin" help:"person or admin."`
}

func (userRole) Help() string { return "Example:\n\n  vedfolnir user role kim admin" }

func (u userRole) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		if err := d.people.SetRole(c, e.ID, directory.Role(u.Role)); err != nil {
			return err
		}
		c.say("%s is now: %s.", e.Username, u.Role)
		return d.changed(c, e.ID)
	})
}

type userRemove struct{ who }

func (userRemove) Help() string {
	return "The id is never used again. Their ended sessions and the audit keep what they know until it is too old: vedfolnir user erase empties those too. To keep a person and only lock them out, disable them.\n\nExample:\n\n  vedfolnir user remove kim"
}

func (u userRemove) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		if err := d.people.Disable(c, e.ID); err != nil { // nobody comes in meanwhile
			return err
		}
		n, err := d.sessions.RevokeUser(c, e.ID, session.UserDisabled, operator)
		if err != nil {
			return hint(err, "%s cannot sign in any more; run it again to remove them", e.Username)
		}
		if err := d.people.Remove(c, e.ID); err != nil {
			return err
		}
		c.say("%s is removed; ended: %s.", e.Username, count(n, "session"))
		return nil
	})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
