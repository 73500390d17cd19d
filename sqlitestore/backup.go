package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a copy of the whole database, the application's tables too, as it
// is at one moment, while sessions go on changing. It then reads all of the copy,
// and only one that is whole appears at path, on the disk, for its owner's eyes
// only. A file that is there already is left alone: the error is [os.ErrExist].
//
// A copy holds no token, and opening it raises the epoch: see the package's
// documentation.
func (s *Store) Backup(ctx context.Context, path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sqlitestore: back up to %s: %w", path, err)
		}
	}()
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: give another path", os.ErrExist)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	defer draft.Close()
	if err := s.copyInto(ctx, draft.Name()); err != nil {
		return err
	}
	if err := checkCopy(ctx, draft.Name()); err != nil {
		return err
	}
	if err := draft.Sync(); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil { // never over another file
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// copyInto fills an empty file. It only reads, on a connection of its own, so that
// writers wait for nothing.
func (s *Store) copyInto(ctx context.Context, path string) (err error) {
	db := sql.OpenDB(s.file.connector("_pragma=busy_timeout(5000)"))
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// checkCopy reads all of a copy, and leaves nothing beside it.
func checkCopy(ctx context.Context, path string) (err error) {
	f, err := locate(path)
	if err != nil {
		return err
	}
	db := sql.OpenDB(f.connector("mode=ro&immutable=1"))
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := integrity(ctx, db); err != nil {
		return err
	}
	var epoch int64
	return db.QueryRowContext(ctx, `SELECT epoch FROM session_meta`).Scan(&epoch)
}

// syncFolder makes a file's name as durable as its content. Not every system can.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrInvalid) {
		return err
	}
	return nil
}
