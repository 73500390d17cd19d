package session

import (
	"context"
	"time"

	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/internal/rotation"
)

// Level is how surely a person has proved who they are.
type Level = assurance.Level

// Require returns nil if the person has proved who they are as lately and as surely
// as need says. It asks the store each time. What was proved counts for the token
// that was given for it: during a rotation the previous one is as good as it was.
// Errors: [*assurance.Error], and those of Get; [ErrNotFound] also for a token that
// does not open the session.
func (m *Manager) Require(ctx context.Context, presented Token, need assurance.Required) error {
	r, err := m.store.Get(ctx, presented.id)
	if err != nil {
		return storeError("read session", err)
	}
	now := m.Now()
	_, proof, err := m.standing(ctx, &r, presented, now)
	if err != nil {
		return err
	}
	return need.Check(proof, now)
}

// standing is how the token relates to the session, which lives, and what was proved
// with it.
func (m *Manager) standing(ctx context.Context, r *Record, presented Token, now time.Time) (s rotation.Standing, p assurance.Proof, err error) {
	switch s = r.tokens().Standing(presented.hash(), now, m.policy.Overlap); s {
	case rotation.Unknown:
		return s, p, ErrNotFound
	case rotation.Current, rotation.Unconfirmed:
		p = r.Proof
	case rotation.Previous:
		p = r.PreviousProof
	}
	return s, p, m.refuse(ctx, r.Session, now)
}
