package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/webhook"
)

// operator is who does what is done from the command line.
const operator = audit.Operator

// opened is the open database with everything that a command needs of it.
type opened struct {
	store    database.Store
	people   *directory.Directory
	sessions *session.Manager
	bus      database.Bus // nil: there are no other nodes
}

// with opens the database that is there and runs do. A server that uses it at the
// same time follows what is done.
func (c *Call) with(do func(*opened) error) error {
	if c.mistakes != nil {
		return c.mistakes
	}
	where := c.settings.Database
	if !where.Stays() {
		return hint(errors.New("this database is gone with the server that uses it"), "name one that stays with --database sqlite:FILE")
	}
	if where.Path != "" {
		if _, err := os.Stat(where.Path); errors.Is(err, os.ErrNotExist) {
			return hint(nothing("there is no database %s", where), "name it with --database sqlite:FILE; vedfolnir migrate makes a new one")
		}
	}
	return c.withNew(where, do)
}

// withNew makes the database if it is not there.
func (c *Call) withNew(where config.Database, do func(*opened) error) (err error) {
	log := slog.New(slog.NewTextHandler(c.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var d opened
	defer func() { err = errors.Join(err, d.close()) }()
	if d.store, err = database.Open(c, where, database.Options{Audit: !c.settings.Session.Security.NoAuditLogging, Logger: log}); err != nil {
		return err
	}
	if d.people, err = directory.Open(c, d.store.DB(), directory.Config{Dialect: database.Dialect(where), AllowDemoPeople: true, Note: d.store.NoteIn, Message: webhook.Messages(c.settings), By: operator, Logger: log}); err != nil {
		return err
	}
	if d.bus, err = database.OpenBus(c, where, c.settings.Bus, log); err != nil {
		return err
	}
	settings := c.settings.Session
	settings.Logger = log
	settings.Features.NoBackgroundCleanup = true
	settings.Security.NoAuditLogging = true // to the log; the store's lines are written all the same
	if d.bus != nil {
		settings.Bus = d.bus
	}
	if d.sessions, err = session.New(d.store, d.people, settings); err != nil {
		return err
	}
	return do(&d)
}

func (d *opened) close() error {
	var errs []error
	if d.sessions != nil {
		errs = append(errs, d.sessions.Close())
	}
	if d.bus != nil {
		errs = append(errs, d.bus.Close())
	}
	if d.people != nil {
		errs = append(errs, d.people.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	return errors.Join(errs...)
}

// person finds somebody by name, e-mail address or id.
func (d *opened) person(ctx context.Context, who string) (directory.Entry, error) {
	e, err := d.people.Lookup(ctx, who)
	if errors.Is(err, session.ErrUnknownUser) {
		return e, hint(nothing("there is no person %q", who), "vedfolnir user list shows who there is")
	}
	return e, err
}

// named is the person of that name, or everybody if nobody is named.
func (d *opened) named(ctx context.Context, who string) ([]directory.Entry, error) {
	if who == "" {
		return d.people.Everybody(ctx)
	}
	e, err := d.person(ctx, who)
	return []directory.Entry{e}, err
}

// changed makes every node and tab look at the person anew.
func (d *opened) changed(ctx context.Context, id session.UserID) error {
	if err := d.sessions.DirectoryChanged(ctx, id); err != nil {
		return fmt.Errorf("it is done, but servers may show the old state for a minute: %w", err)
	}
	return nil
}

// byOperator is a notice of what is done from the command line.
func byOperator(kind notice.Kind) notice.Notice {
	n := notice.At(time.Now(), kind)
	n.Detail = notice.ByOperator
	return n
}

// tellEnded tells a person how many of their sessions an operator has ended.
func (d *opened) tellEnded(ctx context.Context, id session.UserID, sessions int) error {
	if sessions == 0 {
		return nil
	}
	n := byOperator(notice.SessionsEnded)
	n.Times = sessions
	if err := d.people.Tell(ctx, id, n); err != nil && !errors.Is(err, session.ErrUnknownUser) {
		return fmt.Errorf("it is done, but the person was not told: %w", err)
	}
	return d.changed(ctx, id)
}

// note writes an audit line of what an operator did.
func (d *opened) note(ctx context.Context, action string, user session.UserID, reason session.Reason) error {
	return d.store.Note(ctx, session.AuditEvent{Action: action, User: user, Reason: reason, By: operator})
}
