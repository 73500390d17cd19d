package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/vedfolnir/session"
)

// ErrCredentials: there is no such person, the password is another, or they may
// not sign in. Which of the three is not told.
var ErrCredentials = errors.New("name or password is wrong")

// Nobody is the id of an account that there is not.
const Nobody session.UserID = "0"

// Account is what a sign-in looks at. It does not tell whether there is such a
// person; only Check does, to who has the password.
type Account struct {
	// ID is whose sessions a sign-in would be among; [Nobody] if there is no such
	// person.
	ID session.UserID

	row int64
}

// Find looks for the person with that name or e-mail address. To find nobody is
// no error, and takes as long.
func (d *Directory) Find(ctx context.Context, login string) (Account, error) {
	key := folded(login)
	var a Account
	err := d.db.QueryRowContext(ctx, `SELECT id FROM directory_people WHERE username_key = ? OR email_key = ?`, key, key).Scan(&a.row)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("directory: find person: %w", err)
	}
	a.ID = session.UserID(strconv.FormatInt(a.row, 10))
	return a, nil
}

// Check returns nil if the password is the person's as it is now, and they may
// sign in: otherwise [ErrCredentials]. [ErrBusy]: too many sign-ins at once.
//
// The password is read here and not by Find, so that whoever reads the epoch of
// sign-ins between the two is never shown a password from before it.
func (d *Directory) Check(ctx context.Context, a Account, password string) error {
	hash, outdated, err := d.checked(ctx, a, password)
	if err == nil && outdated {
		d.rehash(ctx, a, hash, password)
	}
	return err
}

// checked is Check, and returns the hash that the password was compared with.
func (d *Directory) checked(ctx context.Context, a Account, password string) (hash string, outdated bool, err error) {
	var welcome bool
	err = d.db.QueryRowContext(ctx, `SELECT password, NOT disabled AND (NOT demo OR ?) FROM directory_people WHERE id = ?`,
		d.config.AllowDemoPeople, a.row).Scan(&hash, &welcome)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", false, fmt.Errorf("directory: read password: %w", err)
	}
	right, outdated, err := d.hasher.verify(ctx, hash, password)
	if err != nil {
		return "", false, fmt.Errorf("directory: check password: %w", err)
	}
	if !right || !welcome {
		return "", false, ErrCredentials
	}
	return hash, outdated, nil
}

// HasPassword reports whether the person has one to give.
func (d *Directory) HasPassword(ctx context.Context, id session.UserID) (has bool, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return false, session.ErrUnknownUser
	}
	err = d.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_people WHERE id = ? AND password <> '')`, key).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("directory: look for a password: %w", err)
	}
	return has, nil
}

// rehash stores a hash at today's cost, unless the password was changed meanwhile.
// A failure is no reason to refuse the sign-in: the next one tries again.
func (d *Directory) rehash(ctx context.Context, a Account, old, password string) {
	hash, err := d.hasher.hash(ctx, password)
	if err == nil {
		_, err = d.db.ExecContext(ctx, `UPDATE directory_people SET password = ? WHERE id = ? AND password = ?`, hash, a.row, old)
	}
	if err != nil {
		d.config.Logger.WarnContext(ctx, "directory: cannot store a password's new hash; the next sign-in tries again", "user_id", a.ID, "error", err)
	}
}
