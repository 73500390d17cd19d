package cli

import (
	"errors"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

type sessionCommands struct {
	List    sessionList    `cmd:"" help:"List live sessions."`
	Show    sessionShow    `cmd:"" help:"Show one session."`
	Revoke  sessionRevoke  `cmd:"" help:"End a session, or all of somebody's."`
	Cleanup sessionCleanup `cmd:"" help:"End what is past its time and remove what ended long ago, as the server does by itself."`
}

// sessionRow is a session as it is listed.
type sessionRow struct {
	ID           session.ID         `json:"session_id"`
	UserID       session.UserID     `json:"user_id"`
	Username     string             `json:"username"`
	PlatformID   session.PlatformID `json:"platform_connection_id"`
	Device       string             `json:"device"`
	UserAgent    string             `json:"user_agent"`
	IPAddress    string             `json:"ip_address"`
	CreatedAt    time.Time          `json:"created_at"`
	LastActivity time.Time          `json:"last_activity"`
	IdleEnd      time.Time          `json:"idle_expires_at"`
	End          time.Time          `json:"expires_at"`
	EndedAt      *time.Time         `json:"ended_at"` // null while it lives
	EndReason    session.Reason     `json:"end_reason"`
	EndedBy      string             `json:"ended_by"`
	Remembered   bool               `json:"remembered"`
	Impersonator session.UserID     `json:"impersonator,omitempty"` // the operator who acts as the person
}

func (d *opened) row(s session.Session, client session.Client, username string) sessionRow {
	deadlines := d.sessions.Policy().Deadlines(s)
	r := sessionRow{
		ID: s.ID, UserID: s.UserID, Username: username, PlatformID: s.PlatformID,
		Device: client.Device(), UserAgent: client.UserAgent, IPAddress: client.IPAddress,
		CreatedAt: s.CreatedAt, LastActivity: s.LastActivity, IdleEnd: deadlines.Idle, End: deadlines.Expiry(),
		EndReason: s.EndReason, EndedBy: s.EndedBy,
		Remembered: s.Persistent, Impersonator: s.Impersonator,
	}
	if !s.EndedAt.IsZero() {
		r.EndedAt = &s.EndedAt
	}
	return r
}

type sessionList struct {
	Who string `arg:"" optional:"" name:"person" help:"Name, e-mail address or id. Default: everybody's."`
	listing
}

func (sessionList) Help() string {
	return "Examples:\n\n  vedfolnir session list\n  vedfolnir session list kim --json"
}

func (s sessionList) Run(c *Call) error {
	return c.with(func(d *opened) error {
		people, err := d.named(c, s.Who)
		if err != nil {
			return err
		}
		var rows []sessionRow
		for _, p := range people {
			sessions, err := d.sessions.List(c, p.ID)
			if err != nil {
				return err
			}
			for _, one := range sessions {
				rows = append(rows, d.row(one.Session, one.Client, p.Username))
			}
		}
		return table(c, s.listing, rows, "SESSION PERSON DEVICE ADDRESS SINCE ACTIVE", func(r sessionRow) []string {
			if r.Impersonator != "" {
				r.Device += " (operator " + string(r.Impersonator) + ")"
			}
			return []string{r.ID.String(), r.Username, r.Device, r.IPAddress, moment(r.CreatedAt), moment(r.LastActivity)}
		})
	})
}

// handle names a session.
type handle struct {
	ID string `arg:"" name:"session" help:"The session's handle, as vedfolnir session list shows it."`
}

var errNoHandle = hint(misused{errors.New("a session's handle has 32 digits from 0 to 9 and a to f")}, "vedfolnir session list shows them")

func noSuchSession(err error, id session.ID) error {
	if errors.Is(err, session.ErrNotFound) {
		return hint(nothing("there is no session %s", id), "vedfolnir session list shows the live ones")
	}
	return err
}

type sessionShow struct {
	handle
	listing
}

func (sessionShow) Help() string {
	return "An ended session is shown until its retention is over, with when, why and by whom it ended.\n\nExample:\n\n  vedfolnir session show 8b6f6d0e5c7a4b1e9f00aa11bb22cc33"
}

func (s sessionShow) Run(c *Call) error {
	id, err := session.ParseID(s.ID)
	if err != nil {
		return errNoHandle
	}
	return c.with(func(d *opened) error {
		record, err := d.store.Get(c, id)
		if err != nil {
			return noSuchSession(err, id)
		}
		name := ""
		if p, err := d.people.Entry(c, record.UserID); err == nil {
			name = p.Username
		}
		r := d.row(record.Session, record.Client, name)
		if s.JSON {
			return writeJSON(c.Stdout, r)
		}
		state := "live"
		if reason := d.sessions.Policy().Check(record.Session, d.sessions.Now()); reason != "" {
			state = "ended: " + string(reason)
		}
		return details(c.Stdout, [][2]string{
			{"Session", r.ID.String()},
			{"State", state},
			{"Person", r.Username + " (" + string(r.UserID) + ")"},
			{"Platform", string(r.PlatformID)},
			{"Device", r.Device},
			{"User agent", r.UserAgent},
			{"Address", r.IPAddress},
			{"Since", moment(r.CreatedAt)},
			{"Active", moment(r.LastActivity)},
			{"Ends idle", moment(r.IdleEnd)},
			{"Ends", moment(r.End)},
			{"Ended", moment(record.EndedAt)},
			{"Ended by", r.EndedBy},
		})
	})
}

type sessionRevoke struct {
	ID   string `arg:"" optional:"" name:"session" help:"The session's handle, as vedfolnir session list shows it."`
	User string `xor:"which" placeholder:"PERSON" help:"All sessions of this person, and every sign-in that is under way."`
}

func (sessionRevoke) Help() string {
	return "Open tabs leave within two seconds.\n\nExamples:\n\n  vedfolnir session revoke 8b6f6d0e5c7a4b1e9f00aa11bb22cc33\n  vedfolnir session revoke --user kim"
}

func (s sessionRevoke) Run(c *Call) error {
	if s.User != "" && s.ID != "" {
		return misused{errors.New("a session's handle and --user PERSON can't be used together")}
	}
	if s.User != "" {
		return who{s.User}.do(c, func(d *opened, e directory.Entry) error {
			n, err := d.sessions.RevokeUser(c, e.ID, session.RevokedByAdmin, operator)
			if err != nil {
				return err
			}
			c.say("Ended: %s of %s.", count(n, "session"), e.Username)
			return d.tellEnded(c, e.ID, n)
		})
	}
	if s.ID == "" {
		return hint(misused{errors.New("which session?")}, "give its handle, or --user PERSON for all of somebody's")
	}
	id, err := session.ParseID(s.ID)
	if err != nil {
		return errNoHandle
	}
	return c.with(func(d *opened) error {
		record, err := d.store.Get(c, id)
		if err == nil {
			err = d.sessions.Revoke(c, id, session.RevokedByAdmin, operator)
		}
		if reason, ended := session.Ended(err); ended {
			c.say("Session %s had ended before (%s).", id, reason)
			return nil
		}
		if err != nil {
			return noSuchSession(err, id)
		}
		c.say("Session %s has ended.", id)
		return d.tellEnded(c, record.UserID, 1)
	})
}

type sessionCleanup struct{}

func (sessionCleanup) Help() string { return "Example:\n\n  vedfolnir session cleanup" }

func (sessionCleanup) Run(c *Call) error {
	return c.with(func(d *opened) error {
		n, err := d.sessions.Cleanup(c, 0)
		if err == nil {
			c.say("Ended or removed: %s.", count(n, "session"))
		}
		return err
	})
}
