package transfer

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// A table or a column that is added later is moved too.
func TestEverythingIsMoved(t *testing.T) {
	store, err := database.Open(t.Context(), config.Database{Path: filepath.Join(t.TempDir(), "v.db")}, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	people, err := directory.Open(t.Context(), store.DB(), directory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer people.Close()
	rows, err := store.DB().QueryContext(t.Context(), `SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT IN ('sqlite_sequence', 'session_migrations', 'directory_migrations',
			'session_meta', 'session_feed', 'session_audit_lease')`) // which each database has of its own
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var in, name string
		if err := rows.Scan(&in, &name); err != nil {
			t.Fatal(err)
		}
		n++
		moved := false
		for _, table := range tables {
			moved = moved || table.name == in && slices.ContainsFunc(table.columns, func(c column) bool { return c.name == name })
		}
		if !moved {
			t.Errorf("%s.%s stays behind", in, name)
		}
	}
	if err := rows.Err(); err != nil || n < 50 {
		t.Errorf("%d columns, %v", n, err)
	}
}
