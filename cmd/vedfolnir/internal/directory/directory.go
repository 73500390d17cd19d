package directory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
	"github.com/vedfolnir/session/internal/background"
)

// Config of a [Directory]. The zero value is right for a server.
type Config struct {
	// Dialect is that of the database. Default: [SQLite].
	Dialect Dialect
	// AllowDemoPeople lets the people of a demo sign in, and their sessions live.
	// Their password is public.
	AllowDemoPeople bool
	// Password says what a new hash costs. Default: [StandardCost].
	Password Cost
	// Note writes an audit line in the transaction of what it tells. Default: none
	// is written.
	Note func(ctx context.Context, tx *sql.Tx, e session.AuditEvent) error
	// Message makes what the operator's webhook is sent of a notice to a person, whose
	// line told of so many times before: its id and body; one without an id is not
	// sent. Default: nothing is.
	Message func(e Entry, n notice.Notice, before int) Message
	// By is who does what is done, in those lines. Default: [session.System].
	By string
	// Logger gets what an operator should see. Default slog.Default().
	Logger *slog.Logger
}

// Directory of people and platforms. It is safe for concurrent use.
type Directory struct {
	config Config
	db     database
	hasher *hasher
	used   *background.Gathered[int64, use]
	life   *background.Life
}

var (
	_ session.Directory     = (*Directory)(nil)
	_ session.PlatformNoter = (*Directory)(nil)
)

// Open brings the tables up to date and returns a directory that works. The
// database stays the caller's: close it after the directory. Of several
// connections to SQLite, each must wait for the others' locks (busy_timeout).
func Open(ctx context.Context, db *sql.DB, config Config) (*Directory, error) {
	if config.Password == (Cost{}) {
		config.Password = StandardCost
	}
	if config.Note == nil {
		config.Note = func(context.Context, *sql.Tx, session.AuditEvent) error { return nil }
	}
	config.By = cmp.Or(config.By, session.System)
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if err := migrate(ctx, db, config.Dialect); err != nil {
		return nil, fmt.Errorf("directory: bring tables up to date: %w", err)
	}
	d := &Directory{config: config, db: database{db, config.Dialect}, hasher: newHasher(config.Password)}
	d.keepUsed()
	return d, nil
}

// Close stores what is known of the platforms' use. It may be called twice.
func (d *Directory) Close() error { return d.life.Close() }

// Person returns the user and their active platforms, the default one first, for
// the session manager.
func (d *Directory) Person(ctx context.Context, id session.UserID) (session.Person, error) {
	return d.person(ctx, id, false)
}

// person leaves out whoever may not sign in, unless everybody is asked for.
func (d *Directory) person(ctx context.Context, id session.UserID, everybody bool) (session.Person, error) {
	key, err := rowID(string(id))
	if err != nil {
		return session.Person{}, session.ErrUnknownUser
	}
	rows, err := d.db.QueryContext(ctx, `
		SELECT p.username, p.email, a.id, a.name, a.platform_type, a.instance_url, a.username, a.is_default, a.last_used
		FROM directory_people p LEFT JOIN directory_platforms a ON a.person_id = p.id AND a.active
		WHERE p.id = ? AND (? OR NOT p.disabled AND (NOT p.demo OR ?))
		ORDER BY a.is_default DESC, a.id`, key, everybody, d.config.AllowDemoPeople)
	if err != nil {
		return session.Person{}, fmt.Errorf("directory: read person: %w", err)
	}
	defer rows.Close()
	person := session.Person{}
	for rows.Next() {
		if err := scanPerson(rows, &person); err != nil {
			return session.Person{}, fmt.Errorf("directory: read person: %w", err)
		}
		person.User.ID = id
	}
	if err := rows.Err(); err != nil {
		return session.Person{}, fmt.Errorf("directory: read person: %w", err)
	}
	if person.User.ID == "" {
		return session.Person{}, session.ErrUnknownUser
	}
	return person, nil
}

// scanPerson reads one row: the person, and a platform if they have any.
func scanPerson(rows *sql.Rows, person *session.Person) error {
	var id, lastUsed sql.NullInt64
	var name, kind, url, username sql.NullString
	var isDefault sql.NullBool
	err := rows.Scan(&person.User.Username, &person.User.Email, &id, &name, &kind, &url, &username, &isDefault, &lastUsed)
	if err != nil || !id.Valid {
		return err
	}
	person.Platforms = append(person.Platforms, session.Platform{
		ID:   session.PlatformID(strconv.FormatInt(id.Int64, 10)),
		Name: name.String, Type: kind.String, InstanceURL: url.String, Username: username.String,
		IsDefault: isDefault.Bool, LastUsed: fromMicros(lastUsed.Int64),
	})
	return nil
}

func fromMicros(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(t).UTC()
}

// ParseID reads an id that somebody has, or may have had before they were removed.
func ParseID(text string) (session.UserID, bool) {
	_, err := rowID(text)
	return session.UserID(text), err == nil
}

var errNoRowID = errors.New("no id of a row")

// rowID accepts the canonical text only, so that one person has one id.
func rowID(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != text {
		return 0, errNoRowID
	}
	return n, nil
}
