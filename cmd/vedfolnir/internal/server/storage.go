package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// pingTimeout is how long the database may take before the server is not ready.
const pingTimeout = 2 * time.Second

// storage is the database, and the folder that goes with it if it is a
// throw-away one.
type storage struct {
	database.Store
	where  config.Database
	path   string
	folder string // to be removed
}

func openStorage(ctx context.Context, d config.Database, options database.Options) (s *storage, err error) {
	s = &storage{where: d, path: d.Path}
	if d.Temporary {
		if s.folder, err = os.MkdirTemp("", "vedfolnir-demo-*"); err != nil {
			return nil, fmt.Errorf("make a folder for the temporary database: %w", err)
		}
		s.path = filepath.Join(s.folder, "vedfolnir.db")
		d.Path = s.path
	}
	if s.Store, err = database.Open(ctx, d, options); err != nil {
		return nil, errors.Join(err, s.discard())
	}
	return s, nil
}

// Close also removes what is temporary. It may be called twice.
func (s *storage) Close() error { return errors.Join(s.Store.Close(), s.discard()) }

func (s *storage) discard() error {
	if s.folder == "" {
		return nil
	}
	return os.RemoveAll(s.folder)
}

// ping makes the database read something.
func (s *storage) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if p, ok := s.Store.(interface{ Ping(context.Context) error }); ok { // which waits for nobody's reads
		return p.Ping(ctx)
	}
	_, err := s.SignInEpoch(ctx, directory.Nobody)
	return err
}

// String says where it is, and whether it stays.
func (s *storage) String() string {
	switch {
	case s.where.Memory:
		return "in memory"
	case s.where.Temporary:
		return "in the temporary file " + s.path
	}
	return "in " + s.where.String()
}

// stays reports whether it is there after the process has ended.
func (s *storage) stays() bool { return s.where.Stays() }
