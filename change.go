package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/clocks"
	"github.com/vedfolnir/session/internal/people"
	"github.com/vedfolnir/session/suspicion"
)

// CreateRequest asks for a new session.
type CreateRequest struct {
	UserID     UserID
	PlatformID PlatformID // must be the user's; empty: their default one, or none
	Client     Client
	// SignInEpoch is what [Manager.SignInEpoch] said before the credentials were
	// checked: if everything of the user's was revoked since, the sign-in is
	// refused with ErrConflict. 0: the check is not made.
	SignInEpoch uint64
	Level       Level     // of what the person has proved
	ProvedAt    time.Time // when, if somebody else has seen the proof, such as an identity provider; zero: now
	// Replaces is the session the client held until now, if any. It ends, with
	// reason SignedOut, and does not count towards the limit.
	Replaces ID
	Limits   Limits // of this session alone; an Until that is over already ends it at once
	// Unremembered is for a person who was asked, and did not ask to be remembered on
	// this device: the session has the limits that Config.Kinds has for them, and the
	// cookie is to end with the browser.
	Unremembered bool
	// Guest begins a session without a person: UserID is left empty, and made up.
	Guest bool
	// Impersonator is an operator who is to act as the user, through a session of
	// their own, ImpersonatedFrom: the new one ends with it, proves nothing of the
	// user, and takes no place of theirs. Whether the operator may is for the caller
	// to decide. Empty: nobody does.
	Impersonator     UserID
	ImpersonatedFrom ID
}

// SignInEpoch returns the number to give to Create. Read it before checking
// credentials: a sign-in that was checked before [Manager.RevokeUser] then cannot
// land after it.
func (m *Manager) SignInEpoch(ctx context.Context, user UserID) (uint64, error) {
	epoch, err := m.store.SignInEpoch(ctx, user)
	return epoch, storeError("read epoch of sign-ins", err)
}

// Create makes a session for a person who has just proved who they are, and the
// token that opens it. Errors: [ErrUnknownUser], [ErrPlatform], [ErrLimit],
// [ErrConflict], or a [*StoreError].
func (m *Manager) Create(ctx context.Context, req CreateRequest) (Context, Token, error) {
	r, p, token, err := m.newRecord(ctx, req)
	if err != nil {
		return Context{}, Token{}, err
	}
	created, err := m.store.Create(ctx, Creation{
		Record: r, Limit: max(0, m.config.Security.MaxConcurrentPerUser), Policy: m.config.Security.LimitPolicy,
		Cutoffs: m.policy.Cutoffs(r.CreatedAt), SignInEpoch: req.SignInEpoch, Replaces: req.Replaces,
	})
	if err != nil {
		m.feed.Ring() // it may have happened all the same
		refused := AuditEvent{Time: r.CreatedAt, Action: "sign_in_refused", User: r.UserID, By: r.Actor(), Client: r.Client}
		if errors.Is(err, ErrLimit) {
			refused.Reason = "limit_reached" // any other the answer says
		}
		m.config.Audit.Audit(ctx, refused)
		return Context{}, Token{}, storeError("create session", err)
	}
	m.stored(append(created.Ended, created.Record)...)
	m.audit(ctx, "created", created.Record, r.Actor())
	m.auditEnds(ctx, created.Ended)
	m.notePlatform(created.Record)
	m.endReplaced(ctx, req)
	c, err := m.admit(ctx, created.Record, p)
	return c, token, err
}

// newRecord checks the request against the directory, which is asked anew.
func (m *Manager) newRecord(ctx context.Context, req CreateRequest) (r Record, p *profile, token Token, err error) {
	if req.Guest {
		req.UserID = UserID(people.NewGuest())
	} else if n := len(req.UserID); n == 0 || n > MaxIDLength || people.IsGuest(string(req.UserID)) {
		return r, p, token, fmt.Errorf("session: create: %w: an id has 1 to %d bytes, this one %d, and is no guest's", ErrUnknownUser, MaxIDLength, n)
	}
	if p, err = m.readProfileAnew(ctx, req.UserID); err != nil {
		return r, p, token, err
	}
	platform, ok := p.Person.platform(req.PlatformID)
	if !ok && req.PlatformID != "" {
		return r, p, token, ErrPlatform
	}
	if token, err = newToken(req.UserID); err != nil {
		return r, p, token, err
	}
	now := m.Now()
	r = Record{
		Session: Session{
			ID: token.id, UserID: req.UserID, PlatformID: platform.ID, Version: 1,
			CreatedAt: now, RenewedAt: now, LastActivity: now,
			Limits:     Limits(clocks.Limits(req.Limits).Within(clocks.Kinds(m.config.Kinds).Of(req.Guest, req.Impersonator != "", req.Unremembered, now))),
			Persistent: !req.Unremembered && !req.Guest && req.Impersonator == "", Guest: req.Guest,
			Impersonator: req.Impersonator, ImpersonatedFrom: req.ImpersonatedFrom,
		},
		Secret: token.hash(),
	}
	if !req.Guest && req.Impersonator == "" {
		r.Proof = assurance.First(now, req.ProvedAt, req.Level)
	}
	r.Client, r.Fingerprint = m.mark(req.Client)
	return r, p, token, nil
}

// endReplaced ends the client's former session if it was another person's: the
// same person's has ended with the creation. A failure is not the new session's,
// and the former one still has its own clocks.
func (m *Manager) endReplaced(ctx context.Context, req CreateRequest) {
	if req.Replaces.IsZero() {
		return
	}
	err := m.Revoke(ctx, req.Replaces, SignedOut, string(req.UserID))
	if _, ended := Ended(err); err != nil && !ended {
		m.config.Logger.WarnContext(ctx, "session: cannot end the session that was signed in over; it ends by its own clocks", "session_id", req.Replaces.String(), "error", err)
	}
}

func (m *Manager) notePlatform(r Record) {
	if noter, ok := m.directory.(PlatformNoter); ok && r.PlatformID != "" {
		noter.PlatformUsed(r.UserID, r.PlatformID, m.Now())
	}
}

// SwitchPlatform makes platform the session's active one, in all of its tabs. Of
// two switches the last to be stored wins; an end wins over all. To the active
// one nothing changes. Errors: [ErrPlatform], [*SwitchLimitError], and those of Get.
func (m *Manager) SwitchPlatform(ctx context.Context, id ID, platform PlatformID) (Context, error) {
	c, err := m.Get(ctx, id)
	if err != nil {
		return Context{}, err
	}
	p, err := m.readProfileAnew(ctx, c.Session.UserID)
	if err != nil {
		return Context{}, m.signOutUnknown(ctx, c.Session, err)
	}
	to, ok := p.Person.platform(platform)
	if !ok || platform == "" {
		return Context{}, ErrPlatform
	}
	now := m.Now()
	if _, err := m.alive(ctx, c.Session, now); err != nil { // the directory may have taken its time
		return Context{}, err
	}
	r, changed, err := m.store.SwitchPlatform(ctx, id, to.ID, now, max(0, m.config.Security.MaxPlatformSwitchesPerHour)) // the directory's text: the request's memory may be used again
	if err != nil {
		m.unsure(id)
		if limited := new(SwitchLimitError); errors.As(err, &limited) {
			m.notice(ctx, id, suspicion.ManyPlatformSwitches)
		}
		return Context{}, storeError("switch platform", err)
	}
	if changed {
		m.stored(r)
		m.audit(ctx, "platform_switched", r, r.Actor())
		m.notePlatform(r)
	}
	return m.admit(ctx, r, p)
}

// Refresh lets the lifetime begin anew, within the absolute limit. [ErrConflict]:
// the session changed since c was read. The other errors are those of Get.
func (m *Manager) Refresh(ctx context.Context, c Context) (Context, error) {
	now := m.Now()
	if _, err := m.alive(ctx, c.Session, now); err != nil {
		return Context{}, err
	}
	r, err := m.store.Refresh(ctx, c.Session.ID, c.Session.Version, now)
	return m.taken(ctx, "refreshed", c.Session.ID, r, storeError("refresh session", err))
}

// taken takes in what the store answered to a change that the person made: the record
// as it is now, or an error, after which this node knows nothing sure of the session.
func (m *Manager) taken(ctx context.Context, action string, id ID, r Record, err error) (Context, error) {
	if err != nil {
		m.unsure(id)
		return Context{}, err
	}
	m.stored(r)
	m.audit(ctx, action, r, r.Actor())
	return m.admit(ctx, r, nil)
}

// Revoke ends a session. An empty reason stands for [RevokedByAdmin]. by names who
// did it: a user's id, [System], or an operator. If that is the user, and ctx
// carries another session of theirs ([NewContext]), the ended one can say from
// which device it was ended. The errors are those of Get; an [*EndedError] means
// that it had ended before.
func (m *Manager) Revoke(ctx context.Context, id ID, reason Reason, by string) error {
	r, err := m.read(ctx, id)
	if err != nil {
		return err
	}
	if r.EndedAt.IsZero() {
		if ended, err := m.end(ctx, Ending{User: r.UserID, ID: id, Reason: reason, By: by}); err != nil || len(ended) > 0 {
			return err
		}
	}
	_, err = m.readAlive(ctx, id, m.Now())
	return err
}

// RevokeOthers ends all sessions of the user but the one to keep, and returns how
// many that were. With the reason CredentialChanged it also refuses every sign-in
// whose credentials were checked before.
func (m *Manager) RevokeOthers(ctx context.Context, user UserID, keep ID, reason Reason, by string) (int, error) {
	ended, err := m.end(ctx, Ending{User: user, Except: keep, Reason: reason, By: by, RaiseEpoch: reason == CredentialChanged})
	return len(ended), err
}

// RevokeUser ends all sessions of the user and refuses every sign-in whose
// credentials were checked before; it returns how many sessions ended.
func (m *Manager) RevokeUser(ctx context.Context, user UserID, reason Reason, by string) (int, error) {
	ended, err := m.end(ctx, Ending{User: user, Reason: reason, By: by, RaiseEpoch: true})
	return len(ended), err
}

func (m *Manager) end(ctx context.Context, e Ending) ([]Record, error) {
	e.At, e.Reason = m.Now(), cmp.Or(e.Reason, RevokedByAdmin)
	if here := FromContext(ctx); here.SignedIn() && here.Session.UserID == e.User && e.By == string(e.User) && here.Session.ID != e.ID {
		e.From = here.Session.ID
	}
	ended, err := m.store.End(ctx, e)
	if err != nil || e.ID.IsZero() { // it may have happened all the same, or before, on another node
		m.memory.ForgetUser(string(e.User))
	}
	if err != nil {
		m.feed.Ring()
		return nil, storeError("end sessions", err)
	}
	m.stored(ended...)
	m.auditEnds(ctx, ended)
	return ended, nil
}

// List returns the user's live sessions, the newest activity first.
func (m *Manager) List(ctx context.Context, user UserID) ([]Detail, error) {
	records, err := m.store.List(ctx, user)
	if err != nil {
		return nil, storeError("list sessions", err)
	}
	now := m.Now()
	details := make([]Detail, 0, len(records))
	for _, r := range records {
		// It may not have been swept yet, or be over with the operator's.
		if _, err := m.deadlines(ctx, r.Session); (err == nil || errors.Is(err, ErrUnavailable)) && m.policy.Check(r.Session, now) == "" {
			details = append(details, Detail{r.Session, r.Client, m.eye.Judge(r.known(), client.Info(r.Client), now)})
		}
	}
	slices.SortFunc(details, func(a, b Detail) int { return idler(b.Session, a.Session) })
	return details, nil
}

// DirectoryChanged must be called after a change of the user's profile or
// platforms, so that every tab and node shows it at once.
func (m *Manager) DirectoryChanged(ctx context.Context, user UserID) error {
	rev, err := m.store.RaiseRev(ctx, user)
	m.heard(Change{User: user, Rev: rev, Directory: true}) // though the store may not have heard
	m.tellBus()
	return storeError("note a change of the directory", err)
}

// Touch notes that the person did something. It writes at most once in the write
// interval: within a second, and before it returns if a tenth of the idle timeout
// has gone by, so that a crash loses no more than that. The returned context
// carries the new idle deadline. The errors are those of Get.
func (m *Manager) Touch(ctx context.Context, c Context) (Context, error) {
	now := m.Now()
	s, err := m.alive(ctx, c.Session, now)
	if err != nil {
		return c, err
	}
	c = c.renewed(s.RenewedAt, s.LastActivity, m.policy)
	gone := now.Sub(s.LastActivity)
	if gone < m.policy.WriteInterval {
		return c, nil
	}
	if gone <= clocks.Policy(m.policy).IdleOf(s.Limits.Idle)/10 {
		m.activity.Add(s.ID, now)
	} else if err := m.store.Touch(ctx, []Activity{{s.ID, now}}); err != nil {
		return c, storeError("store activity", err)
	}
	m.memory.Touched(s.ID, now)
	return c.renewed(s.RenewedAt, now, m.policy), nil
}

// renewed returns c with what moves its deadlines, and nothing else.
func (c Context) renewed(at, active time.Time, p Policy) Context {
	c.Session.RenewedAt, c.Session.LastActivity = at, active
	c.deadlines = p.Deadlines(c.Session)
	return c
}
