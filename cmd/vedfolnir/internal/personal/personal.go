// Package personal gathers all that is stored about one person, for them to have,
// and erases it.
package personal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/audit"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/database"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

// Data is everything, without what opens a door: no password's hash, no secret's,
// no fingerprint, which is a keyed hash.
type Data struct {
	At        time.Time    `json:"exported_at"`
	Person    *Person      `json:"person"` // null: removed, and only traces are left
	Platforms []Platform   `json:"platforms"`
	Passkeys  []Passkey    `json:"passkeys"`
	Codes     []Code       `json:"recovery_codes"`
	Sessions  []Session    `json:"sessions"` // those that have ended too
	Links     []Link       `json:"openid"`   // who they are at OpenID providers
	Notices   []Notice     `json:"notices"`  // what they were told of their account
	Audit     []audit.View `json:"audit"`    // what happened to them, and what they did
}

// Passkey is one that they have; its private half is theirs alone.
type Passkey struct {
	ID         []byte     `json:"id"` // in base64
	Site       string     `json:"site"`
	Name       string     `json:"name"`
	Model      []byte     `json:"aaguid"` // in base64
	Transports []string   `json:"transports"`
	Synced     bool       `json:"synced"`
	SignCount  uint32     `json:"sign_count"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsed   *time.Time `json:"last_used"` // null: never
}

// Code is a recovery code, of which only a hash is kept.
type Code struct {
	MadeAt time.Time  `json:"made_at"`
	UsedAt *time.Time `json:"used_at"` // null: it is good
}

// Notice is a line of the Safety page.
type Notice struct {
	notice.View
	New bool `json:"is_new"`
}

// Person is the profile.
type Person struct {
	ID       session.UserID `json:"id"`
	Username string         `json:"username"`
	Email    string         `json:"email"`
	Role     directory.Role `json:"role"`
	Disabled bool           `json:"disabled"`
}

// Platform is an account that they may act as.
type Platform struct {
	ID          session.PlatformID `json:"id"`
	Name        string             `json:"name"`
	Type        string             `json:"platform_type"`
	InstanceURL string             `json:"instance_url"`
	Username    string             `json:"username"`
	IsDefault   bool               `json:"is_default"`
	LastUsed    *time.Time         `json:"last_used"` // null: never
}

// Link is who they are at an OpenID provider, and what began there.
type Link struct {
	Issuer   string            `json:"issuer"`
	Subject  string            `json:"subject"`
	LinkedAt *time.Time        `json:"linked_at"` // null: not any more
	LastUsed *time.Time        `json:"last_used"` // null: never
	Sessions []ProviderSession `json:"sessions"`
}

// ProviderSession is a session that began there, as long as it may last.
type ProviderSession struct {
	ID        session.ID `json:"session_id"`
	SessionID string     `json:"sid"` // the provider's; empty: it was not told
}

// Session is one that they have, or had.
type Session struct {
	ID              session.ID         `json:"session_id"`
	PlatformID      session.PlatformID `json:"platform_connection_id"`
	UserAgent       string             `json:"user_agent"`
	IPAddress       string             `json:"ip_address"`
	Language        string             `json:"language"`
	CreatedAt       time.Time          `json:"created_at"`
	RenewedAt       time.Time          `json:"renewed_at"`
	AuthenticatedAt *time.Time         `json:"authenticated_at"` // null: to be proved anew
	Level           session.Level      `json:"level"`            // of what was proved
	LastActivity    time.Time          `json:"last_activity"`
	EndedAt         *time.Time         `json:"ended_at"` // null while it lives
	EndReason       session.Reason     `json:"end_reason"`
	EndedBy         string             `json:"ended_by"`
	EndedFrom       *session.ID        `json:"ended_from"` // their session that did it; null: none
	Signals         string             `json:"signals"`    // what was noticed, and when
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// by is who did it, as the audit keeps it of an erased line: another person is not
// named.
func by(who string, id session.UserID) string {
	if who == string(id) {
		return who
	}
	return audit.Line{AuditEvent: session.AuditEvent{By: who}}.Erase().By
}

func handle(id session.ID) *session.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// Gather reads everything about the person of that id.
func Gather(ctx context.Context, people *directory.Directory, store database.Store, id session.UserID, now time.Time) (Data, error) {
	d := Data{At: now.UTC(), Platforms: []Platform{}, Passkeys: []Passkey{}, Codes: []Code{}, Sessions: []Session{}, Links: []Link{}, Notices: []Notice{}, Audit: []audit.View{}}
	if err := d.profile(ctx, people, id); err != nil {
		return d, err
	}
	sessions, err := store.EverySession(ctx, id)
	if err != nil {
		return d, err
	}
	for _, r := range sessions {
		d.Sessions = append(d.Sessions, Session{
			r.ID, r.PlatformID, r.Client.UserAgent, r.Client.IPAddress, r.Client.Language, r.CreatedAt, r.RenewedAt,
			optional(r.Proof.At), r.Proof.Level, r.LastActivity, optional(r.EndedAt), r.EndReason, by(r.EndedBy, id), handle(r.EndedFrom), r.Signals,
		})
	}
	for l, err := range store.SearchAudit(ctx, audit.Filter{User: id}) {
		if err != nil {
			return d, err
		}
		if l.User != id { // they did it to somebody else, whose data it is
			l.User, l.Platform, l.Session, l.Client = "", "", session.ID{}, session.Client{}
		}
		l.By = by(l.By, id)
		d.Audit = append(d.Audit, l.View())
	}
	return d, nil
}

// profile is in the directory, unless they were removed.
func (d *Data) profile(ctx context.Context, people *directory.Directory, id session.UserID) error {
	e, err := people.Entry(ctx, id)
	if errors.Is(err, session.ErrUnknownUser) {
		return nil
	}
	if err != nil {
		return err
	}
	d.Person = &Person{e.ID, e.Username, e.Email, e.Role, e.Disabled}
	platforms, err := people.Platforms(ctx, id)
	for _, p := range platforms {
		d.Platforms = append(d.Platforms, Platform{p.ID, p.Name, p.Type, p.InstanceURL, p.Username, p.IsDefault, optional(p.LastUsed)})
	}
	if err != nil {
		return err
	}
	if err := d.credentials(ctx, people, id); err != nil {
		return err
	}
	if d.Links, err = links(ctx, people, id); err != nil {
		return err
	}
	told, err := people.Notices(ctx, id)
	for _, n := range told {
		d.Notices = append(d.Notices, Notice{n.View(), n.New})
	}
	return err
}

func (d *Data) credentials(ctx context.Context, people *directory.Directory, id session.UserID) error {
	passkeys, err := people.Passkeys(ctx, id)
	if err != nil {
		return err
	}
	for _, p := range passkeys {
		d.Passkeys = append(d.Passkeys, Passkey{p.ID, p.Site, p.Name, p.Model[:], p.Transports, p.BackedUp, p.SignCount, p.CreatedAt, optional(p.LastUsed)})
	}
	codes, err := people.RecoveryCodes(ctx, id)
	for _, c := range codes {
		d.Codes = append(d.Codes, Code{c.MadeAt, optional(c.UsedAt)})
	}
	return err
}

func links(ctx context.Context, people *directory.Directory, id session.UserID) ([]Link, error) {
	list := []Link{}
	at := func(s directory.Identity) *Link {
		i := slices.IndexFunc(list, func(l Link) bool { return l.Issuer == s.Issuer && l.Subject == s.Subject })
		if i < 0 {
			i, list = len(list), append(list, Link{Issuer: s.Issuer, Subject: s.Subject, Sessions: []ProviderSession{}})
		}
		return &list[i]
	}
	linked, err := people.Links(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, l := range linked {
		link := at(l.Identity)
		link.LinkedAt, link.LastUsed = optional(l.LinkedAt), optional(l.LastUsed)
	}
	began, err := people.ProviderSessions(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, s := range began {
		link := at(s.Identity)
		link.Sessions = append(link.Sessions, ProviderSession{s.Session, s.SessionID})
	}
	return list, nil
}

// Empty reports whether nothing is stored.
func (d Data) Empty() bool { return d.Person == nil && len(d.Sessions) == 0 && len(d.Audit) == 0 }

// Erased counts what was.
type Erased struct {
	Sessions int // ended, or emptied of what is personal
	Lines    int // of the audit
}

// Erase locks the person out, ends their sessions, removes them and their platforms,
// and empties what has to stay. If it fails, do it again, by the id.
func Erase(ctx context.Context, people *directory.Directory, store database.Store, sessions *session.Manager, id session.UserID, by string) (e Erased, err error) {
	if err := people.Disable(ctx, id); err != nil && !errors.Is(err, session.ErrUnknownUser) {
		return e, err
	}
	if _, err := sessions.RevokeUser(ctx, id, session.UserDisabled, by); err != nil {
		return e, err
	}
	if err := people.Erase(ctx, id); err != nil && !errors.Is(err, session.ErrUnknownUser) {
		return e, err
	}
	if e.Sessions, e.Lines, err = store.EraseUser(ctx, id); err != nil {
		return e, fmt.Errorf("erase sessions and audit: %w", err)
	}
	return e, nil
}
