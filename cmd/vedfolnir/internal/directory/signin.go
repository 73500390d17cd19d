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

// Account is what a sign-in looks at. It does not tell whether there is such a
// person; only Check does, to who has the password.
type Account struct {
	// ID is whose sessions a sign-in would be among; "0", which is nobody's, if
	// there is no such person.
	ID session.UserID

	row     int64
	hash    string
	welcome bool // may sign in
}

// Find looks for the person with that name or e-mail address. To find nobody is
// no error, and takes as long.
func (d *Directory) Find(ctx context.Context, login string) (Account, error) {
	key := folded(login)
	var a Account
	err := d.db.QueryRowContext(ctx, `
		SELECT id, password, disabled = 0 AND (demo = 0 OR ?) FROM directory_people WHERE username_key = ? OR email_key = ?`,
		d.config.AllowDemoPeople, key, key).Scan(&a.row, &a.hash, &a.welcome)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("directory: find person: %w", err)
	}
	a.ID = session.UserID(strconv.FormatInt(a.row, 10))
	return a, nil
}

// Check returns nil if the password is the person's and they may sign in:
// otherwise [ErrCredentials]. [ErrBusy]: too many sign-ins at once.
func (d *Directory) Check(ctx context.Context, a Account, password string) error {
	right, outdated, err := d.hasher.verify(ctx, a.hash, password)
	switch {
	case err != nil:
		return fmt.Errorf("directory: check password: %w", err)
	case !right || !a.welcome:
		return ErrCredentials
	case outdated:
		d.rehash(ctx, a, password)
	}
	return nil
}

// rehash stores a hash at today's cost, unless the password was changed meanwhile.
// A failure is no reason to refuse the sign-in: the next one tries again.
func (d *Directory) rehash(ctx context.Context, a Account, password string) {
	hash, err := d.hasher.hash(ctx, password)
	if err == nil {
		_, err = d.db.ExecContext(ctx, `UPDATE directory_people SET password = ? WHERE id = ? AND password = ?`, hash, a.row, a.hash)
	}
	if err != nil {
		d.config.Logger.WarnContext(ctx, "directory: cannot store a password's new hash; the next sign-in tries again", "user_id", a.ID, "error", err)
	}
}
