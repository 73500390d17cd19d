package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
)

type auditSearch struct {
	User    string `placeholder:"PERSON" help:"Whom it concerns, or who did it: name, e-mail address or id; operator and system too."`
	Session string `placeholder:"HANDLE" help:"In this session."`
	Action  string `help:"What happened: created, ended, sign_in_refused, person_disabled and so on."`
	Reason  string `help:"Why: signed_out, invalid_credentials and so on."`
	Request string `placeholder:"ID" help:"In this request: the id that the log and an error page show."`
	Since   string `placeholder:"WHEN" help:"Not before: 2025-01-31, 2025-01-31T10:00:00Z, or how long ago, such as 90m, 24h, 7d."`
	Until   string `placeholder:"WHEN" help:"Before that time."`
	listing
}

func (auditSearch) Help() string {
	return `What was asked for has to be true all at once. Whoever was removed is found by their id.

Examples:

  vedfolnir audit search --user kim --since 7d
  vedfolnir audit search --action sign_in_refused --reason invalid_credentials --since 1h --json
  vedfolnir audit search --request QPMHLLZOKUUBOKJ57CUTPDJSAO`
}

func (a auditSearch) Run(c *Call) error {
	f := audit.Filter{Action: a.Action, Reason: session.Reason(a.Reason), RequestID: a.Request}
	var err error
	if a.Session != "" {
		if f.Session, err = session.ParseID(a.Session); err != nil {
			return errNoHandle
		}
	}
	now := time.Now()
	if f.From, err = when("--since", a.Since, now); err != nil {
		return err
	}
	if f.Until, err = when("--until", a.Until, now); err != nil {
		return err
	}
	return c.with(func(d *opened) error {
		if f.User, err = d.concerned(c, a.User); err != nil {
			return err
		}
		var found []audit.View
		for l, err := range d.store.SearchAudit(c, f) {
			if err != nil {
				return err
			}
			found = append(found, l.View())
		}
		return table(c, a.listing, found, auditHeadings, auditRow)
	})
}

// concerned is the id that lines have of somebody, who may be gone.
func (d *opened) concerned(c *Call, who string) (session.UserID, error) {
	if _, err := strconv.Atoi(who); err == nil || who == "" || who == session.System || who == operator {
		return session.UserID(who), nil
	}
	e, err := d.person(c, who)
	return e.ID, err
}

// when understands a day, a time, and how long ago; "" is the zero time.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && days >= 0 {
		return now.AddDate(0, 0, -days), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, hint(misused{fmt.Errorf("%s: %q is no time", flag, text)}, "give a day (2025-01-31), a time (2025-01-31T10:00:00Z), or how long ago (90m, 24h, 7d)")
}
