// Package session keeps a signed-in person's session true everywhere at once: in
// every tab, on every device and on every server node, with the account they act
// as (the platform) as a first-class part of it.
//
// # What it promises
//
//   - The store is the truth; what a node remembers is disposable. "The store did
//     not answer" ([ErrUnavailable]) is never taken for "there is no session"
//     ([ErrNotFound]).
//   - A method that returned nil has stored its change durably. What it ended is
//     refused on this node from then on, and on every other node within one lease
//     (2 s by default), at once if a [Bus] connects them.
//   - An ended session never comes back, whatever was under way.
//   - A session is never ended early: not by a sweep, not by another node's older
//     knowledge of its activity.
//   - A person never has more live sessions than the limit, not for an instant.
//   - Of two switches the last to be stored wins; a decision taken on what was
//     read ([Manager.Refresh], [Manager.Rotate]) fails with [ErrConflict] if that
//     has changed.
//   - Only a hash of a token's secret is ever stored, and a [Token] cannot be
//     printed.
//
// # How it is used
//
// A [Manager] is made of a [Store] (package memstore, or the modules sqlitestore
// and its siblings), a [Directory] that knows the application's people and
// platforms, and a [Config] whose zero value is right for most:
//
//	m, err := session.New(store, directory, session.Config{})
//
// Sign-in calls [Manager.Create] and gives the token to the browser; each request
// calls [Manager.Authenticate] with it; everything that changes a session is a
// method that says so: [Manager.SwitchPlatform], [Manager.Refresh],
// [Manager.Rotate], [Manager.Revoke], [Manager.RevokeOthers], [Manager.RevokeUser].
// There is no "save at the end of the request". Package sessionhttp does all of
// this for net/http; handlers then ask [FromContext].
//
// A session is identity and context, so there is no key/value bag: an
// application's data belongs in its own tables.
//
// Everything here is safe for concurrent use unless it says otherwise. Times are
// UTC with microseconds.
package session
