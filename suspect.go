package session

import (
	"context"
	"errors"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/internal/noticing"
	"github.com/vedfolnir/session/suspicion"
)

// known is what there is to compare a request with.
func (r *Record) known() noticing.Session {
	return noticing.Session{ID: r.ID, Fingerprint: r.Fingerprint, UserAgent: r.Client.UserAgent, Signals: r.Signals}
}

// suspect keeps what was noticed, if it is news, and does what the policy says.
// What cannot be stored now is noticed again: the request itself goes on.
func (m *Manager) suspect(ctx context.Context, r Record, seen Client, noticed []suspicion.Signal) (Record, error) {
	now := m.Now()
	f, news := m.eye.Find(r.known(), noticed, now)
	if !news || m.policy.Check(r.Session, now) != "" {
		return r, nil
	}
	s := Suspicion{f.Signals, f.StepUp, Reason(f.Explanation), Client(client.Info(seen).Storable())}
	suspected, err := m.store.Suspect(ctx, r.ID, r.Version, s)
	if err != nil {
		m.unsure(r.ID)
		if errors.Is(storeError("keep what was noticed", err), ErrUnavailable) {
			m.config.Logger.WarnContext(ctx, "session: cannot keep what was noticed; it is noticed again", "session_id", r.ID.String(), "noticed", f.Explanation, "error", err)
		} else if changed, err := m.read(ctx, r.ID); err == nil && changed.Version != r.Version { // what was noticed holds for what it has become, too
			return m.suspect(ctx, changed, seen, noticed)
		}
		return r, nil
	}
	m.stored(suspected)
	m.config.Audit.Audit(ctx, AuditEvent{Time: now, Action: "noticed", User: r.UserID, Session: r.ID, Platform: r.PlatformID, Reason: s.Why, By: System, Client: s.Client})
	if f.Answer != suspicion.End {
		return suspected, nil
	}
	ended, err := m.end(ctx, Ending{User: r.UserID, ID: r.ID, Reason: RevokedByAdmin, By: System})
	return append(ended, suspected)[0], err
}

// notice is suspect for what no single request shows.
func (m *Manager) notice(ctx context.Context, id ID, s suspicion.Signal) {
	if r, err := m.read(ctx, id); err == nil { // or it is noticed the next time
		m.suspect(ctx, r, r.Client, []suspicion.Signal{s})
	}
}

// Refused must be told of a request of the session that was refused for what it
// lacked or what it asked for: many within a few minutes are a signal.
func (m *Manager) Refused(ctx context.Context, id ID) {
	if m.eye.Failed(id, m.Now()) {
		m.notice(ctx, id, suspicion.ManyFailures)
	}
}
