// Package shop is an application that keeps a basket of people who are not signed in,
// as docs/guests.md tells it, for attacks on sessions of nobody: the program has none.
package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sqlitestore"
)

// Password is everybody's.
const Password = "the shop's only password"

// Shop serves POST /basket/{what}, which begins a guest's session; GET /basket, to
// guests and people; and GET /orders, which says who is signed in.
type Shop struct {
	http.Handler
	manager *session.Manager
	store   *sqlitestore.Store

	mu      sync.Mutex
	ahead   time.Duration // of the clock
	baskets map[session.UserID][]string
}

// Open one that keeps sessions in the file at path. Close it when it is not served any
// more.
func Open(ctx context.Context, path string, log *slog.Logger) (*Shop, error) {
	s := &Shop{baskets: map[session.UserID][]string{}}
	var err error
	if s.store, err = sqlitestore.Open(ctx, path, sqlitestore.Config{}); err != nil {
		return nil, err
	}
	s.manager, err = session.New(s.store, nil, session.Config{Logger: log, Now: s.now, Features: session.Features{NoBackgroundCleanup: true}})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	h, err := sessionhttp.New(s.manager, sessionhttp.Config{
		Logger: log,
		Login: func(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
			if c.Password != Password {
				return session.CreateRequest{}, sessionhttp.ErrBadCredentials
			}
			return session.CreateRequest{UserID: session.UserID(c.Username)}, nil
		},
		GuestSignedIn: func(_ context.Context, guest, person *session.Context) error {
			s.basket(person.Session.UserID, s.take(guest.Session.UserID)...)
			return nil
		},
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/basket/{what}", func(w http.ResponseWriter, r *http.Request) {
		c, err := h.StartGuest(w, r)
		if err != nil {
			h.Error(w, r, err)
			return
		}
		_ = json.NewEncoder(w).Encode(s.basket(c.Session.UserID, r.PathValue("what"))) // else they have gone
	})
	mux.Handle("GET /basket", h.RequireGuest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(s.basket(session.FromContext(r.Context()).Session.UserID))
	})))
	mux.Handle("GET /orders", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, string(session.FromContext(r.Context()).Session.UserID))
	})))
	s.Handler = h.Wrap(mux)
	return s, nil
}

// Close ends what runs for it.
func (s *Shop) Close() error { return errors.Join(s.manager.Close(), s.store.Close()) }

// Live is how many sessions there are.
func (s *Shop) Live(ctx context.Context) (int, error) {
	return s.store.Count(ctx, s.manager.Policy().Cutoffs(s.now()))
}

// Users is how many users there are still rows of, once everything that may end has
// ended, and what has ended is not kept any longer.
func (s *Shop) Users(ctx context.Context) (users int, err error) {
	c := s.manager.Config()
	s.mu.Lock()
	s.ahead = c.Timeout.AbsoluteTimeout
	s.mu.Unlock()
	if _, err := s.manager.EnforceTimeouts(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.ahead += c.Cleanup.Retention + time.Minute
	s.mu.Unlock()
	for removed := 1; removed > 0; {
		if removed, err = s.manager.Cleanup(ctx, 1000); err != nil {
			return 0, err
		}
	}
	err = s.store.DB().QueryRowContext(ctx, `SELECT count(*) FROM session_users`).Scan(&users)
	if err != nil {
		err = fmt.Errorf("count users: %w", err)
	}
	return users, err
}

func (s *Shop) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// basket adds to somebody's, and returns it.
func (s *Shop) basket(of session.UserID, what ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baskets[of] = append(s.baskets[of], what...)
	return s.baskets[of]
}

// take is one step, so that it does no harm to call it twice.
func (s *Shop) take(of session.UserID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer delete(s.baskets, of)
	return s.baskets[of]
}
