// Package transfer moves everything from a SQLite file to a PostgreSQL database:
// people, sessions, what ended, and the audit with its seals. Who is signed in stays
// signed in, for the hashes of the tokens move with the rest.
package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// ErrNotEmpty: there are people or sessions in the database already.
var ErrNotEmpty = errors.New("the database holds people or sessions already, and was left as it is")

// kind of a column there: it decides what becomes of a value.
type kind int

const (
	plain kind = iota // numbers, and texts of our own
	octets
	truth
)

type column struct {
	name string
	kind kind
}

// columns are given as one text: "name" is plain, "name*" any bytes, "name?" a truth.
func columns(text string) (cs []column) {
	for _, name := range strings.Fields(text) {
		c := column{name: strings.TrimRight(name, "*?")}
		switch name[len(name)-1] {
		case '*':
			c.kind = octets
		case '?':
			c.kind = truth
		}
		cs = append(cs, c)
	}
	return cs
}

// tables have the same names and columns in both.
var tables = []struct {
	name, key string
	columns   []column
}{
	{"session_users", "id", columns("id* sign_in_epoch rev")},
	{"sessions", "id", columns(`id* user_id* platform_id* version created_at renewed_at authenticated_at last_activity ended_at
		end_reason ended_by* ended_from* user_agent* ip_address* language* secret* previous* first_used fingerprint*
		switches_since switches signals rotated_at idle_limit until persistent? guest? impersonator* impersonated_from*
		level previous_authenticated_at previous_level`)},
	{"session_audit", "seq", columns("seq at action user_id* session* platform_id* reason by* ip_address* user_agent* request_id salt* personal*")},
	{"session_audit_checkpoints", "number", columns("number at oldest first before* last links* link* key signature*")},
	{"directory_people", "id", columns("id username username_key email email_key password role demo? disabled? handle* notices_seen")},
	{"directory_platforms", "id", columns("id person_id name platform_type instance_url username is_default? active? last_used")},
	{"directory_passkeys", "id", columns(`id* person_id site public_key* name model* transports backup_eligible? backed_up? sign_count
		created_at last_used`)},
	{"directory_recovery_codes", "hash", columns("hash* person_id made_at used_at")},
	{"directory_openid_links", "issuer, subject", columns("issuer subject person_id linked_at last_used")},
	{"directory_openid_sessions", "session", columns("session* person_id issuer subject sid good_until")},
	{"directory_openid_logouts", "thing", columns("thing* issuer subject sid heard_at good_until")},
	{"directory_spent", "thing", columns("thing* good_until")},
	{"directory_notices", "id", columns("id person_id kind first_at last_at times device address several? detail")},
	{"directory_outbox", "id", columns("id message_id person_id body made_at attempts due_at problem")},
	{"directory_attempts", "bucket", columns("bucket full_at")},
}

// Moved counts rows.
type Moved struct{ People, Sessions, Lines int64 }

// Move copies all in one transaction: it is all there, or nothing. The tables of both
// are up to date. Nobody may change the file meanwhile.
func Move(ctx context.Context, from, to *sql.DB) (m Moved, err error) {
	c, err := to.Conn(ctx)
	if err != nil {
		return m, err
	}
	defer c.Close()
	err = c.Raw(func(raw any) error {
		return pgx.BeginFunc(ctx, raw.(*stdlib.Conn).Conn(), func(tx pgx.Tx) error {
			var holds bool
			err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM directory_people) OR EXISTS (SELECT FROM sessions)
				OR EXISTS (SELECT FROM session_audit)`).Scan(&holds)
			if err == nil && holds {
				err = ErrNotEmpty
			}
			if err != nil {
				return err
			}
			counts := map[string]int64{}
			for _, t := range tables {
				if counts[t.name], err = move(ctx, from, tx, t.name, t.key, t.columns); err != nil {
					return fmt.Errorf("move the table %s: %w", t.name, err)
				}
			}
			m = Moved{counts["directory_people"], counts["sessions"], counts["session_audit"]}
			return goOn(ctx, from, tx)
		})
	})
	return m, err
}

func move(ctx context.Context, from *sql.DB, tx pgx.Tx, table, key string, columns []column) (int64, error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	rows, err := from.QueryContext(ctx, `SELECT "`+strings.Join(names, `", "`)+`" FROM `+table+` ORDER BY `+key)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	return tx.CopyFrom(ctx, pgx.Identifier{table}, names, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		values := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return nil, err
		}
		for i, c := range columns {
			values[i] = c.kind.of(values[i])
		}
		return values, nil
	}))
}

// of is what a value of SQLite is there. What is NULL stays so.
func (k kind) of(value any) any {
	switch v := value.(type) {
	case string:
		if k == octets {
			return []byte(v)
		}
	case int64:
		if k == truth {
			return v != 0
		}
	}
	return value
}

// goOn has counters go on from where they were: no id is given twice, and the epoch
// rises, so that tabs take what is there.
func goOn(ctx context.Context, from *sql.DB, tx pgx.Tx) error {
	var epoch int64
	if err := from.QueryRowContext(ctx, `SELECT epoch FROM session_meta`).Scan(&epoch); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE session_meta SET epoch = greatest(epoch, $1 + 1)`, epoch); err != nil {
		return err
	}
	for _, table := range []string{"directory_people", "directory_platforms", "directory_notices", "directory_outbox"} {
		var last int64
		err := from.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = ?`, table).Scan(&last)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err == nil {
			_, err = tx.Exec(ctx, `SELECT setval(pg_get_serial_sequence($1, 'id'), $2)`, table, last)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
