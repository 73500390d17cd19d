package sqlitestore

import (
	"context"

	"github.com/vedfolnir/session"
)

type user struct{ signInEpoch, rev uint64 }

const getUser = `SELECT sign_in_epoch, rev FROM session_users WHERE id = ?`

// SignInEpoch implements [session.Store].
func (s *Store) SignInEpoch(ctx context.Context, id session.UserID) (uint64, error) {
	return read(ctx, s, func(ctx context.Context, c *conn) (uint64, error) {
		u, err := c.user(ctx, id)
		return u.signInEpoch, err
	})
}

// user returns the row, or what it would be.
func (c *conn) user(ctx context.Context, id session.UserID) (user, error) {
	r, err := c.one(ctx, getUser, string(id))
	if err != nil || r == nil {
		return user{signInEpoch: 1}, err
	}
	return user{r.counter(0), r.counter(1)}, nil
}

// RaiseRev implements [session.Store].
func (s *Store) RaiseRev(ctx context.Context, id session.UserID) (uint64, error) {
	return write(ctx, s, func(t *tx) (uint64, error) {
		rev, err := t.raiseRev(id)
		if err != nil {
			return 0, err
		}
		t.feed = append(t.feed, session.Change{User: id, Rev: rev, Directory: true})
		return rev, nil
	})
}

const raiseRev = `INSERT INTO session_users (id, rev) VALUES (?, 1)
	ON CONFLICT (id) DO UPDATE SET rev = rev + 1 RETURNING rev`

// raiseRev makes the row if need be.
func (t *tx) raiseRev(id session.UserID) (uint64, error) {
	r, err := t.one(raiseRev, string(id))
	if err != nil {
		return 0, err
	}
	return r.counter(0), nil
}

const raiseSignInEpoch = `UPDATE session_users SET sign_in_epoch = sign_in_epoch + 1 WHERE id = ?`

// raiseSignInEpoch is called after raiseRev, so that there is a row.
func (t *tx) raiseSignInEpoch(id session.UserID) error { return t.exec(raiseSignInEpoch, string(id)) }
