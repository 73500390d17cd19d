package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/pgstore"
	"github.com/vedfolnir/session/pgstore/pgbus"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sqlitestore"
)

// people is a directory of as many as anyone asks for, with three platforms each.
type people struct{}

func (people) Person(_ context.Context, id session.UserID) (session.Person, error) {
	n, err := strconv.Atoi(string(id))
	if err != nil || n < 1 {
		return session.Person{}, session.ErrUnknownUser
	}
	return person(n - 1), nil
}

// person i has the user id i+1 and the platforms 3i+1 to 3i+3.
func person(i int) session.Person {
	name := fmt.Sprintf("person%06d", i)
	platform := func(n int, name, kind, url string) session.Platform {
		return session.Platform{ID: session.PlatformID(strconv.Itoa(3*i + n)), Name: name, Type: kind, InstanceURL: url, Username: name, IsDefault: n == 1}
	}
	return session.Person{
		User: session.User{ID: session.UserID(strconv.Itoa(i + 1)), Username: name, Email: name + "@example.com"},
		Platforms: []session.Platform{
			platform(1, "My Pixelfed", "pixelfed", "https://pixelfed.social"),
			platform(2, "My Mastodon", "mastodon", "https://mastodon.social"),
			platform(3, "Work", "mastodon", "https://example.social"),
		},
	}
}

func vedfolnirMemory(s settings, _ answer) (made, error) {
	return vedfolnir(s, memstore.New(), nil)
}

func vedfolnirSQLite(s settings, _ answer) (made, error) {
	dir, err := os.MkdirTemp(s.Dir, "vedfolnir-bench-")
	if err != nil {
		return made{}, err
	}
	store, err := sqlitestore.Open(context.Background(), filepath.Join(dir, "bench.db"), sqlitestore.Config{})
	if err != nil {
		return made{}, err
	}
	m, err := vedfolnir(s, store, nil)
	if stop := m.close; stop != nil {
		m.close = func() error { return errors.Join(stop(), os.RemoveAll(dir)) }
	}
	return m, err
}

// vedfolnirPostgreSQL is one of several nodes, or all there is.
func vedfolnirPostgreSQL(s settings, wakes bool) (made, error) {
	store, err := pgstore.Open(context.Background(), s.Database, pgstore.Config{})
	if err != nil {
		return made{}, err
	}
	if !wakes {
		return vedfolnir(s, store, nil)
	}
	bus, err := pgbus.Open(context.Background(), s.Database, pgbus.Config{})
	if err != nil {
		return made{}, errors.Join(err, store.Close())
	}
	m, err := vedfolnir(s, store, bus)
	if stop := m.close; stop != nil {
		m.close = func() error { return errors.Join(stop(), bus.Close()) }
	}
	return m, err
}

const cookieName = "bench"

// vedfolnir is the whole handler of an application that has nothing of its own,
// every check switched on.
func vedfolnir(s settings, store session.Store, bus session.Bus) (made, error) {
	manager, err := session.New(store, people{}, session.Config{
		Audit: unheard{}, Bus: bus, Security: session.Security{
			MaxPlatformSwitchesPerHour: session.NoLimit,                                           // as many as can be
			Keys:                       [][]byte{[]byte("what the nodes of a measurement share")}, // and nobody else has
		},
	})
	if err != nil {
		return made{}, err
	}
	handler, err := sessionhttp.New(manager, sessionhttp.Config{Login: signIn, CookieName: cookieName})
	if err != nil {
		return made{}, err
	}
	m := made{
		handler: handler.Wrap(http.NotFoundHandler()),
		close:   func() error { return errors.Join(manager.Close(), store.Close()) },
	}
	m.cookies, err = createAll(manager, s)
	return m, err
}

// unheard keeps the audit's lines from measuring the terminal.
type unheard struct{}

func (unheard) Audit(context.Context, session.AuditEvent) {}

// signIn takes everybody at their word: hashing passwords is not what is measured.
func signIn(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	return session.CreateRequest{UserID: session.UserID(c.Username)}, nil
}

// createAll makes the live sessions, many at a time, each of another person, and
// returns the cookies of those that will be used.
func createAll(manager *session.Manager, s settings) ([]string, error) {
	cookies := make([]string, s.SignedIn)
	var group sync.WaitGroup
	var next atomic.Int64
	failed := make(chan error, 256)
	for range cap(failed) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.Live; i = int(next.Add(1)) - 1 {
				_, token, err := manager.Create(context.Background(), session.CreateRequest{
					UserID: person(i).User.ID, Client: session.Client{UserAgent: userAgent, IPAddress: "127.0.0.1"},
				})
				if err != nil {
					failed <- err
					return
				}
				if i < len(cookies) {
					cookies[i] = cookieName + "=" + token.Reveal()
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return cookies, nil
	}
}
