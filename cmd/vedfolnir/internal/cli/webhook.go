package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/webhook"
)

type webhookCommands struct {
	Test   webhookTest   `cmd:"" help:"Send the receiver a message that tells nothing, and say what it answers."`
	Secret webhookSecret `cmd:"" help:"Make the file of secrets, or put a new one in front."`
}

type webhookTest struct{}

func (webhookTest) Help() string {
	return `It is of the type safety.test, signed as all are, and sent once, from here. The receiver is the one of the settings: name their file, or set their variables.

Example:

  vedfolnir webhook test --config /etc/vedfolnir/vedfolnir.toml`
}

func (webhookTest) Run(c *Call) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	if c.settings.Webhook.URL == "" {
		return hint(misused{errors.New("the settings name no receiver")}, "set webhook_url in the file of --config, or VEDFOLNIR_WEBHOOK_URL")
	}
	sender := webhook.NewSender(c.settings.Webhook, c.Version)
	defer sender.Close()
	now := time.Now()
	m := webhook.Test(c.settings.Origin, now)
	if err := sender.Send(c, m, now); err != nil {
		return hint(fmt.Errorf("the receiver did not take the message %s: %w", m.ID, err), "see that it runs, and answers with a status of 200 to 299 within ten seconds")
	}
	c.say("The receiver took the message %s.", m.ID)
	return nil
}

type webhookSecret struct {
	File string `arg:"" name:"file" help:"Where the secrets are kept, for --webhook-secrets."`
}

func (webhookSecret) Help() string {
	return `All nodes and the receiver need the same ones. A new one is put in front, and the one that was there before stays behind it: messages are signed under both, so that the receiver can take over the new one when it suits. Restart the servers then; remove the older one from the file when the receiver knows the new one.

Example:

  vedfolnir webhook secret /var/lib/vedfolnir/webhook.secrets`
}

func (w webhookSecret) Run(c *Call) error {
	n, err := config.AddSecret(w.File)
	if err != nil {
		return err
	}
	if n == 1 {
		c.say("%s holds a secret now. Give it to the receiver, and the file to every node.", w.File)
		return nil
	}
	c.say("%s has a new secret in front, and the older one behind it. Give it to the receiver, and the file to every node; restart the servers.", w.File)
	return nil
}
