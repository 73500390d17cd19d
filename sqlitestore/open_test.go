package sqlitestore_test

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
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

// Wherever a file is cut, it is refused; only an empty one is a new one.
func TestAFileCutAnywhereIsRefused(t *testing.T) {
	path := file(t)
	s := open(t, path)
	inParallel(64, 500, func(i int) { signIn(t, s, session.UserID(fmt.Sprint(i))) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{1, 15, 16, 50, 99, 100, 511, 512, 1000, 4095, 4096, 4097, 8192, 50_000, len(whole) / 2, len(whole) - 4096, len(whole) - 1000, len(whole) - 1} {
		cut := file(t)
		if err := os.WriteFile(cut, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		before := content(t, cut)
		if s, err := sqlitestore.Open(t.Context(), cut, sqlitestore.Config{}); err == nil {
			s.Close()
			t.Errorf("opened when cut to %d of %d bytes", length, len(whole))
		} else if content(t, cut) != before {
			t.Errorf("changed when cut to %d bytes", length)
		}
	}
}

// After a crash there is a write-ahead log, which is not ours to touch either.
func TestANewerDatabaseAfterACrashIsLeftAsItIs(t *testing.T) {
	path := file(t)
	s := open(t, path)
	if _, err := s.DB().Exec("INSERT INTO session_migrations (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	crashed := file(t)
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix) // read, not opened by SQLite, as a crash would leave it
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := [2][sha256.Size]byte{content(t, crashed), content(t, crashed+"-wal")}
	if _, err := sqlitestore.Open(t.Context(), crashed, sqlitestore.Config{}); err == nil || !strings.Contains(err.Error(), "a newer version") {
		t.Errorf("error %v", err)
	}
	if after := [2][sha256.Size]byte{content(t, crashed), content(t, crashed+"-wal")}; after != before {
		t.Error("the file or its log was changed")
	}
}

func TestSessionsMayLiveBesideOtherTables(t *testing.T) {
	path := file(t)
	execute(t, path, "CREATE TABLE notes (text TEXT)")
	execute(t, path, "INSERT INTO notes VALUES ('mine')")
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{BesideOtherTables: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	signIn(t, s, "alex")
	var text string
	if err := s.DB().QueryRow("SELECT text FROM notes").Scan(&text); err != nil || text != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAMigrationThatFailsChangesNothing(t *testing.T) {
	path := file(t)
	execute(t, path, "CREATE TABLE session_feed (in_the_way TEXT)") // met by the last statements
	s, err := sqlitestore.Open(t.Context(), path, sqlitestore.Config{BesideOtherTables: true})
	if err == nil {
		s.Close()
		t.Fatal("no error")
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables string
	if err := db.QueryRow("SELECT group_concat(name) FROM sqlite_schema").Scan(&tables); err != nil || tables != "session_feed" {
		t.Errorf("left behind: %s, %v", tables, err)
	}
}

// History may have been lost while nobody had the file open.
func TestTheEpochRisesWhenNobodyElseHasTheFileOpen(t *testing.T) {
	path := file(t)
	began := time.Now().Unix()
	first := open(t, path)
	epoch := read(t, first, 0).Epoch
	if epoch < uint64(began) {
		t.Errorf("the first epoch is %d, want the time, %d", epoch, began)
	}
	second := open(t, path)
	if got := read(t, second, 0).Epoch; got != epoch {
		t.Errorf("epoch %d with another who has it open, want %d as before", got, epoch)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, open(t, path), 0).Epoch; got <= epoch {
		t.Errorf("epoch %d after it was closed by all, want more than %d", got, epoch)
	}
}

func TestARestoredBackupHasAHigherEpoch(t *testing.T) {
	path, backup := file(t), file(t)
	s := open(t, path)
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		signIn(t, s, "alex")
	}
	before := read(t, s, 0)
	if err := errors.Join(s.Close(), os.Rename(backup, path)); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := read(t, s, 0).Epoch; got <= before.Epoch {
		t.Errorf("epoch %d, want more than %d", got, before.Epoch)
	}
	if feed := read(t, s, before.Next); !feed.Gap {
		t.Error("a cursor from before found no gap")
	}
}

func TestANewFileIsItsOwnersOnly(t *testing.T) {
	path := file(t)
	s := open(t, path)
	signIn(t, s, "alex")
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestPathsOfAnyKind(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"relative.db", "a b?c#d%41&e=f.db", "file:x.db", "ünïcode.db"} {
		s := open(t, path)
		signIn(t, s, "alex")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := sqlitestore.Open(t.Context(), "nowhere/sessions.db", sqlitestore.Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// Everybody gets a turn while the store is as busy as can be.
func TestAnApplicationsTablesInTheSameFile(t *testing.T) {
	for _, path := range []string{file(t), ":memory:"} {
		s := open(t, path)
		if _, err := s.DB().Exec("CREATE TABLE notes (n INTEGER) STRICT"); err != nil {
			t.Fatal(err)
		}
		busy := make(chan struct{})
		go func() {
			defer close(busy)
			inParallel(32, 1000, func(i int) { signIn(t, s, session.UserID(fmt.Sprint(i))) })
		}()
		inParallel(4, 100, func(i int) {
			tx, err := s.DB().BeginTx(t.Context(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			var n int
			err = tx.QueryRow("SELECT count(*) FROM notes").Scan(&n)
			if err == nil {
				_, err = tx.Exec("INSERT INTO notes VALUES (?)", n)
			}
			if err = errors.Join(err, tx.Commit()); err != nil {
				t.Error(err)
			}
		})
		<-busy
		var sum int
		if err := s.DB().QueryRow("SELECT sum(n) FROM notes").Scan(&sum); err != nil || sum != 99*100/2 {
			t.Errorf("%s: sum %d, %v, want %d: transactions mingled", path, sum, err, 99*100/2)
		}
	}
}
