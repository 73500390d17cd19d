package cli

import (
	"errors"
	"fmt"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

type configCommands struct {
	Show     configShow     `cmd:"" help:"Show every setting, its value, and where it comes from."`
	Check    configCheck    `cmd:"" help:"Say what is wrong with the settings; start nothing."`
	Template configTemplate `cmd:"" help:"Write a file of settings that changes nothing, with every setting explained."`
}

type configShow struct {
	config.Serve
	listing
}

func (configShow) Help() string {
	return "Settings hold no secret: keys lie in a file of their own.\n\nExample:\n\n  vedfolnir config show --config /etc/vedfolnir/vedfolnir.toml"
}

func (s configShow) Run(c *Call) error {
	err := table(c, s.listing, shown(c.settings.Values), "SETTING VALUE SOURCE", func(v settingRow) []string {
		return []string{v.Setting, v.Value, v.Source}
	})
	return errors.Join(err, c.mistakes)
}

type settingRow struct {
	Setting  string `json:"setting"`
	Value    string `json:"value"`
	Default  string `json:"default"`
	Source   string `json:"source"`
	Variable string `json:"variable"`
	Flag     string `json:"flag"` // without its hyphens; empty: it has none
	Help     string `json:"help"`
}

func shown(values []config.Value) []settingRow {
	rows := make([]settingRow, len(values))
	for i, v := range values {
		rows[i] = settingRow{v.Key, v.Text, v.Default, v.Source, v.Env, v.Flag, v.Help}
	}
	return rows
}

type configCheck struct{ config.Serve }

func (configCheck) Help() string {
	return "It exits with 2 if there is a mistake; a server with these settings would not start then.\n\nExample:\n\n  vedfolnir config check --config /etc/vedfolnir/vedfolnir.toml"
}

func (configCheck) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	for _, w := range c.settings.Warnings {
		fmt.Fprintln(c.Stderr, "warning:", w)
	}
	c.say("The settings are good.")
	return nil
}

type configTemplate struct{}

func (configTemplate) Help() string {
	return "Example:\n\n  vedfolnir config template > /etc/vedfolnir/vedfolnir.toml"
}

func (configTemplate) Run(c *Call) error {
	_, err := fmt.Fprint(c.Stdout, config.Template())
	return err
}
