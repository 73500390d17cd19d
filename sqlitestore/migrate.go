package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/vedfolnir/session/internal/migration"
)

//go:embed migrations/*.sql
var migrations embed.FS

const migrationTable = "session_migrations"

func plan() migration.Plan {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is malformed
	}
	return migration.Plan{Files: files, Table: migrationTable, Dialect: migration.SQLite}
}

// prepare refuses a database that is not ours to write to, without a trace, and
// makes the others ready.
func (f file) prepare(ctx context.Context, cfg Config) error {
	if f.memory {
		return nil
	}
	if err := f.create(); err != nil {
		return err
	}
	if err := f.inspect(ctx, cfg); err != nil {
		return err
	}
	return f.migrate(ctx, cfg)
}

// inspect only reads. A write-ahead log lies beside the file while somebody has it
// open, or after a crash. Without one the file is all there is, and is read
// without a lock, so that no file is made beside it.
func (f file) inspect(ctx context.Context, cfg Config) error {
	dsn := "mode=ro&_pragma=busy_timeout(5000)"
	_, err := os.Stat(f.path + "-wal")
	whole := errors.Is(err, os.ErrNotExist)
	if whole {
		dsn += "&immutable=1"
	}
	db := sql.OpenDB(f.connector(dsn))
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := examine(ctx, db, cfg); err != nil || !whole {
		return err
	}
	return f.measure(ctx, db)
}

// measure finds what SQLite overlooks: a file cut within its last page, or to
// almost nothing.
func (f file) measure(ctx context.Context, db *sql.DB) error {
	var page int64
	if err := db.QueryRowContext(ctx, "PRAGMA page_size").Scan(&page); err != nil {
		return damaged(err)
	}
	if info, err := os.Stat(f.path); err != nil {
		return err
	} else if info.Size()%page != 0 {
		return damaged(fmt.Errorf("%d bytes are no whole number of pages", info.Size()))
	}
	return nil
}

// examine returns the version of the tables; 0: none.
func examine(ctx context.Context, db *sql.DB, cfg Config) (version int, err error) {
	tables, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return 0, damaged(err)
	}
	defer tables.Close()
	var others []string
	ours := false
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			return 0, damaged(err)
		}
		if name == migrationTable {
			ours = true
		} else {
			others = append(others, name)
		}
	}
	if err := tables.Err(); err != nil {
		return 0, damaged(err)
	}
	if !ours {
		if len(others) > 0 && !cfg.BesideOtherTables {
			return 0, fmt.Errorf("the database belongs to another application (it has the table %s and none of ours) and was left as it is: give another path, or set BesideOtherTables to keep the sessions in it, too", strings.Join(others[:min(3, len(others))], ", "))
		}
		return 0, nil
	}
	if version, err = plan().Version(ctx, db); err != nil && !errors.Is(err, migration.ErrNewer) {
		return 0, damaged(err)
	}
	return version, err
}

func damaged(err error) error {
	if busy(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("this is no SQLite database, or a damaged one (%w), and it was left as it is: restore a backup, or give another path", err)
}

// migrate brings the tables up to date. Whoever finds that nobody else has the
// file open raises the epoch: what was in it when it was last open may be gone.
func (f file) migrate(ctx context.Context, cfg Config) error {
	alone := "_pragma=busy_timeout(0)&_pragma=locking_mode(exclusive)"
	err := f.transact(ctx, cfg, alone, 100*time.Millisecond, true)
	if busy(err) {
		err = f.transact(ctx, cfg, "_pragma=busy_timeout(0)", cfg.BusyTimeout, false)
	}
	return err
}

// transact does all of it in one transaction, so that of several processes that
// open a new file one makes it and the others wait, and so that a failure leaves
// the file as it was.
func (f file) transact(ctx context.Context, cfg Config, dsn string, patience time.Duration, raiseEpoch bool) (err error) {
	db := sql.OpenDB(f.connector(dsn))
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // so that the transaction is everyone's
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// For a change of the journal mode SQLite itself never waits.
	for _, query := range []string{"PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"} {
		err := insist(waiting, func() error {
			_, err := db.ExecContext(ctx, query)
			return err
		})
		if err != nil {
			return err
		}
	}
	version, err := examine(ctx, db, cfg)
	if err != nil {
		return err
	}
	if err := plan().UpIn(ctx, db); err != nil {
		return fmt.Errorf("bring tables up to date: %w", err)
	}
	if raiseEpoch || version == 0 {
		if _, err := db.ExecContext(ctx, `UPDATE session_meta SET epoch = max(epoch + 1, ?)`, time.Now().Unix()); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, "COMMIT")
	return err
}
