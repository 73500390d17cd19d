// Package people is what a node knows of the users of sessions, as it is asked for and
// sent: those of whom a directory tells, and guests, of whom there is nothing to tell.
package people

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/vedfolnir/session/internal/clientview"
)

// Known is what is known of a user, a P, ready to be sent.
type Known[P any] struct {
	Person P
	View   *clientview.Person
	Asked  time.Time
}

// AskedAt is when the directory was asked.
func (k *Known[P]) AskedAt() time.Time { return k.Asked }

// Asking asks by ask, and notes when; view is what clients see of the answer.
func Asking[P any](now func() time.Time, ask func(context.Context, string) (P, error), view func(P) *clientview.Person) func(context.Context, string) (*Known[P], error) {
	return func(ctx context.Context, user string) (*Known[P], error) {
		asked := now()
		person, err := ask(ctx, user)
		if err != nil {
			return nil, err
		}
		return &Known[P]{person, view(person), asked}, nil
	}
}

const (
	guestPrefix = "guest:"
	guestLength = len(guestPrefix) + 26
)

// NewGuest is the id of somebody of whom nothing is known, and of nobody else ever.
func NewGuest() string { return guestPrefix + rand.Text() }

// IsGuest reports whether an id is such a one.
func IsGuest(id string) bool { return len(id) == guestLength && strings.HasPrefix(id, guestPrefix) }
