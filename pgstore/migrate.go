package pgstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vedfolnir/session/internal/migration"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, one node at a time.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	err = migration.Plan{Files: files, Table: "session_migrations", Dialect: migration.PostgreSQL}.Up(ctx, db)
	if err != nil && !errors.Is(err, migration.ErrNewer) {
		return fmt.Errorf("bring tables up to date (give the sessions a database or a schema of their own): %w", err)
	}
	return err
}
