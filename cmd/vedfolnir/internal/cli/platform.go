package cli

import (
	"errors"
	"fmt"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

type platformCommand struct {
	Add     platformAdd     `cmd:"" help:"Give somebody an account to act as."`
	List    platformList    `cmd:"" help:"List somebody's accounts."`
	Remove  platformRemove  `cmd:"" help:"Take an account away."`
	Default platformDefault `cmd:"" help:"Say with which account new sessions begin."`
}

type platformAdd struct {
	who
	Name     string `arg:"" help:"What they call it: \"My Pixelfed\"."`
	Type     string `required:"" placeholder:"TYPE" help:"pixelfed, mastodon, ..."`
	URL      string `required:"" name:"url" placeholder:"https://..." help:"Where the instance is."`
	Username string `placeholder:"NAME" help:"Their name there. Default: as here."`
	Default  bool   `help:"New sessions begin with it. A first account is the default one anyhow."`
}

func (platformAdd) Help() string {
	return "Example:\n\n  vedfolnir platform add kim \"My Pixelfed\" --type pixelfed --url https://pixelfed.social"
}

func (p platformAdd) Run(c *Call) error {
	return p.do(c, func(d *opened, e directory.Entry) error {
		if p.Username == "" {
			p.Username = e.Username
		}
		id, err := d.people.AddPlatform(c, e.ID, session.Platform{Name: p.Name, Type: p.Type, InstanceURL: p.URL, Username: p.Username, IsDefault: p.Default})
		if err != nil {
			return err
		}
		c.say("%s may act as %q, platform %s.", e.Username, p.Name, id)
		return d.changed(c, e.ID)
	})
}

type platformList struct {
	who
	listing
}

func (platformList) Help() string { return "Example:\n\n  vedfolnir platform list kim" }

func (p platformList) Run(c *Call) error {
	return p.do(c, func(d *opened, e directory.Entry) error {
		platforms, err := d.people.Platforms(c, e.ID)
		if err != nil {
			return err
		}
		shown := make([]platformRow, len(platforms))
		for i, p := range platforms {
			shown[i] = platformRow{p.ID, p.Name, p.Type, p.InstanceURL, p.Username, p.IsDefault}
		}
		return table(c, p.listing, shown, "ID NAME TYPE URL USERNAME DEFAULT", func(r platformRow) []string {
			standard := ""
			if r.IsDefault {
				standard = "default"
			}
			return []string{string(r.ID), r.Name, r.Type, r.InstanceURL, r.Username, standard}
		})
	})
}

// platformRow has the names of the JSON API.
type platformRow struct {
	ID          session.PlatformID `json:"id"`
	Name        string             `json:"name"`
	Type        string             `json:"type"`
	InstanceURL string             `json:"instance_url"`
	Username    string             `json:"username"`
	IsDefault   bool               `json:"is_default"`
}

type platformRemove struct {
	who
	Platform string `arg:"" help:"Its id, as vedfolnir platform list shows it."`
}

func (platformRemove) Help() string {
	return "Sessions that act as it go on without a platform.\n\nExample:\n\n  vedfolnir platform remove kim 12"
}

func (p platformRemove) Run(c *Call) error {
	return p.do(c, func(d *opened, e directory.Entry) error {
		if err := noSuchPlatform(d.people.RemovePlatform(c, e.ID, session.PlatformID(p.Platform)), e, p.Platform); err != nil {
			return err
		}
		c.say("%s no longer has platform %s.", e.Username, p.Platform)
		return d.changed(c, e.ID)
	})
}

type platformDefault struct {
	who
	Platform string `arg:"" help:"Its id, as vedfolnir platform list shows it."`
}

func (platformDefault) Help() string { return "Example:\n\n  vedfolnir platform default kim 12" }

func (p platformDefault) Run(c *Call) error {
	return p.do(c, func(d *opened, e directory.Entry) error {
		if err := noSuchPlatform(d.people.SetDefaultPlatform(c, e.ID, session.PlatformID(p.Platform)), e, p.Platform); err != nil {
			return err
		}
		c.say("%s's new sessions begin with platform %s.", e.Username, p.Platform)
		return d.changed(c, e.ID)
	})
}

func noSuchPlatform(err error, e directory.Entry, platform string) error {
	if errors.Is(err, session.ErrPlatform) {
		return hint(nothing("%s has no platform %s", e.Username, platform), "vedfolnir platform list %s shows their ids", e.Username)
	}
	if err != nil {
		return fmt.Errorf("platform %s: %w", platform, err)
	}
	return nil
}
