package server

import (
	"context"
	"database/sql"
	"errors"
	"os"

	_ "modernc.org/sqlite"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/memstore"
)

type storage struct {
	session.Store
	people    *sql.DB
	temporary string
}

func openStorage(ctx context.Context, d config.Database) (*storage, error) {
	s := &storage{Store: memstore.New()}
	f, _ := os.MkdirTemp("", "v")
	s.temporary = f
	var err error
	s.people, err = sql.Open("sqlite", "file:"+f+"/x.db?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	return s, err
}

func (s *storage) ping(ctx context.Context) error { return s.people.PingContext(ctx) }

func (s *storage) Close() error {
	return errors.Join(s.Store.Close(), s.people.Close(), os.RemoveAll(s.temporary))
}

func (s *storage) kept() string { return "It keeps nothing." }
func (s *storage) lost() string { return "the file " + s.temporary }
