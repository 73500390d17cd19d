package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/vedfolnir/session"
)

// Config of a [Store]. The zero value is right for a server.
type Config struct {
	// Readers is how many reads may be under way at once, and how many connections
	// [Store.DB] may have. Default: 8.
	Readers int
	// BusyTimeout is how long a change waits for whoever else writes to the same
	// file, an application's transaction or another process, before it fails.
	// Default: 5 seconds.
	BusyTimeout time.Duration
	// Audit writes a line for every change, in the change's own transaction. An
	// [audit.Sealer] makes them evidence, and removes the old ones.
	Audit bool
	// Committed is told of every commit of sessions: how many changes it holds and
	// how long it took. It must not block.
	Committed func(changes int, took time.Duration)
	// BesideOtherTables lets the sessions into a database that already holds
	// another application's tables. Without it such a database is refused.
	BesideOtherTables bool
}

// ErrClosed is returned by every call after [Store.Close].
var ErrClosed = errors.New("sqlitestore: closed: open a new store")

// Store is a [session.Store] in a SQLite file.
type Store struct {
	file    file
	readers *readers
	writer  *writer
	db      *sql.DB

	close    sync.Once
	closeErr error
}

var _ session.Store = (*Store)(nil)

// Open opens the file at path, or makes it, and brings its tables up to date. The
// path ":memory:" opens a new database that is gone with [Store.Close].
//
// A file that a newer version has written, that belongs to another application, or
// that is damaged is refused and left as it is.
func Open(ctx context.Context, path string, cfg Config) (*Store, error) {
	if cfg.Readers <= 0 {
		cfg.Readers = 8
	}
	if cfg.BusyTimeout <= 0 {
		cfg.BusyTimeout = 5 * time.Second
	}
	s, err := open(ctx, path, cfg)
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: open %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, cfg Config) (*Store, error) {
	f, err := locate(path)
	if err != nil {
		return nil, err
	}
	if err := f.prepare(ctx, cfg); err != nil {
		return nil, err
	}
	toWrite, err := f.connectWriter(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if f.memory { // there only while somebody has it open
		if err := f.migrate(ctx, cfg); err != nil {
			return nil, errors.Join(err, toWrite.close())
		}
	}
	turn := newTurn()
	s := &Store{
		file:    f,
		writer:  startWriter(toWrite, turn, cfg),
		readers: newReaders(f.connector("_pragma=busy_timeout(5000)&_query_only=1"), cfg.Readers),
		db: sql.OpenDB(inTurn{
			f.connector(fmt.Sprintf("_pragma=busy_timeout(%d)&_txlock=immediate", cfg.BusyTimeout.Milliseconds())), turn,
		}),
	}
	s.db.SetMaxOpenConns(cfg.Readers)
	s.db.SetMaxIdleConns(cfg.Readers)
	return s, nil
}

// connectWriter has the connection's own waiting switched off, for the writer does
// it better. In memory it stays, because there readers stand in the way of a
// commit.
func (f file) connectWriter(ctx context.Context, cfg Config) (c *conn, err error) {
	own := "_pragma=busy_timeout(0)"
	if f.memory {
		own = "_pragma=busy_timeout(5000)"
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.BusyTimeout)
	defer cancel()
	err = insist(ctx, func() error { // another process may be making the file
		c, err = connect(ctx, f.connector(own))
		return err
	})
	return c, err
}

// Check reads the whole database and returns what is wrong with it.
func (s *Store) Check(ctx context.Context) error { return integrity(ctx, s.db) }

func integrity(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check")
	if err != nil {
		return fmt.Errorf("sqlitestore: check: %w", err)
	}
	defer rows.Close()
	var errs []error
	for rows.Next() {
		var found string
		if err := rows.Scan(&found); err != nil {
			return fmt.Errorf("sqlitestore: check: %w", err)
		}
		if found != "ok" {
			errs = append(errs, fmt.Errorf("sqlitestore: damaged, restore a backup: %s", found))
		}
	}
	return errors.Join(append(errs, rows.Err())...)
}

// Close implements [session.Store].
func (s *Store) Close() error {
	s.close.Do(func() {
		s.writer.close()
		s.closeErr = errors.Join(s.db.Close(), s.readers.close(), s.writer.conn.close())
	})
	return s.closeErr
}

// file is where a database lies.
type file struct {
	path   string // absolute
	uri    string
	memory bool
}

var memories atomic.Int64

func locate(path string) (file, error) {
	if path == ":memory:" {
		// The memdb file system lets several connections share one database.
		return file{memory: true, uri: fmt.Sprintf("file:/sqlitestore-%d?vfs=memdb&", memories.Add(1))}, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return file{}, err
	}
	uri := filepath.ToSlash(path)
	if !strings.HasPrefix(uri, "/") { // a drive letter
		uri = "/" + uri
	}
	uri = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(uri)
	return file{path: path, uri: "file:" + uri + "?"}, nil
}

// connector of connections with everything that all of them share, and more.
//
// Checkpoints are left to SQLite: the commit that brings the write-ahead log to
// 1000 pages (4 MB) copies it into the file, and the next begins it anew. A log
// that is written over in place has cheap syncs, and a short one is copied in a few
// milliseconds. Copying it from a connection beside the writer was measured: with
// 10,000 sessions it changes nothing, with 200,000 it gains a tenth.
func (f file) connector(more string) driver.Connector {
	c, err := sqlite.NewConnector(f.uri + more +
		"&_pragma=synchronous(full)&_pragma=foreign_keys(1)&_pragma=mmap_size(1073741824)&_pragma=temp_store(memory)&_dqs=0")
	if err != nil {
		panic(err) // only for a query that is malformed, and this one is ours
	}
	return c
}

// create makes the file, for its owner's eyes only, if there is none. It is made
// under another name, where links are to be had: closing a file that SQLite has
// open would drop SQLite's locks.
func (f file) create() error {
	if _, err := os.Stat(f.path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	made, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(made.Name())
	if err := made.Close(); err != nil {
		return err
	}
	err = os.Link(made.Name(), f.path)
	if err != nil && !errors.Is(err, os.ErrExist) {
		if made, err = os.OpenFile(f.path, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = made.Close()
		}
	}
	if errors.Is(err, os.ErrExist) { // another process was faster
		return nil
	}
	return err
}
