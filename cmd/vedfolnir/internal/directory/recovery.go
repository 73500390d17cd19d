package directory

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

const (
	recoveryCodes = 10
	// recoveryLetters of 5 bits each. With 120 bits, more than the 112 of NIST SP
	// 800-63B-4, 3.1.2.2, a code need not be hashed as a password is: nobody tries
	// them all.
	recoveryLetters = 24
	recoveryGroup   = 4
	// recoveryAlphabet is Crockford's, without letters that are taken for others.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// recoveryTypos are what people type for letters of the alphabet.
var recoveryTypos = strings.NewReplacer("-", "", " ", "", "\t", "", "\n", "", "\r", "", "o", "0", "i", "1", "l", "1")

// RecoveryCode is one of those that a person was given; the code itself is kept
// nowhere.
type RecoveryCode struct {
	MadeAt time.Time
	UsedAt time.Time // zero: it is good
}

// MakeRecoveryCodes returns new ones, of which each sets a new password once; those
// from before are good no more. The person is told in the same transaction. Call
// Manager.DirectoryChanged.
func (d *Directory) MakeRecoveryCodes(ctx context.Context, id session.UserID, now time.Time, tell ...notice.Notice) ([]string, error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, session.ErrUnknownUser
	}
	codes := make([]string, recoveryCodes)
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM directory_recovery_codes WHERE person_id = ?`, key); err != nil {
			return err
		}
		for i := range codes {
			codes[i] = newRecoveryCode()
			_, err := tx.ExecContext(ctx, `INSERT INTO directory_recovery_codes (hash, person_id, made_at) VALUES (?, ?, ?)`, recoveryHash(codes[i]), key, now.UnixMicro())
			if err != nil {
				return err
			}
		}
		if err := d.tellAll(ctx, tx, key, tell); err != nil {
			return err
		}
		return d.note(ctx, tx, "recovery_codes_made", key, 0, "")
	})
	if err != nil {
		return nil, fmt.Errorf("directory: make recovery codes: %w", err)
	}
	return codes, nil
}

func newRecoveryCode() string {
	random := make([]byte, recoveryLetters)
	rand.Read(random)
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%recoveryGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(recoveryAlphabet[int(r)%len(recoveryAlphabet)]) // 32 letters: all are as likely
	}
	return b.String()
}

// recoveryHash is that of the code as it was shown, however it was typed.
func recoveryHash(code string) []byte {
	hash := sha256.Sum256([]byte(recoveryTypos.Replace(strings.ToLower(code))))
	return hash[:]
}

// RecoveryCodes of the person, those that were used too.
func (d *Directory) RecoveryCodes(ctx context.Context, id session.UserID) (list []RecoveryCode, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, session.ErrUnknownUser
	}
	rows, err := d.db.QueryContext(ctx, `SELECT made_at, used_at FROM directory_recovery_codes WHERE person_id = ? ORDER BY used_at, hash`, key)
	if err != nil {
		return nil, fmt.Errorf("directory: read recovery codes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var made, used int64
		if err := rows.Scan(&made, &used); err != nil {
			return nil, fmt.Errorf("directory: read recovery codes: %w", err)
		}
		list = append(list, RecoveryCode{fromMicros(made), fromMicros(used)})
	}
	return list, rows.Err()
}

// Recover uses up a recovery code of the account and replaces its password, or
// returns [ErrCredentials]: there is no such person, they may not sign in, or the
// code is not one that is good. With a [RuleError], which is told to who has a good
// code only, it stays good. The person is told in the same transaction, and by a
// notice.RecoveryCodeUsed of how many are left. End their sessions with
// Manager.RevokeUser and the reason CredentialChanged.
func (d *Directory) Recover(ctx context.Context, a Account, code, password string, now time.Time, tell ...notice.Notice) error {
	var good bool
	err := d.db.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM directory_recovery_codes c JOIN directory_people p ON p.id = c.person_id
		WHERE c.hash = ? AND p.id = ? AND c.used_at = 0 AND NOT p.disabled AND (NOT p.demo OR ?))`,
		recoveryHash(code), a.row, d.config.AllowDemoPeople).Scan(&good)
	if err != nil {
		return fmt.Errorf("directory: read recovery code: %w", err)
	}
	if !good {
		return ErrCredentials
	}
	hash, err := d.newHash(ctx, a.ID, password)
	if err != nil {
		return err
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		// With ErrCredentials, somebody was first.
		err := tx.change(ctx, ErrCredentials, `UPDATE directory_recovery_codes SET used_at = ? WHERE hash = ? AND person_id = ? AND used_at = 0`, now.UnixMicro(), recoveryHash(code), a.row)
		if err != nil {
			return err
		}
		if err := tx.change(ctx, ErrCredentials, `UPDATE directory_people SET password = ?, demo = FALSE WHERE id = ? AND NOT disabled`, hash, a.row); err != nil {
			return err
		}
		var left int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM directory_recovery_codes WHERE person_id = ? AND used_at = 0`, a.row).Scan(&left); err != nil {
			return err
		}
		for _, n := range tell {
			if n.Kind == notice.RecoveryCodeUsed {
				n.Detail = strconv.Itoa(left)
			}
			if err := d.tell(ctx, tx, a.row, n); err != nil {
				return err
			}
		}
		if err := d.note(ctx, tx, "recovery_code_used", a.row, 0, ""); err != nil {
			return err
		}
		return d.note(ctx, tx, "password_set", a.row, 0, "")
	})
	if err != nil {
		return fmt.Errorf("directory: recover: %w", err)
	}
	return nil
}
