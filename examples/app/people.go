package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
)

const demoPassword = "vedfolnir-demo"

// people are the application's own tables; to the library they are a directory.
type people struct{ db *sql.DB }

const schema = `
CREATE TABLE IF NOT EXISTS app_users (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS app_platforms (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES app_users (id),
	name TEXT NOT NULL, type TEXT NOT NULL, url TEXT NOT NULL, is_default INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS app_pictures (id INTEGER PRIMARY KEY, platform_id TEXT NOT NULL REFERENCES app_platforms (id),
	file TEXT NOT NULL, caption TEXT NOT NULL DEFAULT '', posted INTEGER NOT NULL DEFAULT 0);`

// prepare makes the tables, and fills them the first time.
func (p people) prepare(ctx context.Context) error {
	if _, err := p.db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	salt := []byte("an example's salt; make one for each person")
	hash, err := hashed(demoPassword, salt)
	if err != nil {
		return err
	}
	for _, add := range []struct {
		query string
		args  []any
	}{
		{`INSERT OR IGNORE INTO app_users VALUES ('1', 'alex', ?, ?), ('2', 'robin', ?, ?)`, []any{salt, hash, salt, hash}},
		{`INSERT OR IGNORE INTO app_platforms VALUES
			('11', '1', 'My Pixelfed', 'pixelfed', 'https://pixelfed.social', 1),
			('12', '1', 'My Mastodon', 'mastodon', 'https://mastodon.social', 0)`, nil},
		{`INSERT OR IGNORE INTO app_pictures (id, platform_id, file) VALUES
			(1, '11', 'harbour.jpg'), (2, '11', 'lighthouse.jpg'), (3, '12', 'meeting.jpg')`, nil},
	} {
		if _, err := p.db.ExecContext(ctx, add.query, add.args...); err != nil {
			return fmt.Errorf("add examples: %w", err)
		}
	}
	return nil
}

// Person implements [session.Directory].
func (p people) Person(ctx context.Context, id session.UserID) (session.Person, error) {
	person := session.Person{User: session.User{ID: id}}
	err := p.db.QueryRowContext(ctx, `SELECT name FROM app_users WHERE id = ?`, id).Scan(&person.User.Username)
	if errors.Is(err, sql.ErrNoRows) {
		return person, session.ErrUnknownUser
	}
	if err != nil {
		return person, err
	}
	rows, err := p.db.QueryContext(ctx, `SELECT id, name, type, url, is_default FROM app_platforms WHERE user_id = ? ORDER BY id`, id)
	if err != nil {
		return person, err
	}
	defer rows.Close()
	for rows.Next() {
		var pl session.Platform
		if err := rows.Scan(&pl.ID, &pl.Name, &pl.Type, &pl.InstanceURL, &pl.IsDefault); err != nil {
			return person, err
		}
		person.Platforms = append(person.Platforms, pl)
	}
	return person, rows.Err()
}

// login checks a name and a password. The epoch of sign-ins is read before the
// password: whoever is signed out everywhere in between stays out.
func (a *app) login(ctx context.Context, c sessionhttp.Credentials) (req session.CreateRequest, err error) {
	var salt, want []byte
	err = a.people.db.QueryRowContext(ctx, `SELECT id FROM app_users WHERE name = ?`, c.Username).Scan(&req.UserID)
	if err == nil {
		req.SignInEpoch, err = a.manager.SignInEpoch(ctx, req.UserID)
	}
	if err == nil {
		err = a.people.db.QueryRowContext(ctx, `SELECT salt, hash FROM app_users WHERE id = ?`, req.UserID).Scan(&salt, &want)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return req, fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	got, err := hashed(c.Password, salt) // for nobody too: they wait as long
	if err != nil || subtle.ConstantTimeCompare(got, want) != 1 {
		return req, sessionhttp.ErrBadCredentials
	}
	return req, nil
}

func hashed(password string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, 100_000, 32)
}
