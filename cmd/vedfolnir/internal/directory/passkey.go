package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

const (
	// handleLength is the most that WebAuthn allows, and what it recommends.
	handleLength = 64
	// passkeysMost of one person: enough for every device they have.
	passkeysMost = 20
	// passkeyNameMost characters.
	passkeyNameMost = 60
)

var (
	// ErrNoPasskey: there is no such one of the person's.
	ErrNoPasskey = errors.New("there is no such passkey")
	// ErrLastWayIn: without it the person could not sign in any more.
	ErrLastWayIn = errors.New("it is the only way to sign in")
)

// Passkey is the public half of a key pair whose private half a person's
// authenticator holds: a credential of WebAuthn.
type Passkey struct {
	ID         []byte   // of the credential, as the authenticator made it
	Site       string   // the host's name that it is bound to
	PublicKey  []byte   // a COSE_Key
	Name       string   // what the person calls it
	Model      [16]byte // of the authenticator, its AAGUID; zero: not told
	Transports []string // how to reach it
	// BackupEligible: it may be copied to other devices of the person. BackedUp: it
	// has been.
	BackupEligible, BackedUp bool
	SignCount                uint32 // 0: its authenticator does not count
	CreatedAt                time.Time
	LastUsed                 time.Time // zero: never
}

// Holder is a person as authenticators know them.
type Holder struct {
	Handle   []byte // random: it tells nothing of the person
	Username string
	Passkeys []Passkey // those they have, the oldest first
}

// Holder returns the person with their passkeys, or [session.ErrUnknownUser]. A
// handle is made if they have none.
func (d *Directory) Holder(ctx context.Context, id session.UserID) (h Holder, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return h, session.ErrUnknownUser
	}
	err = d.db.QueryRowContext(ctx, `SELECT handle, username FROM directory_people WHERE id = ?`, key).Scan(&h.Handle, &h.Username)
	if err == nil && h.Handle == nil {
		h.Handle = make([]byte, handleLength)
		rand.Read(h.Handle)
		err = d.db.QueryRowContext(ctx, `UPDATE directory_people SET handle = coalesce(handle, ?) WHERE id = ? RETURNING handle`, h.Handle, key).Scan(&h.Handle)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return h, session.ErrUnknownUser
	}
	if err == nil {
		h.Passkeys, err = d.passkeys(ctx, key)
	}
	if err != nil {
		return h, fmt.Errorf("directory: read passkeys: %w", err)
	}
	return h, nil
}

// Passkeys of the person, the oldest first.
func (d *Directory) Passkeys(ctx context.Context, id session.UserID) ([]Passkey, error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, session.ErrUnknownUser
	}
	list, err := d.passkeys(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("directory: read passkeys: %w", err)
	}
	return list, nil
}

const passkeyColumns = `k.id, k.site, k.public_key, k.name, k.model, k.transports, k.backup_eligible, k.backed_up, k.sign_count, k.created_at, k.last_used`

func scanPasskey(row interface{ Scan(...any) error }, more ...any) (p Passkey, err error) {
	var model []byte
	var transports string
	var created, used int64
	err = row.Scan(append([]any{
		&p.ID, &p.Site, &p.PublicKey, &p.Name, &model, &transports, &p.BackupEligible, &p.BackedUp, &p.SignCount, &created, &used,
	}, more...)...)
	copy(p.Model[:], model)
	p.Transports, p.CreatedAt, p.LastUsed = strings.Fields(transports), fromMicros(created), fromMicros(used)
	return p, err
}

func (d *Directory) passkeys(ctx context.Context, person int64) (list []Passkey, err error) {
	rows, err := d.db.QueryContext(ctx, `SELECT `+passkeyColumns+` FROM directory_passkeys k WHERE k.person_id = ? ORDER BY k.created_at, k.id`, person)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanPasskey(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// AddPasskey gives the person one more, which answers a challenge that is spent by
// it, and tells them in the same transaction. [ErrTaken]: somebody has it already. A
// [RuleError] tells what is wrong. Call Manager.DirectoryChanged.
func (d *Directory) AddPasskey(ctx context.Context, id session.UserID, p Passkey, answered Once, tell ...notice.Notice) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	if err := checkPasskeyName(p.Name); err != nil {
		return err
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, fmt.Sprintf("passkeys of %d", key)); err != nil { // or two would count without each other
			return err
		}
		if err := tx.spend(ctx, p.CreatedAt, answered); err != nil {
			return err
		}
		err := tx.change(ctx, ErrTaken, `
			INSERT INTO directory_passkeys (id, person_id, site, public_key, name, model, transports, backup_eligible, backed_up, sign_count, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			p.ID, key, p.Site, p.PublicKey, p.Name, p.Model[:], strings.Join(p.Transports, " "), p.BackupEligible, p.BackedUp, p.SignCount, p.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM directory_passkeys WHERE person_id = ?`, key).Scan(&n); err != nil {
			return err
		}
		if n > passkeysMost {
			return broken("you have %d passkeys already: remove one that you do not use", passkeysMost)
		}
		if err := d.tellAll(ctx, tx, key, tell); err != nil {
			return err
		}
		return d.note(ctx, tx, "passkey_added", key, 0, "")
	})
	if err != nil {
		return fmt.Errorf("directory: add passkey: %w", err)
	}
	return nil
}

func checkPasskeyName(name string) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(name)); n == 0 || n > passkeyNameMost || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return broken("give the passkey a name of 1 to %d characters, in one line", passkeyNameMost)
	}
	return nil
}

// PasskeyOwner finds whose passkey that is. As with [Directory.Find], to find nobody
// is no error.
func (d *Directory) PasskeyOwner(ctx context.Context, passkey []byte) (Account, error) {
	var a Account
	err := d.db.QueryRowContext(ctx, `SELECT person_id FROM directory_passkeys WHERE id = ?`, passkey).Scan(&a.row)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("directory: find passkey: %w", err)
	}
	a.ID = session.UserID(strconv.FormatInt(a.row, 10))
	return a, nil
}

// HolderOf returns the account's handle and that one passkey, as they are now, or
// [ErrCredentials]: there is none, or they may not sign in.
func (d *Directory) HolderOf(ctx context.Context, a Account, passkey []byte) (h Holder, err error) {
	row := d.db.QueryRowContext(ctx, `
		SELECT `+passkeyColumns+`, p.handle, p.username
		FROM directory_passkeys k JOIN directory_people p ON p.id = k.person_id
		WHERE k.id = ? AND p.id = ? AND NOT p.disabled AND (NOT p.demo OR ?)`, passkey, a.row, d.config.AllowDemoPeople)
	p, err := scanPasskey(row, &h.Handle, &h.Username)
	if errors.Is(err, sql.ErrNoRows) {
		return Holder{}, ErrCredentials
	}
	if err != nil {
		return Holder{}, fmt.Errorf("directory: read passkey: %w", err)
	}
	h.Passkeys = []Passkey{p}
	return h, nil
}

// UsePasskey notes that the account's passkey has answered a challenge, which is
// spent by it: p is as it is since. [ErrSpent]: the challenge was answered before.
// [ErrCredentials]: the passkey was removed, or the person may not sign in.
func (d *Directory) UsePasskey(ctx context.Context, a Account, p Passkey, answered Once) error {
	err := d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.spend(ctx, p.LastUsed, answered); err != nil {
			return err
		}
		return tx.change(ctx, ErrCredentials, `
			UPDATE directory_passkeys SET backed_up = ?1, last_used = ?2, sign_count = CASE WHEN sign_count < ?3 THEN ?3 ELSE sign_count END
			WHERE id = ?4 AND person_id = (SELECT id FROM directory_people WHERE id = ?5 AND NOT disabled AND (NOT demo OR ?6))`,
			p.BackedUp, p.LastUsed.UnixMicro(), int64(p.SignCount), p.ID, a.row, d.config.AllowDemoPeople)
	})
	if err != nil {
		return fmt.Errorf("directory: use passkey: %w", err)
	}
	return nil
}

// RenamePasskey returns [ErrNoPasskey] if it is not the person's, and a [RuleError]
// if the name will not do.
func (d *Directory) RenamePasskey(ctx context.Context, id session.UserID, passkey []byte, name string) error {
	if err := checkPasskeyName(name); err != nil {
		return err
	}
	return d.changePasskey(ctx, "rename passkey", "passkey_renamed", id, func(tx *transaction, person int64) error {
		return tx.change(ctx, ErrNoPasskey, `UPDATE directory_passkeys SET name = ? WHERE id = ? AND person_id = ?`, strings.TrimSpace(name), passkey, person)
	})
}

// RemovePasskey returns [ErrNoPasskey] if it is not the person's, and
// [ErrLastWayIn] if they have neither another one nor a password or a link. They are
// told in the same transaction. End their other sessions with the reason
// CredentialChanged.
func (d *Directory) RemovePasskey(ctx context.Context, id session.UserID, passkey []byte, tell ...notice.Notice) error {
	return d.changePasskey(ctx, "remove passkey", "passkey_removed", id, func(tx *transaction, person int64) error {
		if err := tx.alone(ctx, waysIn); err != nil {
			return err
		}
		if err := tx.change(ctx, ErrNoPasskey, `DELETE FROM directory_passkeys WHERE id = ? AND person_id = ?`, passkey, person); err != nil {
			return err
		}
		if in, err := tx.hasWayIn(ctx, person); err != nil || !in {
			return cmp.Or(err, ErrLastWayIn)
		}
		return d.tellAll(ctx, tx, person, tell)
	})
}

// waysIn is what whoever takes one away is alone with.
const waysIn = "ways in"

// hasWayIn reports whether the person can sign in, by whatever.
func (tx *transaction) hasWayIn(ctx context.Context, person int64) (in bool, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM directory_people WHERE id = ?1 AND password <> '')
			OR EXISTS (SELECT 1 FROM directory_passkeys WHERE person_id = ?1)
			OR EXISTS (SELECT 1 FROM directory_openid_links WHERE person_id = ?1)`, person).Scan(&in)
	return in, err
}

// changePasskey does something to one of the person's passkeys.
func (d *Directory) changePasskey(ctx context.Context, what, action string, id session.UserID, do func(tx *transaction, person int64) error) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := do(tx, key); err != nil {
			return err
		}
		return d.note(ctx, tx, action, key, 0, "")
	})
	if err != nil {
		return fmt.Errorf("directory: %s: %w", what, err)
	}
	return nil
}

// As is the directory as the person uses it: the audit names them as who did it.
func (d *Directory) As(id session.UserID) *Directory {
	own := *d
	own.config.By = string(id)
	return &own
}
