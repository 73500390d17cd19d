package cli

import (
	"encoding/base64"
	"errors"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

type userPasskeys struct {
	who
	listing
}

func (userPasskeys) Help() string { return "Example:\n\n  vedfolnir user passkeys kim" }

// passkeyRow has the names of the JSON API.
type passkeyRow struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Site      string     `json:"site"`
	Synced    bool       `json:"synced"`
	CreatedAt time.Time  `json:"created_at"`
	LastUsed  *time.Time `json:"last_used"` // null: never
}

func passkeyID(p directory.Passkey) string { return base64.RawURLEncoding.EncodeToString(p.ID) }

func (u userPasskeys) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		list, err := d.people.Passkeys(c, e.ID)
		if err != nil {
			return err
		}
		rows := make([]passkeyRow, len(list))
		for i, p := range list {
			rows[i] = passkeyRow{ID: passkeyID(p), Name: p.Name, Site: p.Site, Synced: p.BackedUp, CreatedAt: p.CreatedAt}
			if !p.LastUsed.IsZero() {
				rows[i].LastUsed = &p.LastUsed
			}
		}
		return table(c, u.listing, rows, "ID NAME SITE ADDED USED", func(r passkeyRow) []string {
			used := "never"
			if r.LastUsed != nil {
				used = moment(*r.LastUsed)
			}
			return []string{r.ID, r.Name, r.Site, moment(r.CreatedAt), used}
		})
	})
}

type userRemovePasskey struct {
	who
	Passkey string `arg:"" help:"Its id, as vedfolnir user passkeys lists it."`
}

func (userRemovePasskey) Help() string {
	return "Example:\n\n  vedfolnir user remove-passkey kim 3q2-7wEj"
}

func (u userRemovePasskey) Run(c *Call) error {
	return u.do(c, func(d *opened, e directory.Entry) error {
		list, err := d.people.Passkeys(c, e.ID)
		if err != nil {
			return err
		}
		for _, p := range list {
			if passkeyID(p) == u.Passkey {
				return u.remove(c, d, e, p)
			}
		}
		return hint(nothing("%s has no passkey %q", e.Username, u.Passkey), "vedfolnir user passkeys %s lists them", e.Username)
	})
}

func (u userRemovePasskey) remove(c *Call, d *opened, e directory.Entry, p directory.Passkey) error {
	told := notice.At(time.Now(), notice.PasskeyRemoved)
	told.Detail = p.Name
	err := d.people.RemovePasskey(c, e.ID, p.ID, told)
	if errors.Is(err, directory.ErrLastWayIn) {
		return hint(err, "vedfolnir user passwd %s gives them a password first", e.Username)
	}
	if err != nil {
		return err
	}
	n, err := d.sessions.RevokeUser(c, e.ID, session.CredentialChanged, operator)
	if err != nil {
		return hint(err, "the passkey is removed; vedfolnir session revoke --user %s ends the sessions", e.Username)
	}
	c.say("%s has the passkey %q no more; ended: %s.", e.Username, p.Name, count(n, "session"))
	return d.changed(c, e.ID)
}
