package session

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/clientview"
	"github.com/vedfolnir/session/internal/pool"
	"github.com/vedfolnir/session/suspicion"
)

// Context is a live session with its user and platform, as one request sees it.
// The zero value and nil stand for "signed out".
type Context struct {
	Session Session

	profile   *profile
	platform  PlatformID // that the request acts as
	stated    bool
	stamp     Stamp
	deadlines Deadlines
}

type contextKey struct{}

// NewContext returns a copy of ctx that carries c.
func NewContext(ctx context.Context, c *Context) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the request's session, or nil: a nil Context is signed out,
// and its methods say so.
func FromContext(ctx context.Context) *Context {
	c, _ := ctx.Value(contextKey{}).(*Context)
	return c
}

// SignedIn reports whether there is a session of a person.
func (c *Context) SignedIn() bool { return c.Live() && !c.Session.Guest }

// Live reports whether there is a session at all, of a person or of a guest.
func (c *Context) Live() bool { return c != nil && c.profile != nil }

// User returns who is signed in; the zero User: nobody.
func (c *Context) User() User { return c.person().User }

func (c *Context) person() Person {
	if !c.SignedIn() {
		return Person{}
	}
	return c.profile.Person
}

// Platform returns what the request acts as: the stated platform, else the
// session's active one. The zero Platform, whose ID is empty: none.
func (c *Context) Platform() Platform {
	if !c.SignedIn() || c.platform == "" {
		return Platform{}
	}
	p, _ := c.profile.Person.platform(c.platform)
	return p
}

// Platforms returns all that the user may act as. The slice is the caller's.
func (c *Context) Platforms() []Platform { return slices.Clone(c.person().Platforms) }

// Stated reports whether the request itself named the platform it acts as.
func (c *Context) Stated() bool { return c != nil && c.stated }

// ActAs returns a copy of c for a request that states its platform, or
// [ErrPlatform] if that is not the user's.
func (c *Context) ActAs(platform PlatformID) (*Context, error) {
	if !c.SignedIn() || platform == "" {
		return nil, ErrPlatform
	}
	acting := *c
	acting.platform, acting.stated = platform, true
	if acting.platform = acting.Platform().ID; acting.platform == "" { // as the directory writes it
		return nil, ErrPlatform
	}
	return &acting, nil
}

// signedOut is what nil stands for.
var signedOut Context

// Stamp orders this view among others of the same session; zero: signed out.
func (c *Context) Stamp() Stamp { return cmp.Or(c, &signedOut).stamp }

// Deadlines of the session, as they were when it was read; zero: signed out.
func (c *Context) Deadlines() Deadlines { return cmp.Or(c, &signedOut).deadlines }

// AppendClientView appends what a client may see of the session: the members
// "user", "platform", "session" and "stamp" of a JSON object, without its braces.
// The platform is the session's active one. It is for a session there is, as
// [Context.Live] says; [Context.ClientView] is for any.
func (c *Context) AppendClientView(dst []byte) []byte {
	s := &c.Session
	return c.profile.View.Append(dst, clientview.Session{
		ID: s.ID, Platform: string(s.PlatformID), Version: s.Version, Created: s.CreatedAt, Activity: s.LastActivity,
		Expires: c.deadlines.Expiry(), IdleExpires: c.deadlines.Idle, Impersonator: string(s.Impersonator),
	}, clientview.Stamp(c.stamp))
}

// ClientView is the whole object of [Context.AppendClientView], or null if nobody is
// signed in. (The specification's sanitize_session_data_for_client.)
func (c *Context) ClientView() json.RawMessage {
	if !c.SignedIn() {
		return json.RawMessage("null")
	}
	return append(c.AppendClientView([]byte{'{'}), '}')
}

// MarshalJSON writes the specification's session context: session_id, user_id,
// platform_connection_id, platform_name, platform_info and user_info, or null if
// nobody is signed in.
func (c *Context) MarshalJSON() ([]byte, error) {
	if !c.SignedIn() {
		return []byte("null"), nil
	}
	return c.profile.View.Context(c.Session.ID, string(c.Session.UserID), string(c.Platform().ID), string(c.Session.PlatformID)), nil
}

// SecurityInfo is what is remarkable about a session.
type SecurityInfo = suspicion.SecurityInfo

// SecurityInfo says what was noticed about the session, and compares seen with the
// client that signed in. It changes nothing. The errors are those of Get.
func (m *Manager) SecurityInfo(ctx context.Context, id ID, seen Client) (SecurityInfo, error) {
	now := m.Now()
	r, err := m.readAlive(ctx, id, now)
	if err != nil {
		return SecurityInfo{}, err
	}
	return m.eye.Judge(r.known(), client.Info(seen), now).Of(r.CreatedAt, r.LastActivity, now, r.Client.UserAgent, r.Client.IPAddress), nil
}

// Metrics counts what an operator watches.
type Metrics struct {
	Sessions SessionMetrics `json:"session_metrics"`
}

// SessionMetrics of the whole store and of this node.
type SessionMetrics struct {
	ActiveSessions int `json:"active_sessions"` // live ones in the store
	Snapshots      int `json:"snapshots"`       // that this node remembers
	Subscriptions  int `json:"subscriptions"`   // open on this node
}

// Metrics asks the store to count; that costs a scan of an index.
func (m *Manager) Metrics(ctx context.Context) (Metrics, error) {
	active, err := m.store.Count(ctx, m.policy.Cutoffs(m.Now()))
	if err != nil {
		return Metrics{}, storeError("count sessions", err)
	}
	return Metrics{SessionMetrics{ActiveSessions: active, Snapshots: m.memory.Len(), Subscriptions: m.watchers.Len()}}, nil
}

// PoolStatus counts the store's connections; errors.ErrUnsupported if it has no
// pool.
func (m *Manager) PoolStatus() (PoolStatus, error) { return pool.Status[PoolStatus](m.store) }

// OptimizePool tidies the store's pool; errors.ErrUnsupported if it has none.
func (m *Manager) OptimizePool(ctx context.Context) error {
	return storeError("optimize pool", pool.Optimize(ctx, m.store))
}
