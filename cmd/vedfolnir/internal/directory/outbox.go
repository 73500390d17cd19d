package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Message is one on its way to the operator's webhook. It has the same id and the
// same body each time that it is sent.
type Message struct {
	ID       string
	Body     []byte
	Made     time.Time
	Attempts int // to deliver it, this one too
}

// post puts a message into the outbox; without an id there is none.
func (d *Directory) post(ctx context.Context, tx *transaction, person int64, m Message, at time.Time) error {
	if m.ID == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO directory_outbox (message_id, person_id, body, made_at, due_at) VALUES (?1, ?2, ?3, ?4, ?4)`,
		m.ID, person, string(m.Body), at.UnixMicro())
	return err
}

// TakeMessages returns messages that are due, at most so many, for the caller alone
// to deliver until then: after that they count as not delivered, and are anybody's.
// Of each person it is the first that waits, so that theirs arrive in order.
func (d *Directory) TakeMessages(ctx context.Context, now, until time.Time, most int) (taken []Message, err error) {
	var due bool // looking costs less than taking, and mostly there is nothing
	err = d.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM directory_outbox WHERE due_at <= ?)`, now.UnixMicro()).Scan(&due)
	if err != nil {
		return nil, fmt.Errorf("directory: look into the outbox: %w", err)
	}
	if !due {
		return nil, nil
	}
	err = d.inTransaction(ctx, func(tx *transaction) error {
		if err := tx.alone(ctx, "directory_outbox"); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `
			UPDATE directory_outbox SET attempts = attempts + 1, due_at = ?1 WHERE id IN (
				SELECT id FROM directory_outbox o WHERE due_at <= ?2
					AND NOT EXISTS (SELECT 1 FROM directory_outbox b WHERE b.person_id = o.person_id AND b.id < o.id)
				ORDER BY due_at, id LIMIT ?3)
			RETURNING message_id, body, made_at, attempts`, until.UnixMicro(), now.UnixMicro(), most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m Message
			var body string
			var made int64
			if err := rows.Scan(&m.ID, &body, &made, &m.Attempts); err != nil {
				return err
			}
			m.Body, m.Made = []byte(body), fromMicros(made)
			taken = append(taken, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("directory: take messages: %w", err)
	}
	return taken, nil
}

// DropMessage takes a message out of the outbox: it was delivered, or never will be.
func (d *Directory) DropMessage(ctx context.Context, m Message) error {
	if _, err := d.db.ExecContext(ctx, `DELETE FROM directory_outbox WHERE message_id = ?`, m.ID); err != nil {
		return fmt.Errorf("directory: drop message: %w", err)
	}
	return nil
}

// PutBackMessage has a message that could not be delivered wait until then, unless
// somebody else has taken it meanwhile.
func (d *Directory) PutBackMessage(ctx context.Context, m Message, due time.Time, problem string) error {
	_, err := d.db.ExecContext(ctx, `UPDATE directory_outbox SET due_at = ?, problem = ? WHERE message_id = ? AND attempts = ?`,
		due.UnixMicro(), storable(problem), m.ID, m.Attempts)
	if err != nil {
		return fmt.Errorf("directory: put message back: %w", err)
	}
	return nil
}

// ForgetMessages removes those that were made before then, so many at once, and
// returns how many it removed: nobody has sent them, nor given them up.
func (d *Directory) ForgetMessages(ctx context.Context, before time.Time, most int) (int, error) {
	result, err := d.db.ExecContext(ctx, `
		DELETE FROM directory_outbox WHERE id IN (SELECT id FROM directory_outbox WHERE made_at < ? LIMIT ?)`, before.UnixMicro(), most)
	if err != nil {
		return 0, fmt.Errorf("directory: forget messages: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// Waiting is what is in the outbox.
type Waiting struct {
	Messages int
	Failing  int       // of them: an attempt has failed
	Since    time.Time // the oldest was made; zero: there is none
	Problem  string    // of the oldest that fails
}

// WaitingMessages looks into the outbox.
func (d *Directory) WaitingMessages(ctx context.Context) (w Waiting, err error) {
	var since sql.NullInt64
	err = d.db.QueryRowContext(ctx, `
		SELECT count(*), count(CASE WHEN problem <> '' THEN 1 END), min(made_at) FROM directory_outbox`).Scan(&w.Messages, &w.Failing, &since)
	if err == nil && w.Failing > 0 {
		err = d.db.QueryRowContext(ctx, `SELECT problem FROM directory_outbox WHERE problem <> '' ORDER BY id LIMIT 1`).Scan(&w.Problem)
		if errors.Is(err, sql.ErrNoRows) { // delivered meanwhile
			err = nil
		}
	}
	if err != nil {
		return w, fmt.Errorf("directory: look into the outbox: %w", err)
	}
	w.Since = fromMicros(since.Int64)
	return w, nil
}
