// Package database opens where the program keeps sessions and people: a file, memory,
// or a PostgreSQL server that several nodes share.
package database

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/pgstore/pgbus"
	"github.com/vedfolnir/session/redisbus"
	"github.com/vedfolnir/session/sqlitestore"
)

// Store is what the program needs of each engine.
type Store interface {
	session.Store
	session.Pooler
	audit.Store

	// Note adds an audit line for what changed nothing; NoteIn one in a transaction
	// on DB.
	Note(ctx context.Context, e session.AuditEvent) error
	NoteIn(ctx context.Context, tx *sql.Tx, e session.AuditEvent) error
	AuditEnd(ctx context.Context) (seq uint64, err error)

	EverySession(ctx context.Context, user session.UserID) ([]session.Record, error)
	EraseUser(ctx context.Context, user session.UserID) (sessions, lines int, err error)

	// DB is for the people's tables.
	DB() *sql.DB
}

// Options of a store.
type Options struct {
	Audit     bool
	Committed func(changes int, took time.Duration)
	Logger    *slog.Logger
}

// Open opens the database: the server if there is an address, else the file. The
// tables of sessions are brought up to date.
func Open(ctx context.Context, d config.Database, o Options) (Store, error) {
	if d.URL != "" {
		return opened[Store](pgstore.Open(ctx, d.URL, pgstore.Config{Audit: o.Audit, Committed: o.Committed, Logger: o.Logger}))
	}
	path := d.Path
	if d.Memory {
		path = ":memory:"
	}
	return opened[Store](sqlitestore.Open(ctx, path, sqlitestore.Config{Audit: o.Audit, Committed: o.Committed}))
}

// opened is nil if there is an error, and not a pointer to nothing.
func opened[T any](what T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return what, nil
}

// IsClosed reports whether err is that of a store which was closed before.
func IsClosed(err error) bool {
	return errors.Is(err, sqlitestore.ErrClosed) || errors.Is(err, pgstore.ErrClosed)
}

// Dialect is what the people's tables are written in.
func Dialect(d config.Database) directory.Dialect {
	if d.URL != "" {
		return directory.PostgreSQL
	}
	return directory.SQLite
}

// Bus wakes the other nodes of the database, and is woken by them.
type Bus interface {
	session.Bus
	Close() error
}

// OpenBus returns nil where there are no other nodes, or where they look at the file
// by themselves. bus is the address of a Redis server; empty: the database does it.
func OpenBus(ctx context.Context, d config.Database, bus string, log *slog.Logger) (Bus, error) {
	if bus != "" {
		return opened[Bus](redisbus.Open(ctx, bus, redisbus.Config{Password: busPassword(), Logger: log}))
	}
	if d.URL == "" {
		return nil, nil
	}
	return opened[Bus](pgbus.Open(ctx, d.URL, pgbus.Config{Logger: log}))
}

// CheckBus reports whether what is told by that bus is heard.
func CheckBus(ctx context.Context, d config.Database, bus string) error {
	if bus != "" {
		return redisbus.Check(ctx, bus, redisbus.Config{Password: busPassword()})
	}
	return pgbus.Check(ctx, d.URL)
}

// busPassword is where Redis's own client looks for it.
func busPassword() string { return os.Getenv("REDISCLI_AUTH") }
