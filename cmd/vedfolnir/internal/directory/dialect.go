package directory

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/pressly/goose/v3"
	goosedatabase "github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

// Dialect is what SQL a database speaks. The statements of this package are written
// so that both understand them, but for how they name their arguments: they are
// written as SQLite has it, ? or ?1.
type Dialect int

const (
	SQLite Dialect = iota
	PostgreSQL
)

//go:embed migrations
var migrations embed.FS

// database is a pool of connections and what is spoken there.
type database struct {
	*sql.DB
	dialect Dialect
}

type transaction struct {
	*sql.Tx
	dialect Dialect
}

var argument = regexp.MustCompile(`\?\d*`)

// sql names the arguments as the database has it.
func (d Dialect) sql(query string) string {
	if d == SQLite {
		return query
	}
	n := 0
	return argument.ReplaceAllStringFunc(query, func(name string) string {
		if len(name) > 1 {
			return "$" + name[1:]
		}
		n++
		return "$" + strconv.Itoa(n)
	})
}

func (db database) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.DB.QueryContext(ctx, db.dialect.sql(query), args...)
}

func (db database) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return db.DB.QueryRowContext(ctx, db.dialect.sql(query), args...)
}

func (db database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return db.DB.ExecContext(ctx, db.dialect.sql(query), args...)
}

func (tx *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.Tx.QueryContext(ctx, tx.dialect.sql(query), args...)
}

func (tx *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.Tx.QueryRowContext(ctx, tx.dialect.sql(query), args...)
}

func (tx *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.Tx.ExecContext(ctx, tx.dialect.sql(query), args...)
}

// change runs a statement, or returns the error none if there is no row that it changes.
func (tx *transaction) change(ctx context.Context, none error, query string, args ...any) error {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return cmp.Or(err, none)
	}
	return nil
}

// alone has other transactions that ask for the same wait until this one ends. In
// SQLite each that writes is alone from its beginning.
func (tx *transaction) alone(ctx context.Context, table string) error {
	if tx.dialect == SQLite {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.' || ?))`, table)
	return err
}

// skippingLocked ends a SELECT of rows to change: those that another transaction is
// changing are left out, and nobody waits. In SQLite there is no other one.
func (d Dialect) skippingLocked() string {
	if d == SQLite {
		return ""
	}
	return " FOR UPDATE SKIP LOCKED"
}

// overwriting has SQLite write zeros over what do deletes. PostgreSQL's vacuum frees
// it, and what comes next takes its place.
func (tx *transaction) overwriting(ctx context.Context, do func() error) error {
	if tx.dialect == PostgreSQL {
		return do()
	}
	if _, err := tx.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	err := do()
	_, off := tx.ExecContext(ctx, "PRAGMA secure_delete = OFF")
	return cmp.Or(err, off)
}

func (d *Directory) inTransaction(ctx context.Context, do func(*transaction) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(&transaction{tx, d.db.dialect}); err != nil {
		return err
	}
	return tx.Commit()
}

// versionTable says which migrations were done.
const versionTable = "directory_migrations"

// lockProbes is how often, a second apart, another node's migration is waited for.
const lockProbes = 300

// migrations returns where they are, and how nodes take turns.
func (d Dialect) migrations() (folder string, spoken goosedatabase.Dialect, more []goose.ProviderOption, err error) {
	if d == SQLite {
		return "migrations/sqlite", goosedatabase.DialectSQLite3, nil, nil
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockProbes))
	return "migrations/postgres", goosedatabase.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, err
}

func migrate(ctx context.Context, db *sql.DB, dialect Dialect) error {
	folder, spoken, more, err := dialect.migrations()
	if err != nil {
		return err
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return err
	}
	versions, err := goosedatabase.NewStore(spoken, versionTable)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider("", db, files, append(more, goose.WithStore(versions), goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("the people in this database were written by a newer version of this program (schema %d, this one knows %d): use that version", current, target)
	}
	if current == target {
		return nil
	}
	_, err = provider.Up(ctx)
	return err
}
