package pgstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const migrationTable = "session_migrations"

// migrate brings the tables up to date, one node at a time.
func migrate(ctx context.Context, db *sql.DB) error {
	latest := latestVersion()
	version, err := schemaVersion(ctx, db)
	if err != nil || version == latest {
		return err
	}
	if version > latest {
		return fmt.Errorf("a newer version of the program has written the database (schema %d, this one knows %d), and it was left as it is: use that version, or restore a backup from before", version, latest)
	}
	if err := upgrade(ctx, db); err != nil {
		return fmt.Errorf("bring tables up to date (give the sessions a database or a schema of their own): %w", err)
	}
	return nil
}

// schemaVersion is 0 where there are no tables yet.
func schemaVersion(ctx context.Context, db *sql.DB) (version int64, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, migrationTable).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+migrationTable).Scan(&version)
	return version, err
}

func latestVersion() (latest int64) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is malformed
	}
	for _, name := range files {
		version, err := goose.NumericComponent(name)
		if err != nil {
			panic(err)
		}
		latest = max(latest, version)
	}
	return latest
}

// lockProbes is how often, a second apart, another node's migration is waited for.
const lockProbes = 300

func upgrade(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	versions, err := database.NewStore(database.DialectPostgres, migrationTable)
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockProbes))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider("", db, files, goose.WithStore(versions),
		goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}
