package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

func Example() {
	ctx := context.Background()
	directory := session.StaticDirectory{{
		User: session.User{ID: "1", Username: "alex"},
		Platforms: []session.Platform{
			{ID: "11", Name: "My Pixelfed", Type: "pixelfed", IsDefault: true},
			{ID: "12", Name: "My Mastodon", Type: "mastodon"},
		},
	}}
	m, err := session.New(memstore.New(), directory, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	// Alex has shown the right password.
	c, token, err := m.Create(ctx, session.CreateRequest{UserID: "1"})
	fmt.Println(c.User().Username, "acts as", c.Platform().Name, err)

	// One tab switches; the next request of any tab sees it.
	m.SwitchPlatform(ctx, c.Session.ID, "12")
	c, err = m.Authenticate(ctx, token, session.Client{})
	fmt.Println(c.User().Username, "acts as", c.Platform().Name, err)

	// Signing out ends it, and the holder of the token is told why.
	m.Revoke(ctx, c.Session.ID, session.SignedOut, "1")
	_, err = m.Authenticate(ctx, token, session.Client{})
	reason, _ := session.Ended(err)
	fmt.Println(reason)
	// Output:
	// alex acts as My Pixelfed <nil>
	// alex acts as My Mastodon <nil>
	// signed_out
}

// After a change in the application's own tables the manager has to be told. The
// common mistake is to forget it: the old name then stays for Config.DirectoryTTL.
func ExampleManager_DirectoryChanged() {
	ctx := context.Background()
	alex := &session.Person{User: session.User{ID: "1", Username: "alex"}}
	m, err := session.New(memstore.New(), onePerson{alex}, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	c, _, _ := m.Create(ctx, session.CreateRequest{UserID: "1"})

	alex.User.Username = "alexandra" // UPDATE users SET ...
	if err := m.DirectoryChanged(ctx, "1"); err != nil {
		fmt.Println(err)
	}
	c, _ = m.Get(ctx, c.Session.ID)
	fmt.Println(c.User().Username)
	// Output: alexandra
}

type onePerson struct{ person *session.Person }

func (d onePerson) Person(context.Context, session.UserID) (session.Person, error) {
	return *d.person, nil
}

// A caller decides on the sentinels; everything else is for the log.
func ExampleEnded() {
	m, err := session.New(memstore.New(), nil, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	c, token, _ := m.Create(context.Background(), session.CreateRequest{UserID: "1"})
	m.RevokeUser(context.Background(), "1", session.CredentialChanged, "1")

	_, err = m.Authenticate(context.Background(), token, session.Client{})
	switch reason, ended := session.Ended(err); {
	case ended:
		fmt.Println("sign in again:", reason)
	case errors.Is(err, session.ErrNotFound):
		fmt.Println("sign in")
	case errors.Is(err, session.ErrUnavailable):
		fmt.Println("try again, and keep the cookie")
	}
	_ = c
	// Output: sign in again: credential_changed
}
