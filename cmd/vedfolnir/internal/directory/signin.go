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

// account is what a sign-in looks at.
type account struct {
	id    int64
	hash  string
	known bool // and may sign in
}

// SignIn returns the person with that name or e-mail address, if the password is
// theirs: otherwise [ErrCredentials]. [ErrBusy]: too many sign-ins at once. Any
// other error means that the database did not answer.
func (d *Directory) SignIn(ctx context.Context, login, password string) (session.UserID, error) {
	a, err := d.account(ctx, login)
	if err != nil {
		return "", fmt.Errorf("directory: sign in: %w", err)
	}
	right, outdated, err := d.hasher.verify(ctx, a.hash, password)
	switch {
	case err != nil:
		return "", fmt.Errorf("directory: sign in: %w", err)
	case !right || !a.known:
		return "", ErrCredentials
	case outdated:
		d.rehash(ctx, a, password)
	}
	return session.UserID(strconv.FormatInt(a.id, 10)), nil
}

// account finds whoever the login names; nobody has an empty hash.
func (d *Directory) account(ctx context.Context, login string) (account, error) {
	key := folded(login)
	var a account
	err := d.db.QueryRowContext(ctx, `
		SELECT id, password, disabled = 0 AND (demo = 0 OR ?) FROM people WHERE username_key = ? OR email_key = ?`,
		d.config.AllowDemoPeople, key, key).Scan(&a.id, &a.hash, &a.known)
	if errors.Is(err, sql.ErrNoRows) {
		return account{}, nil
	}
	return a, err
}

// rehash stores a hash at today's cost, unless the password was changed meanwhile.
// A failure is no reason to refuse the sign-in: the next one tries again.
func (d *Directory) rehash(ctx context.Context, a account, password string) {
	hash, err := d.hasher.hash(ctx, password)
	if err == nil {
		_, err = d.db.ExecContext(ctx, `UPDATE people SET password = ? WHERE id = ? AND password = ?`, hash, a.id, a.hash)
	}
	if err != nil {
		d.config.Logger.WarnContext(ctx, "directory: cannot store a password's new hash; the next sign-in tries again", "user_id", a.id, "error", err)
	}
}
