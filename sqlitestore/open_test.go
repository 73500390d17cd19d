package sqlitestore_test

import (
	"crypto/sha256"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedfolnir/session/sqlitestore"
)

func TestAFileThatIsNotOursIsRefusedAndLeftAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"of another application": {func(t *testing.T, path string) { execute(t, path, "CREATE TABLE notes (text TEXT)") }, "belongs to another application"},
		"of a newer version": {func(t *testing.T, path string) {
			open(t, path).Close()
			execute(t, path, "INSERT INTO session_migrations (version_id, is_applied) VALUES (9999, 1)")
		}, "a newer version"},
		"cut short": {func(t *testing.T, path string) {
			open(t, path).Close()
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
		"no database at all": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("My diary. ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "no SQLite database"},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t)
			test.make(t, path)
			before := content(t, path)
			s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if content(t, path) != before {
				t.Error("the file was changed")
			}
			if beside, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(beside) != 1 {
				t.Errorf("left behind: %v, %v", beside, err)
			}
		})
	}
}

func execute(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}
