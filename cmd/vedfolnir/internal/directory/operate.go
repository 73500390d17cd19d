package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

// Entry is a person as an operator sees them.
type Entry struct {
	ID        session.UserID `json:"id"`
	Username  string         `json:"username"`
	Email     string         `json:"email"`
	Role      Role           `json:"role"`
	Disabled  bool           `json:"disabled"`
	Demo      bool           `json:"demo"` // with a public password; signs in to a demo only
	Platforms int            `json:"platforms"`
}

// State in a word.
func (e Entry) State() string {
	switch {
	case e.Disabled:
		return "disabled"
	case e.Demo:
		return "demo"
	}
	return "active"
}

const selectEntry = `
	SELECT id, username, email, role, disabled, demo,
		(SELECT count(*) FROM directory_platforms a WHERE a.person_id = p.id AND a.active)
	FROM directory_people p `

func scanEntry(row interface{ Scan(...any) error }) (e Entry, err error) {
	var id int64
	err = row.Scan(&id, &e.Username, &e.Email, &e.Role, &e.Disabled, &e.Demo, &e.Platforms)
	e.ID = session.UserID(strconv.FormatInt(id, 10))
	return e, err
}

// Lookup finds somebody by name, e-mail address or id, or returns
// [session.ErrUnknownUser]. It is for operators: it tells who there is.
func (d *Directory) Lookup(ctx context.Context, who string) (Entry, error) {
	id, _ := rowID(who) // 0, which is nobody's, for a name
	e, err := scanEntry(d.db.QueryRowContext(ctx, selectEntry+`
		WHERE username_key = ?1 OR email_key = ?1 OR id = ?2 ORDER BY username_key = ?1 DESC LIMIT 1`, folded(who), id))
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, session.ErrUnknownUser
	}
	if err != nil {
		return Entry{}, fmt.Errorf("directory: look up person: %w", err)
	}
	return e, nil
}

// Entry returns the person of that id, or [session.ErrUnknownUser].
func (d *Directory) Entry(ctx context.Context, id session.UserID) (Entry, error) {
	key, err := rowID(string(id))
	if err != nil {
		return Entry{}, session.ErrUnknownUser
	}
	e, err := scanEntry(d.db.QueryRowContext(ctx, selectEntry+`WHERE id = ?`, key))
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, session.ErrUnknownUser
	}
	if err != nil {
		return Entry{}, fmt.Errorf("directory: read person: %w", err)
	}
	return e, nil
}

// Everybody lists all people in the order in which they were added, the disabled
// ones too.
func (d *Directory) Everybody(ctx context.Context) ([]Entry, error) {
	return d.entries(ctx, `ORDER BY id`)
}

var inPattern = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Search lists at most so many people who have the text in their name or e-mail address,
// whatever its case, or as their id; an empty one is in all. Whose name, address or id it
// is comes first, the others by name. It is for operators: it tells who there is.
func (d *Directory) Search(ctx context.Context, text string, most int) ([]Entry, error) {
	id, _ := rowID(strings.TrimSpace(text))
	key := folded(text)
	return d.entries(ctx, `
		WHERE username_key LIKE ?1 ESCAPE '\' OR email_key LIKE ?1 ESCAPE '\' OR id = ?2
		ORDER BY CASE WHEN username_key = ?3 OR email_key = ?3 OR id = ?2 THEN 0 ELSE 1 END, username_key LIMIT ?4`,
		"%"+inPattern.Replace(key)+"%", id, key, most)
}

func (d *Directory) entries(ctx context.Context, which string, args ...any) ([]Entry, error) {
	rows, err := d.db.QueryContext(ctx, selectEntry+which, args...)
	if err != nil {
		return nil, fmt.Errorf("directory: list people: %w", err)
	}
	defer rows.Close()
	var people []Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, fmt.Errorf("directory: list people: %w", err)
		}
		people = append(people, e)
	}
	return people, rows.Err()
}

// Disable keeps the person from signing in. End their sessions with
// Manager.RevokeUser and the reason UserDisabled.
func (d *Directory) Disable(ctx context.Context, id session.UserID) error {
	return d.update(ctx, "disable person", id, "person_disabled", "", `UPDATE directory_people SET disabled = TRUE WHERE id = ?`)
}

// Enable lets the person sign in again. Call Manager.DirectoryChanged.
func (d *Directory) Enable(ctx context.Context, id session.UserID) error {
	return d.update(ctx, "enable person", id, "person_enabled", "", `UPDATE directory_people SET disabled = FALSE WHERE id = ?`)
}

// SetRole says what the person may do. Call Manager.DirectoryChanged.
func (d *Directory) SetRole(ctx context.Context, id session.UserID, role Role) error {
	if role != Ordinary && role != Admin {
		return fmt.Errorf("directory: set role: there is no role %q: give %s or %s", role, Ordinary, Admin)
	}
	return d.update(ctx, "set role", id, "role_set", string(role), `UPDATE directory_people SET role = ?2 WHERE id = ?1`, role)
}

// SetPassword replaces the person's password, or returns a [RuleError]. They are told
// of it in the same transaction. End their sessions with Manager.RevokeUser and the
// reason CredentialChanged.
func (d *Directory) SetPassword(ctx context.Context, id session.UserID, password string, tell ...notice.Notice) error {
	hash, err := d.newHash(ctx, id, password)
	if err != nil {
		return err
	}
	return d.storePassword(ctx, "set password", id, tell, `UPDATE directory_people SET password = ?2, demo = FALSE WHERE id = ?1`, hash)
}

// ChangePassword is SetPassword by the person themselves, who has to give the
// current one, or the error is [ErrCredentials]. End their other sessions with
// Manager.RevokeOthers and the reason CredentialChanged.
func (d *Directory) ChangePassword(ctx context.Context, id session.UserID, current, password string, tell ...notice.Notice) error {
	hash, err := d.newHash(ctx, id, password)
	if err != nil {
		return err
	}
	row, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	old, _, err := d.checked(ctx, Account{ID: id, row: row}, current)
	if err != nil {
		return err
	}
	err = d.As(id).storePassword(ctx, "change password", id, tell, `UPDATE directory_people SET password = ?2, demo = FALSE WHERE id = ?1 AND password = ?3`, hash, old)
	if errors.Is(err, session.ErrUnknownUser) {
		return ErrCredentials // it was changed meanwhile
	}
	return err
}

// storePassword is update of the password, and tells the person.
func (d *Directory) storePassword(ctx context.Context, what string, id session.UserID, tell []notice.Notice, query string, args ...any) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	return d.changePerson(ctx, what, key, "password_set", "", func(tx *transaction) error {
		if err := tx.change(ctx, session.ErrUnknownUser, query, append([]any{key}, args...)...); err != nil {
			return err
		}
		return d.tellAll(ctx, tx, key, tell)
	})
}

// newHash of a password that is good for the person.
func (d *Directory) newHash(ctx context.Context, id session.UserID, password string) (string, error) {
	e, err := d.Entry(ctx, id)
	if err != nil {
		return "", err
	}
	if err := checkPassword(password, e.Username, e.Email); err != nil {
		return "", fmt.Errorf("directory: set password: %w", err)
	}
	hash, err := d.hasher.hash(ctx, password)
	if err != nil {
		return "", fmt.Errorf("directory: set password: %w", err)
	}
	return hash, nil
}

// Remove deletes the person and all that is theirs. End their sessions first.
func (d *Directory) Remove(ctx context.Context, id session.UserID) error {
	return d.remove(ctx, "remove person", id, "person_removed")
}

// Erase is Remove on the way to erasing all that is stored about the person.
func (d *Directory) Erase(ctx context.Context, id session.UserID) error {
	return d.remove(ctx, "erase person", id, "person_erased")
}

// remove has what it deletes written over, where the engine does that.
func (d *Directory) remove(ctx context.Context, what string, id session.UserID, action string) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	return d.changePerson(ctx, what, key, action, "", func(tx *transaction) error {
		return tx.overwriting(ctx, func() error {
			for _, table := range []string{"directory_platforms", "directory_passkeys", "directory_recovery_codes", "directory_notices", "directory_outbox", "directory_openid_links", "directory_openid_sessions"} {
				if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE person_id = ?`, key); err != nil {
					return err
				}
			}
			return tx.change(ctx, session.ErrUnknownUser, `DELETE FROM directory_people WHERE id = ?`, key)
		})
	})
}

// update changes one person's row, whose id is the first argument, and notes it.
func (d *Directory) update(ctx context.Context, what string, id session.UserID, action, reason, query string, args ...any) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	return d.changePerson(ctx, what, key, action, reason, func(tx *transaction) error {
		return tx.change(ctx, session.ErrUnknownUser, query, append([]any{key}, args...)...)
	})
}

// changePerson does something to one row, and writes the audit line of it.
func (d *Directory) changePerson(ctx context.Context, what string, key int64, action, reason string, do func(*transaction) error) error {
	err := d.inTransaction(ctx, func(tx *transaction) error {
		if err := do(tx); err != nil {
			return err
		}
		return d.note(ctx, tx, action, key, 0, reason)
	})
	if err != nil && !errors.Is(err, session.ErrUnknownUser) {
		return fmt.Errorf("directory: %s: %w", what, err)
	}
	return err
}

// Platforms of the person, the default one first, whether or not they may sign in.
func (d *Directory) Platforms(ctx context.Context, id session.UserID) ([]session.Platform, error) {
	person, err := d.person(ctx, id, true)
	return person.Platforms, err
}

// AddPlatform gives the person one more platform; their first one is the default
// one. Call Manager.DirectoryChanged.
func (d *Directory) AddPlatform(ctx context.Context, id session.UserID, p session.Platform) (session.PlatformID, error) {
	if err := checkPlatform(p); err != nil {
		return "", fmt.Errorf("directory: add platform: %w", err)
	}
	key, err := rowID(string(id))
	if err != nil {
		return "", session.ErrUnknownUser
	}
	var made int64
	err = d.inTransaction(ctx, func(tx *transaction) error {
		var others int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM directory_platforms WHERE person_id = ? AND is_default`, key).Scan(&others)
		if err != nil {
			return err
		}
		if p.IsDefault && others > 0 {
			if _, err := tx.ExecContext(ctx, `UPDATE directory_platforms SET is_default = FALSE WHERE person_id = ?`, key); err != nil {
				return err
			}
		}
		p.IsDefault = p.IsDefault || others == 0
		if made, err = insertPlatform(ctx, tx, key, p); err != nil {
			return err
		}
		return d.note(ctx, tx, "platform_added", key, made, "")
	})
	if err != nil {
		return "", fmt.Errorf("directory: add platform: %w", err)
	}
	return session.PlatformID(strconv.FormatInt(made, 10)), nil
}

func checkPlatform(p session.Platform) error {
	var errs []error
	if p.Name == "" || utf8.RuneCountInString(p.Name) > 100 {
		errs = append(errs, errors.New("give the platform a name of 1 to 100 characters"))
	}
	if p.Type == "" {
		errs = append(errs, errors.New("say of which type the platform is, such as pixelfed or mastodon"))
	}
	if u, err := url.Parse(p.InstanceURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		errs = append(errs, fmt.Errorf("%q is no address of an instance: give one that begins with https://", p.InstanceURL))
	}
	return errors.Join(errs...)
}

// RemovePlatform takes one away, or returns [session.ErrPlatform]. Another one
// becomes the default one, if it was that. Call Manager.DirectoryChanged.
func (d *Directory) RemovePlatform(ctx context.Context, id session.UserID, platform session.PlatformID) error {
	return d.changePlatform(ctx, "remove platform", "platform_removed", id, platform, func(tx *transaction, person, row int64) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_platforms WHERE id = ?`, row); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE directory_platforms SET is_default = TRUE
			WHERE id = (SELECT min(id) FROM directory_platforms WHERE person_id = ?1 AND active)
				AND NOT EXISTS (SELECT 1 FROM directory_platforms WHERE person_id = ?1 AND is_default)`, person)
		return err
	})
}

// SetDefaultPlatform says with which platform new sessions begin, or returns
// [session.ErrPlatform]. Call Manager.DirectoryChanged.
func (d *Directory) SetDefaultPlatform(ctx context.Context, id session.UserID, platform session.PlatformID) error {
	return d.changePlatform(ctx, "set default platform", "platform_made_default", id, platform, func(tx *transaction, person, row int64) error {
		if _, err := tx.ExecContext(ctx, `UPDATE directory_platforms SET is_default = FALSE WHERE person_id = ?`, person); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE directory_platforms SET is_default = TRUE WHERE id = ?`, row)
		return err
	})
}

// changePlatform does something to one of the person's platforms.
func (d *Directory) changePlatform(ctx context.Context, what, action string, id session.UserID, platform session.PlatformID, do func(tx *transaction, person, row int64) error) error {
	person, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	row, err := rowID(string(platform))
	if err != nil {
		return session.ErrPlatform
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_platforms WHERE id = ? AND person_id = ? AND active)`, row, person).Scan(&known)
		if err == nil && !known {
			return session.ErrPlatform
		}
		if err != nil {
			return err
		}
		if err := do(tx, person, row); err != nil {
			return err
		}
		return d.note(ctx, tx, action, person, row, "")
	})
	if err != nil && !errors.Is(err, session.ErrPlatform) {
		return fmt.Errorf("directory: %s: %w", what, err)
	}
	return err
}
