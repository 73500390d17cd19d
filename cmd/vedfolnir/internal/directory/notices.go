package directory

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

// detailMost is how many characters of a notice's detail are kept.
const detailMost = 200

// Tell notes what the person should see of what happened to their account, and puts
// the message for the operator's webhook beside it, in one transaction. The error of
// nobody is [session.ErrUnknownUser]. Call Manager.DirectoryChanged.
func (d *Directory) Tell(ctx context.Context, id session.UserID, n notice.Notice) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	err = d.inTransaction(ctx, func(tx *transaction) error { return d.tell(ctx, tx, key, n) })
	if err != nil {
		return fmt.Errorf("directory: tell a person: %w", err)
	}
	return nil
}

// tell is Tell in the transaction of what it tells.
func (d *Directory) tell(ctx context.Context, tx *transaction, person int64, n notice.Notice) error {
	n.Detail = storable(n.Detail)
	// One after the other for each person, so that ids are in the order of commits:
	// nothing comes up below what has been seen.
	if err := tx.alone(ctx, "directory_notices of "+strconv.FormatInt(person, 10)); err != nil {
		return err
	}
	e, err := scanEntry(tx.QueryRowContext(ctx, selectEntry+`WHERE id = ?`, person))
	if err == sql.ErrNoRows {
		return session.ErrUnknownUser
	}
	if err != nil {
		return err
	}
	once := n.Times
	if n, err = grown(ctx, tx, person, n); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO directory_notices (person_id, kind, first_at, last_at, times, device, address, several, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		person, n.Kind, n.First.UnixMicro(), n.Last.UnixMicro(), n.Times, n.Device, n.Address, n.Several, n.Detail)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		DELETE FROM directory_notices WHERE person_id = ?1 AND kind = ?2 AND id <= (
			SELECT id FROM directory_notices WHERE person_id = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)`,
		person, n.Kind, notice.KeptOfKind)
	if err != nil || d.config.Message == nil {
		return err
	}
	return d.post(ctx, tx, person, d.config.Message(e, n, n.Times-once), n.Last)
}

func (d *Directory) tellAll(ctx context.Context, tx *transaction, person int64, notices []notice.Notice) error {
	for _, n := range notices {
		if err := d.tell(ctx, tx, person, n); err != nil {
			return err
		}
	}
	return nil
}

// grown takes the unseen line that n belongs to out of the table, and returns it
// with n in it: it is written anew. Without one that is n.
func grown(ctx context.Context, tx *transaction, person int64, n notice.Notice) (notice.Notice, error) {
	rows, err := tx.QueryContext(ctx, selectNotices+`AND n.kind = ?2 AND n.id > p.notices_seen`, person, n.Kind)
	if err != nil {
		return n, err
	}
	lines, err := scanNotices(rows)
	if err != nil {
		return n, err
	}
	for _, old := range lines {
		if n.Joins(old) {
			_, err := tx.ExecContext(ctx, `DELETE FROM directory_notices WHERE id = ?`, old.ID)
			return n.After(old), err
		}
	}
	return n, nil
}

// Notices are what the person was told, what happened last first. (Some are gathered, and
// told after others that happened later: those have the lower ids.)
func (d *Directory) Notices(ctx context.Context, id session.UserID) ([]notice.Notice, error) {
	key, err := rowID(string(id))
	if err != nil {
		return nil, session.ErrUnknownUser
	}
	rows, err := d.db.QueryContext(ctx, selectNotices+`ORDER BY n.last_at DESC, n.id DESC`, key)
	if err != nil {
		return nil, fmt.Errorf("directory: read notices: %w", err)
	}
	lines, err := scanNotices(rows)
	if err != nil {
		return nil, fmt.Errorf("directory: read notices: %w", err)
	}
	return lines, nil
}

const selectNotices = `
	SELECT n.id, n.kind, n.first_at, n.last_at, n.times, n.device, n.address, n.several, n.detail, n.id > p.notices_seen
	FROM directory_notices n JOIN directory_people p ON p.id = n.person_id WHERE p.id = ?1 `

func scanNotices(rows *sql.Rows) (lines []notice.Notice, err error) {
	defer rows.Close()
	for rows.Next() {
		var n notice.Notice
		var first, last int64
		if err := rows.Scan(&n.ID, &n.Kind, &first, &last, &n.Times, &n.Device, &n.Address, &n.Several, &n.Detail, &n.New); err != nil {
			return nil, err
		}
		n.First, n.Last = fromMicros(first), fromMicros(last)
		lines = append(lines, n)
	}
	return lines, rows.Err()
}

// NewNotices counts those that the person has not seen.
func (d *Directory) NewNotices(ctx context.Context, id session.UserID) (n int, err error) {
	key, err := rowID(string(id))
	if err != nil {
		return 0, session.ErrUnknownUser
	}
	err = d.db.QueryRowContext(ctx, `
		SELECT count(*) FROM directory_notices n JOIN directory_people p ON p.id = n.person_id
		WHERE p.id = ? AND n.id > p.notices_seen`, key).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("directory: count notices: %w", err)
	}
	return n, nil
}

// SeeNotices notes that the person has seen what they were told, up to that notice.
// Call Manager.DirectoryChanged.
func (d *Directory) SeeNotices(ctx context.Context, id session.UserID, upTo int64) error {
	key, err := rowID(string(id))
	if err != nil {
		return session.ErrUnknownUser
	}
	// Never past what there is: what comes later has not been seen.
	_, err = d.db.ExecContext(ctx, `
		UPDATE directory_people SET notices_seen = (SELECT max(id) FROM directory_notices WHERE person_id = ?1 AND id <= ?2)
		WHERE id = ?1 AND notices_seen < (SELECT max(id) FROM directory_notices WHERE person_id = ?1 AND id <= ?2)`, key, upTo)
	if err != nil {
		return fmt.Errorf("directory: note what was seen: %w", err)
	}
	return nil
}

// ForgetNotices removes those whose last time is before the given one, so many at
// once, and returns how many it removed.
func (d *Directory) ForgetNotices(ctx context.Context, before time.Time, most int) (int, error) {
	result, err := d.db.ExecContext(ctx, `
		DELETE FROM directory_notices WHERE last_at < ?1
			AND id IN (SELECT id FROM directory_notices WHERE last_at < ?1 LIMIT ?2)`, before.UnixMicro(), most)
	if err != nil {
		return 0, fmt.Errorf("directory: forget notices: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// readable is text that every engine takes.
func readable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// storable is readable and not too long.
func storable(text string) string {
	text = readable(text)
	if utf8.RuneCountInString(text) > detailMost {
		text = string([]rune(text)[:detailMost])
	}
	return text
}
