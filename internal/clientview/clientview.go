// Package clientview writes, as JSON, what clients may see of sessions and people.
// It is an allow-list: what it is not given it cannot tell.
package clientview

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/vedfolnir/session/internal/handle"
)

// Person is a user with their platforms, written once and sent many times. It is
// not changed once it is in use.
type Person struct {
	user      []byte
	platforms []platform
}

type platform struct {
	id, name string
	json     []byte
}

// NewPerson returns a user without platforms.
func NewPerson(id, username, email string) *Person {
	return &Person{user: object("id", ID(id), "username", username, "email", email)}
}

// AddPlatform after the others.
func (p *Person) AddPlatform(id, name, kind, instanceURL string, isDefault bool) {
	p.platforms = append(p.platforms, platform{id, name, object(
		"id", ID(id), "name", name, "type", kind, "instance_url", instanceURL, "is_default", isDefault)})
}

// Equal reports whether clients see the two alike.
func (p *Person) Equal(other *Person) bool {
	return p == other || bytes.Equal(p.user, other.user) &&
		slices.EqualFunc(p.platforms, other.platforms, func(a, b platform) bool { return bytes.Equal(a.json, b.json) })
}

// platform is "null" if the person has none of that id.
func (p *Person) platform(id string) platform {
	for _, pl := range p.platforms {
		if pl.id == id {
			return pl
		}
	}
	return platform{json: []byte("null")}
}

// Session is what clients see of one.
type Session struct {
	ID       [16]byte
	Platform string // the active one; empty: none
	Version  uint64
	// Impersonator is the operator who acts as the user; empty: nobody does, and
	// nothing is said.
	Impersonator string

	Created, Activity, Expires, IdleExpires time.Time
}

// Append the members "user", "platform", "session" and "stamp" of an object,
// without its braces.
func (p *Person) Append(dst []byte, s Session, stamp Stamp) []byte {
	dst = append(append(dst, `"user":`...), p.user...)
	dst = append(append(dst, `,"platform":`...), p.platform(s.Platform).json...)
	dst = handle.Append(append(dst, `,"session":{"session_id":"`...), s.ID)
	dst = appendTime(append(dst, `","created_at":`...), s.Created)
	dst = appendTime(append(dst, `,"last_activity":`...), s.Activity)
	dst = appendTime(append(dst, `,"expires_at":`...), s.Expires)
	dst = appendTime(append(dst, `,"idle_expires_at":`...), s.IdleExpires)
	dst = strconv.AppendUint(append(dst, `,"version":`...), s.Version, 10)
	if s.Impersonator != "" {
		dst = appendValue(append(dst, `,"impersonator":`...), ID(s.Impersonator))
	}
	return append(stamp.Append(append(dst, `},"stamp":"`...)), '"')
}

// Context is the session of a request of that user's that acts as the platform; if
// that is empty, platform_info is still the active one.
func (p *Person) Context(id [16]byte, user, acting, active string) []byte {
	var connection, name any
	info := p.platform(active).json
	if acting != "" {
		as := p.platform(acting)
		connection, name, info = ID(acting), as.name, as.json
	}
	return object("session_id", string(handle.Append(nil, id)), "user_id", ID(user),
		"platform_connection_id", connection, "platform_name", name, "platform_info", raw(info), "user_info", raw(p.user))
}
