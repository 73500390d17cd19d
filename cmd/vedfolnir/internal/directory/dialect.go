package directory

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/vedfolnir/session/internal/migration"
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

func migrate(ctx context.Context, db *sql.DB, dialect Dialect) error {
	plan, folder := migration.Plan{Table: "directory_migrations", Dialect: migration.SQLite}, "migrations/sqlite"
	if dialect == PostgreSQL {
		plan.Dialect, folder = migration.PostgreSQL, "migrations/postgres"
	}
	var err error
	if plan.Files, err = fs.Sub(migrations, folder); err != nil {
		return err
	}
	return plan.Up(ctx, db)
}
