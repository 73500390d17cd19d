package cli

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

type auditCommands struct {
	Tail   auditTail   `cmd:"" help:"Show what happened last."`
	Search auditSearch `cmd:"" help:"Find what happened: to whom, in which session, why, when."`
	Verify auditVerify `cmd:"" help:"Find out whether lines were altered, removed, put in or moved since they were sealed."`
	Export auditExport `cmd:"" help:"Write all lines, with what is needed to verify them, as JSON Lines."`
	Seal   auditSeal   `cmd:"" help:"Seal what happened so far, as a server does each second."`
	Key    auditKey    `cmd:"" help:"Show the public key that verifies the audit elsewhere."`
}

const (
	auditHeadings = "AT ACTION PERSON PLATFORM REASON BY SESSION ADDRESS DEVICE"
	// followPause is between two looks: the server that writes is another process.
	followPause = 500 * time.Millisecond
	auditPage   = 500
)

func auditRow(l audit.View) []string {
	id := ""
	if l.SessionID != nil {
		id = l.SessionID.String()
	}
	device := ""
	if l.UserAgent != "" {
		device = session.Client{UserAgent: l.UserAgent}.Device()
	}
	return []string{l.At.Local().Format("2006-01-02 15:04:05"), l.Action, string(l.UserID), string(l.PlatformID), string(l.Reason), l.By, id, l.IPAddress, device}
}

var errLines = errors.New("--lines is a number from 0 to 100000")

type auditTail struct {
	Lines  int  `short:"n" default:"20" help:"How many lines. Default: ${default}."`
	Follow bool `short:"f" help:"Go on with what happens, until Ctrl-C. With --json there is one object a line."`
	listing
}

func (auditTail) Help() string {
	return `PERSON and PLATFORM are ids. BY is a person's id, "operator" for this command line, or "system" for limits and time.

Examples:

  vedfolnir audit tail
  vedfolnir audit tail --follow --json | jq 'select(.action == "ended")'`
}

func (a auditTail) Run(c *Call) error {
	if a.Lines < 0 || a.Lines > 100_000 {
		return hint(misused{errLines}, "audit tail --follow goes on for as long as you like")
	}
	return c.with(func(d *opened) error {
		end, err := d.store.AuditEnd(c)
		if err != nil {
			return err
		}
		lines, err := d.auditAfter(c, end-min(end, uint64(a.Lines)), a.Lines)
		if err != nil {
			return err
		}
		if !a.Follow {
			return table(c, a.listing, lines, auditHeadings, auditRow)
		}
		return a.follow(c, d, lines, end)
	})
}

// auditAfter reads as many lines as there are, up to most.
func (d *opened) auditAfter(c *Call, seq uint64, most int) (lines []audit.View, err error) {
	for len(lines) < most {
		page, err := d.store.AuditAfter(c, seq, min(auditPage, most-len(lines)))
		if err != nil || len(page) == 0 {
			return lines, err
		}
		for _, l := range page {
			lines = append(lines, l.View())
		}
		seq = page[len(page)-1].Seq
	}
	return lines, nil
}

// follow writes lines as they come, in columns that need not know what comes.
func (a auditTail) follow(c *Call, d *opened, lines []audit.View, end uint64) error {
	show := func(l audit.View) error {
		r := visible(auditRow(l))
		c.say("%s  %-17s  person %s  platform %s  %s  by %s  %s  %s  %s", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8])
		return nil
	}
	if a.JSON {
		e := json.NewEncoder(c.Stdout)
		show = func(l audit.View) error { return e.Encode(l) }
	}
	tick := time.NewTicker(followPause)
	defer tick.Stop()
	for {
		for _, l := range lines {
			if err := show(l); err != nil {
				return err
			}
			end = l.Seq
		}
		select {
		case <-c.Done():
			return nil
		case <-tick.C:
		}
		var err error
		if lines, err = d.auditAfter(c, end, auditPage); err != nil {
			if c.Err() != nil {
				return nil
			}
			return err
		}
	}
}
