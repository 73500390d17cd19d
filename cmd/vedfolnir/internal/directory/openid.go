package directory

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/vedfolnir/session"
)

var (
	// ErrLinked: who that is at the provider is linked to somebody already, or the
	// person to somebody else there.
	ErrLinked = errors.New("the link is taken")
	// ErrNoLink: there is no such one of the person's.
	ErrNoLink = errors.New("there is no such link")
)

// Identity is somebody by the word of an OpenID provider. Both together are theirs for
// ever; an e-mail address is not.
type Identity struct{ Issuer, Subject string }

// Link ties a person to who they are at a provider, where they may then sign in.
type Link struct {
	Identity
	LinkedAt time.Time
	LastUsed time.Time // zero: never
}

// Linked returns whose link it is, or [session.ErrUnknownUser].
func (d *Directory) Linked(ctx context.Context, s Identity) (session.UserID, error) {
	var row int64
	err := d.db.QueryRowContext(ctx, `SELECT person_id FROM directory_openid_links WHERE issuer = ? AND subject = ?`, s.Issuer, s.Subject).Scan(&row)
	if errors.Is(err, sql.ErrNoRows) {
		return "", session.ErrUnknownUser
	}
	if err != nil {
		return "", fmt.Errorf("directory: find link: %w", err)
	}
	return session.UserID(strconv.FormatInt(row, 10)), nil
}

// UseLink notes that the person signs in by it, or returns [ErrNoLink] if it is not
// theirs any more.
func (d *Directory) UseLink(ctx context.Context, id session.UserID, s Identity, now time.Time) error {
	key, err := rowID(string(id))
	if err != nil {
		return fmt.Errorf("directory: use link: %w", ErrNoLink)
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		return tx.change(ctx, ErrNoLink, `UPDATE directory_openid_links SET last_used = ? WHERE issuer = ? AND subject = ? AND person_id = ?`, now.UnixMicro(), s.Issuer, s.Subject, key)
	})
	if err != nil {
		return fmt.Errorf("directory: use link: %w", err)
	}
	return nil
}

// Links of the person, the oldest first.
func (d *Directory) Links(ctx context.Context, id session.UserID) (links []Link, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, nil
	}
	rows, err := d.db.QueryContext(ctx, `SELECT issuer, subject, linked_at, last_used FROM directory_openid_links WHERE person_id = ? ORDER BY linked_at, issuer`, key)
	if err != nil {
		return nil, fmt.Errorf("directory: read links: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Link
		var made, used int64
		if err := rows.Scan(&l.Issuer, &l.Subject, &made, &used); err != nil {
			return nil, fmt.Errorf("directory: read links: %w", err)
		}
		l.LinkedAt, l.LastUsed = fromMicros(made), fromMicros(used)
		links = append(links, l)
	}
	return links, rows.Err()
}

// ProvesHere reports whether the person has something by which they can prove here who
// they are, and not at a provider alone.
func (d *Directory) ProvesHere(ctx context.Context, id session.UserID) (here bool, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return false, session.ErrUnknownUser
	}
	err = d.db.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM directory_people WHERE id = ?1 AND password <> '')
			OR EXISTS (SELECT 1 FROM directory_passkeys WHERE person_id = ?1)`, key).Scan(&here)
	if err != nil {
		return false, fmt.Errorf("directory: read ways to prove: %w", err)
	}
	return here, nil
}

// Link ties the person to s. Errors: [session.ErrUnknownUser], [ErrLinked]. To do so
// twice is no error.
func (d *Directory) Link(ctx context.Context, id session.UserID, s Identity, now time.Time) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_openid_links"); err != nil {
			return err
		}
		var own, taken bool
		err := tx.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM directory_openid_links WHERE issuer = ?1 AND subject = ?2 AND person_id = ?3),
				EXISTS (SELECT 1 FROM directory_openid_links WHERE issuer = ?1 AND (subject = ?2 OR person_id = ?3))`, s.Issuer, s.Subject, key).Scan(&own, &taken)
		switch {
		case err != nil || own:
			return err
		case taken:
			return ErrLinked
		}
		return d.insertLink(ctx, tx, key, s, now)
	})
	if err != nil {
		return fmt.Errorf("directory: link: %w", err)
	}
	return nil
}

func (d *Directory) insertLink(ctx context.Context, tx *transaction, person int64, s Identity, now time.Time) error {
	err := tx.change(ctx, session.ErrUnknownUser, `
		INSERT INTO directory_openid_links (issuer, subject, person_id, linked_at)
		SELECT ?1, ?2, id, ?4 FROM directory_people WHERE id = ?3 ON CONFLICT DO NOTHING`, s.Issuer, s.Subject, person, now.UnixMicro())
	if err != nil {
		return err
	}
	return d.note(ctx, tx, "openid_linked", person, 0, "")
}

// Unlink returns [ErrNoLink] if it is not the person's, and [ErrLastWayIn] if they
// could not sign in without it. End their other sessions with the reason
// CredentialChanged.
func (d *Directory) Unlink(ctx context.Context, id session.UserID, s Identity) error {
	key, err := rowID(string(id))
	if err != nil {
		return fmt.Errorf("directory: unlink: %w", ErrNoLink)
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, waysIn); err != nil {
			return err
		}
		if err := tx.change(ctx, ErrNoLink, `DELETE FROM directory_openid_links WHERE issuer = ? AND subject = ? AND person_id = ?`, s.Issuer, s.Subject, key); err != nil {
			return err
		}
		if in, err := tx.hasWayIn(ctx, key); err != nil || !in {
			return errors.Join(err, ErrLastWayIn)
		}
		return d.note(ctx, tx, "openid_unlinked", key, 0, "")
	})
	if err != nil {
		return fmt.Errorf("directory: unlink: %w", err)
	}
	return nil
}

// ProviderSession says which of a provider's sessions one of ours began in.
type ProviderSession struct {
	Identity
	SessionID string // the provider's; empty: it was not told
	Session   session.ID
	User      session.UserID
	Until     time.Time // ours is over by then
}

// Began keeps it, for [Directory.SignedOutThere]. over: the person has signed out at
// the provider since then, while they were signing in here, and the session has to
// end.
func (d *Directory) Began(ctx context.Context, s ProviderSession, since, now time.Time) (over bool, err error) {
	key, err := rowID(string(s.User))
	if err != nil {
		return false, session.ErrUnknownUser
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		// One of the two sees the other: this sign-in, or a sign-out at the same moment.
		if err := tx.alone(ctx, "directory_openid_sessions"); err != nil {
			return err
		}
		if err := tx.forget(ctx, now, "directory_openid_sessions", "session"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO directory_openid_sessions (session, person_id, issuer, subject, sid, good_until) VALUES (?, ?, ?, ?, ?, ?)`,
			s.Session[:], key, s.Issuer, s.Subject, s.SessionID, s.Until.UnixMicro())
		if err != nil {
			return err
		}
		over, err = tx.signedOutThere(ctx, s, since)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("directory: keep provider's session: %w", err)
	}
	return over, nil
}

// signedOutThere reports whether the person has signed out of that session since then.
func (tx *transaction) signedOutThere(ctx context.Context, s ProviderSession, since time.Time) (over bool, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM directory_openid_logouts
			WHERE issuer = ?1 AND heard_at >= ?2 AND (subject = ?3 AND (sid IN ('', ?4) OR ?4 = '') OR subject = '' AND sid = ?4 AND ?4 <> ''))`,
		s.Issuer, since.UnixMicro(), s.Subject, s.SessionID).Scan(&over)
	return over, err
}

// WentOn says that a session which began at the provider goes on in another one there,
// since its person has proved anew who they are. Any other session is none of its
// business. over is as with [Directory.Began].
func (d *Directory) WentOn(ctx context.Context, s ProviderSession, since time.Time) (over bool, err error) {
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_openid_sessions"); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE directory_openid_sessions SET sid = ? WHERE session = ? AND issuer = ? AND subject = ?`,
			s.SessionID, s.Session[:], s.Issuer, s.Subject)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		over, err = tx.signedOutThere(ctx, s, since)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("directory: keep provider's session: %w", err)
	}
	return over, nil
}

// ProviderLogout is a provider's word that somebody has signed out there.
type ProviderLogout struct {
	Issuer    string
	ID        string    // never twice from one issuer
	Subject   string    // empty: whoever's SessionID is
	SessionID string    // empty: all of Subject's
	Until     time.Time // it is not taken any more from then on
}

// thing is what is spent by it.
func (l ProviderLogout) thing() []byte { return thing("openid logout", l.Issuer, l.ID) }

// SignedOutThere returns the sessions that have to end: those that began in that
// session of the provider's, or of the same person there in one that it has not told.
// [ErrSpent]: that was done before. Call [Directory.LoggedOut] when it is done; until
// then the same word may come again.
func (d *Directory) SignedOutThere(ctx context.Context, l ProviderLogout, now time.Time) (sessions []session.ID, err error) {
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_openid_sessions"); err != nil {
			return err
		}
		var spent bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_spent WHERE thing = ?)`, l.thing()).Scan(&spent)
		if err != nil || spent {
			return errors.Join(err, ErrSpent)
		}
		if err := tx.forget(ctx, now, "directory_openid_logouts", "thing"); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO directory_openid_logouts (thing, issuer, subject, sid, heard_at, good_until) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			l.thing(), l.Issuer, l.Subject, l.SessionID, now.UnixMicro(), l.Until.UnixMicro())
		if err != nil {
			return err
		}
		sessions, err = tx.sessionsOf(ctx, l)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: find provider's sessions: %w", err)
	}
	return sessions, nil
}

func (tx *transaction) sessionsOf(ctx context.Context, l ProviderLogout) (sessions []session.ID, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT session FROM directory_openid_sessions
		WHERE issuer = ?1 AND (subject = ?2 AND (?3 = '' OR sid = '') OR sid = ?3 AND ?3 <> '' AND ?2 IN ('', subject))`, l.Issuer, l.Subject, l.SessionID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		sessions = append(sessions, session.ID(id))
	}
	return sessions, rows.Err()
}

// LoggedOut says that these sessions have ended: they are forgotten here, and the same
// word is not taken again.
func (d *Directory) LoggedOut(ctx context.Context, l ProviderLogout, ended []session.ID, now time.Time) error {
	err := d.inTransaction(ctx, func(tx *transaction) error {
		for _, id := range ended {
			if _, err := tx.ExecContext(ctx, `DELETE FROM directory_openid_sessions WHERE session = ?`, id[:]); err != nil {
				return err
			}
		}
		return tx.spend(ctx, now, Once{l.thing(), l.Until})
	})
	if err != nil && !errors.Is(err, ErrSpent) { // the same word, at the same moment
		return fmt.Errorf("directory: note provider's sign-out: %w", err)
	}
	return nil
}

// Spend notes that what is good for one time is used now, or returns [ErrSpent].
func (d *Directory) Spend(ctx context.Context, now time.Time, until time.Time, parts ...string) error {
	err := d.inTransaction(ctx, func(tx *transaction) error { return tx.spend(ctx, now, Once{thing(parts...), until}) })
	if err != nil {
		return fmt.Errorf("directory: spend: %w", err)
	}
	return nil
}

// thing is a hash of the parts, so that what is spent tells nothing.
func thing(parts ...string) []byte {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		hash.Write([]byte(part))
	}
	return hash.Sum(nil)
}

// forget some rows of a table that are good no more.
func (tx *transaction) forget(ctx context.Context, now time.Time, table, key string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE `+key+` IN (SELECT `+key+` FROM `+table+` WHERE good_until <= ? LIMIT 16)`, now.UnixMicro())
	return err
}

// ProviderSessions are those that are kept of the person.
func (d *Directory) ProviderSessions(ctx context.Context, id session.UserID) (list []ProviderSession, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, nil
	}
	rows, err := d.db.QueryContext(ctx, `
		SELECT session, issuer, subject, sid, good_until FROM directory_openid_sessions WHERE person_id = ? ORDER BY good_until, session`, key)
	if err != nil {
		return nil, fmt.Errorf("directory: read provider's sessions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		s := ProviderSession{User: id}
		var handle []byte
		var until int64
		if err := rows.Scan(&handle, &s.Issuer, &s.Subject, &s.SessionID, &until); err != nil {
			return nil, fmt.Errorf("directory: read provider's sessions: %w", err)
		}
		s.Session, s.Until = session.ID(handle), fromMicros(until)
		list = append(list, s)
	}
	return list, rows.Err()
}
