package session

import (
	"context"

	"github.com/vedfolnir/session/assurance"
	"github.com/vedfolnir/session/internal/rotation"
)

// Level is how surely a person has proved who they are.
type Level = assurance.Level

// Proof returns what the person has proved with the token. It asks the store each
// time. What was proved counts for the token that was given for it: during a
// rotation the previous one is as good as it was. The errors are those of Get;
// [ErrNotFound] also for a token that does not open the session.
func (m *Manager) Proof(ctx context.Context, presented Token) (assurance.Proof, error) {
	_, _, proof, err := m.opened(ctx, presented)
	return proof, err
}

// Require returns nil if what [Manager.Proof] says suffices, else an
// [*assurance.Error] or an error of Proof.
func (m *Manager) Require(ctx context.Context, presented Token, need assurance.Required) error {
	proof, err := m.Proof(ctx, presented)
	if err != nil {
		return err
	}
	return need.Check(proof, m.Now())
}

// opened is what the store says of the live session that the token opens, how the
// token relates to it, and what was proved with it.
func (m *Manager) opened(ctx context.Context, presented Token) (r Record, s rotation.Standing, p assurance.Proof, err error) {
	if r, err = m.store.Get(ctx, presented.id); err != nil {
		return r, s, p, storeError("read session", err)
	}
	now := m.Now()
	switch s = r.tokens().Standing(presented.hash(), now, m.policy.Overlap); s {
	case rotation.Unknown:
		return r, s, p, ErrNotFound
	case rotation.Current, rotation.Unconfirmed:
		p = r.Proof
	case rotation.Previous:
		p = r.PreviousProof
	}
	return r, s, p, m.refuse(ctx, r.Session, now)
}
