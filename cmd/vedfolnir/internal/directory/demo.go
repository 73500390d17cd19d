package directory

import (
	"context"
	"errors"

	"github.com/vedfolnir/session"
)

// DemoPassword is every demo person's, and no secret.
const DemoPassword = "vedfolnir-demo"

// DemoPeople are the people of a demo, the one to begin with first.
var DemoPeople = []Newcomer{
	demoPerson("alex", Ordinary,
		session.Platform{Name: "My Pixelfed", Type: "pixelfed", InstanceURL: "https://pixelfed.social", IsDefault: true},
		session.Platform{Name: "My Mastodon", Type: "mastodon", InstanceURL: "https://mastodon.social"},
		session.Platform{Name: "Work", Type: "mastodon", InstanceURL: "https://example.social"}),
	demoPerson("sam", Ordinary,
		session.Platform{Name: "My Mastodon", Type: "mastodon", InstanceURL: "https://mastodon.social", IsDefault: true}),
	demoPerson("robin", Ordinary),
	demoPerson("admin", Admin),
}

func demoPerson(name string, role Role, platforms ...session.Platform) Newcomer {
	for i := range platforms {
		platforms[i].Username = name
	}
	return Newcomer{Username: name, Email: name + "@example.com", Password: DemoPassword, Role: role, Platforms: platforms, demo: true}
}

// AddDemoPeople adds those that are not there, and changes nothing of those that
// are. They can sign in only where Config.AllowDemoPeople is set.
func (d *Directory) AddDemoPeople(ctx context.Context) error {
	for _, n := range DemoPeople {
		a, err := d.Find(ctx, n.Username)
		if err != nil {
			return err
		}
		if a.row != 0 {
			continue
		}
		if _, err := d.Add(ctx, n); err != nil && !errors.Is(err, ErrTaken) {
			return err
		}
	}
	return nil
}
