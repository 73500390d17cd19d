package session

import (
	"context"
	"slices"
	"time"
)

// User is what the session system says of a person. It is not a profile:
// whatever else an application knows stays in the application.
type User struct {
	ID       UserID
	Username string
	Email    string
}

// Platform is one account a person may act as.
type Platform struct {
	ID          PlatformID
	Name        string // "My Pixelfed"
	Type        string // "pixelfed"
	InstanceURL string // "https://pixelfed.social"
	Username    string // the person's name there
	IsDefault   bool
	LastUsed    time.Time // zero: never, or not kept
}

// Person is a user with the platforms they may act as, in the order to show.
type Person struct {
	User      User
	Platforms []Platform // active ones only
}

// Directory tells the manager about an application's people. Implementations
// are safe for concurrent use.
//
// Its answers are kept per user: call [Manager.DirectoryChanged] after a change,
// or the old answer is good for Config.DirectoryTTL. (Creating a session and
// switching the platform always ask.)
type Directory interface {
	// Person returns the user with that id and their active platforms, or
	// [ErrUnknownUser] if there is none or they are disabled. Any other error
	// means that the directory could not tell.
	Person(ctx context.Context, id UserID) (Person, error)
}

// PlatformNoter is implemented by a [Directory] that remembers when each platform
// was last used. It is told after a switch or a sign-in has been stored, and must
// not block: an error of its own is its own to report.
type PlatformNoter interface {
	PlatformUsed(user UserID, platform PlatformID, at time.Time)
}

// StaticDirectory is a fixed set of people, for examples and tests.
type StaticDirectory []Person

// Person finds the user.
func (d StaticDirectory) Person(_ context.Context, id UserID) (Person, error) {
	if i := slices.IndexFunc(d, func(p Person) bool { return p.User.ID == id }); i >= 0 {
		return d[i], nil
	}
	return Person{}, ErrUnknownUser
}

// trusting is the nil directory: every id is a user, who has no platforms.
type trusting struct{}

func (trusting) Person(_ context.Context, id UserID) (Person, error) {
	return Person{User: User{ID: id}}, nil
}

// platform returns the one with that id, and for an empty id the default one:
// the one marked so, if any.
func (p Person) platform(id PlatformID) (Platform, bool) {
	i := slices.IndexFunc(p.Platforms, func(pl Platform) bool { return pl.ID == id || id == "" && pl.IsDefault })
	if i < 0 {
		return Platform{}, false
	}
	return p.Platforms[i], true
}
