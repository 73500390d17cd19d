package test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// What docs/consistency.md shows stands here too, and is run.

// answer is what a request with that token is told.
func answer(ctx context.Context, manager *session.Manager, token session.Token) string {
	var client session.Client
	switch _, err := manager.Authenticate(ctx, token, client); {
	case err == nil:
		return "signed in"
	case errors.Is(err, session.ErrUnavailable):
		return "nobody knows: keep the cookie, try again"
	case errors.Is(err, session.ErrNotFound):
		return "no such session"
	default:
		reason, _ := session.Ended(err)
		return "ended: " + string(reason)
	}
}

// listen shows what a tab hears until the session ends.
func listen(ctx context.Context, tab *session.Subscription, show func(session.Stamp, string)) error {
	for {
		e, err := tab.Next(ctx)
		if err != nil || e.Kind == session.SessionEnded {
			return err // nothing follows
		}
		show(e.Context.Stamp(), e.Context.Platform().Name)
	}
}

// heldStore does not answer while it is away.
type heldStore struct {
	session.Store
	away bool
}

func (s *heldStore) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if s.away {
		return session.Record{}, errors.New("away")
	}
	return s.Store.Get(ctx, id)
}

func TestConsistencySnippets(t *testing.T) {
	people := session.StaticDirectory{{
		User:      session.User{ID: "1", Username: "kim"},
		Platforms: []session.Platform{{ID: "11", Name: "Here", IsDefault: true}, {ID: "12", Name: "There"}},
	}}
	ctx, store := t.Context(), &heldStore{Store: memstore.New()}
	manager, err := session.New(store, people, session.Config{Sync: session.Sync{Lease: session.NoLease}})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	says := func(token session.Token, want string) {
		t.Helper()
		if got := answer(ctx, manager, token); got != want {
			t.Errorf("the answer is %q, want %q", got, want)
		}
	}

	read, token, err := manager.Create(ctx, session.CreateRequest{UserID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	says(token, "signed in")
	store.away = true
	says(token, "nobody knows: keep the cookie, try again")
	store.away = false

	_, first := manager.Refresh(ctx, read)
	_, second := manager.Refresh(ctx, read)
	if first != nil || !errors.Is(second, session.ErrConflict) {
		t.Errorf("%v and %v: both were decided on the same reading", first, second)
	}

	tab, err := manager.Subscribe(ctx, read.Session.ID, session.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	shown, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- listen(ctx, tab, func(s session.Stamp, platform string) { shown <- fmt.Sprint(s.Version, " ", platform) })
	}()
	shows := func(want string) {
		t.Helper()
		if got := <-shown; got != want {
			t.Errorf("the tab shows %q, want %q", got, want)
		}
	}
	shows("2 Here")
	if _, err := manager.SwitchPlatform(ctx, read.Session.ID, "12"); err != nil {
		t.Fatal(err)
	}
	shows("3 There")
	if err := manager.Revoke(ctx, read.Session.ID, session.RevokedByUser, "1"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	says(token, "ended: revoked_by_user")

	elsewhere, err := session.New(memstore.New(), nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if got := answer(ctx, elsewhere, token); got != "no such session" {
		t.Errorf("another store says %q", got)
	}
}
