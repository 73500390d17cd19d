package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
	"strings"

	"github.com/vedfolnir/session"
)

// Role says what a person may do in this server.
type Role string

const (
	Ordinary Role = "person"
	Admin    Role = "admin"
)

// Newcomer is a person to be added.
type Newcomer struct {
	Username  string
	Email     string
	Password  string
	Role      Role // empty: Ordinary
	Platforms []session.Platform
	// Link is who they are at an OpenID provider, where they sign in. They have no
	// password then.
	Link Link
	demo bool
}

var (
	// ErrTaken: somebody has the name or the address already.
	ErrTaken = errors.New("the name or the e-mail address is taken")
	// ErrNotFirst: there is somebody already.
	ErrNotFirst = errors.New("there is somebody already")

	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// Add makes a person and their platforms, in one transaction. The error joins
// what is wrong with n, or is [ErrTaken].
func (d *Directory) Add(ctx context.Context, n Newcomer) (session.UserID, error) {
	return d.add(ctx, n, func(*transaction) error { return nil })
}

// AddFirst is Add while nobody could sign in; else the error is [ErrNotFirst].
func (d *Directory) AddFirst(ctx context.Context, n Newcomer) (session.UserID, error) {
	return d.add(ctx, n, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_people"); err != nil {
			return err
		}
		there, err := d.people(ctx, tx)
		if err == nil && there > 0 {
			err = ErrNotFirst
		}
		return err
	})
}

func (d *Directory) add(ctx context.Context, n Newcomer, may func(*transaction) error) (session.UserID, error) {
	if n.Role == "" {
		n.Role = Ordinary
	}
	if err := n.Check(); err != nil {
		return "", fmt.Errorf("directory: add person: %w", err)
	}
	hash, err := "", error(nil) // which no password has
	if n.Link == (Link{}) {
		hash, err = d.hasher.hash(ctx, n.Password)
	}
	if err != nil {
		return "", fmt.Errorf("directory: add person: %w", err)
	}
	id, err := d.insert(ctx, n, hash, may)
	if err != nil {
		return "", fmt.Errorf("directory: add person: %w", err)
	}
	return id, nil
}

// Check returns everything that is wrong with n, an error for each.
func (n Newcomer) Check() error {
	if n.Role == "" {
		n.Role = Ordinary
	}
	var errs []error
	if !nameForm.MatchString(n.Username) {
		errs = append(errs, fmt.Errorf("the name %q is not 1 to 64 letters, digits, dots, hyphens and underscores", n.Username))
	}
	if a, err := mail.ParseAddress(n.Email); err != nil || a.Address != n.Email || len(n.Email) > 254 {
		errs = append(errs, fmt.Errorf("%q is no e-mail address", n.Email))
	}
	switch {
	case n.demo: // whose password is public anyhow
	case n.Link == (Link{}):
		errs = append(errs, checkPassword(n.Password, n.Username, n.Email))
	case n.Password != "":
		errs = append(errs, errors.New("who signs in at a provider gets no password here"))
	}
	if n.Role != Ordinary && n.Role != Admin {
		errs = append(errs, fmt.Errorf("there is no role %q", n.Role))
	}
	return errors.Join(errs...)
}

func (d *Directory) insert(ctx context.Context, n Newcomer, hash string, may func(*transaction) error) (session.UserID, error) {
	var id int64
	err := d.inTransaction(ctx, func(tx *transaction) error {
		if err := may(tx); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `
			INSERT INTO directory_people (username, username_key, email, email_key, password, role, demo)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
			n.Username, folded(n.Username), n.Email, folded(n.Email), hash, n.Role, n.demo).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrTaken
		}
		for _, p := range n.Platforms {
			if err == nil {
				_, err = insertPlatform(ctx, tx, id, p)
			}
		}
		if err != nil {
			return err
		}
		if err := d.note(ctx, tx, "person_added", id, 0, ""); err != nil || n.Link == (Link{}) {
			return err
		}
		return d.insertLink(ctx, tx, id, n.Link.Identity, n.Link.LinkedAt)
	})
	return session.UserID(strconv.FormatInt(id, 10)), err
}

// note writes the audit line of what is done to a person, as which platform if it
// is one of theirs.
func (d *Directory) note(ctx context.Context, tx *transaction, action string, person, platform int64, reason string) error {
	e := session.AuditEvent{
		Action: action, User: session.UserID(strconv.FormatInt(person, 10)), Reason: session.Reason(reason), By: d.config.By,
	}
	if platform != 0 {
		e.Platform = session.PlatformID(strconv.FormatInt(platform, 10))
	}
	return d.config.Note(ctx, tx.Tx, e)
}

func insertPlatform(ctx context.Context, tx *transaction, person int64, p session.Platform) (id int64, err error) {
	err = tx.QueryRowContext(ctx, `
		INSERT INTO directory_platforms (person_id, name, platform_type, instance_url, username, is_default)
		VALUES (?, ?, ?, ?, ?, ?) RETURNING id`, person, p.Name, p.Type, p.InstanceURL, p.Username, p.IsDefault).Scan(&id)
	return id, err
}

// People counts those who could sign in.
func (d *Directory) People(ctx context.Context) (n int, err error) { return d.people(ctx, d.db) }

func (d *Directory) people(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
},
) (n int, err error) {
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM directory_people WHERE NOT disabled AND (NOT demo OR ?)`, d.config.AllowDemoPeople).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("directory: count people: %w", err)
	}
	return n, nil
}

// folded is how a name or an address is compared, whatever somebody types.
func folded(login string) string { return strings.ToLower(strings.TrimSpace(readable(login))) }
