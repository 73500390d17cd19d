package session

import (
	"context"

	"github.com/vedfolnir/session/internal/client"
)

// Rotate gives the session of the token a new one. The one presented stays good
// until the overlap after the first use of the new one, so that other tabs and
// requests under way are not signed out. If the new one never arrives, the one
// presented stays good, and may be given to Rotate again once twice the overlap has
// passed. [ErrConflict]: somebody else rotated, or the session changed at that moment.
// The other errors are those of Get; [ErrNotFound] also for a token that does not
// open the session. With an error there is no new token.
func (m *Manager) Rotate(ctx context.Context, presented Token) (Context, Token, error) {
	return m.rotate(ctx, presented, "rotated", func(*Record, *Rotation) bool { return true })
}

// StepUp notes that the user, whose session it is, has just proved at that level who
// they are, and gives the session a new token as Rotate does. What they proved
// counts for that one, while the one presented is as good as it was. What was
// noticed about the session is settled, and clients are compared with seen from now
// on. The session, its platform and its deadlines stay. The errors are those of
// Rotate; [ErrConflict] also for another user, whose proof this session must not
// have: make a session of their own.
func (m *Manager) StepUp(ctx context.Context, presented Token, user UserID, level Level, seen Client) (Context, Token, error) {
	return m.rotate(ctx, presented, "reauthenticated", func(r *Record, to *Rotation) bool {
		to.Proof, to.Signals = to.Proof.Again(to.At, level), ""
		to.Client, to.Fingerprint = m.mark(seen)
		return r.UserID == user
	})
}

// rotate makes a new token, unless prepare refuses, which may change the rotation to
// be stored. What is presented becomes the previous token, with what was proved with
// it; the store's guard holds the version that was looked at here.
func (m *Manager) rotate(ctx context.Context, presented Token, action string, prepare func(*Record, *Rotation) bool) (Context, Token, error) {
	r, standing, proof, err := m.opened(ctx, presented)
	if err != nil {
		return Context{}, Token{}, err
	}
	token, err := r.ID.newToken()
	if err != nil {
		return Context{}, Token{}, err
	}
	now := m.Now()
	to := Rotation{
		Action: action, At: now, Secret: token.hash(), Previous: presented.hash(), Proof: proof, PreviousProof: proof,
		Client: r.Client, Fingerprint: r.Fingerprint, Signals: r.Signals,
	}
	if !prepare(&r, &to) || !r.tokens().MayRotate(standing, now, m.policy.Overlap) {
		return Context{}, Token{}, ErrConflict
	}
	r, err = m.store.Rotate(ctx, presented.id, r.Version, to)
	c, err := m.taken(ctx, action, presented.id, r, storeError("rotate token", err))
	if err != nil {
		return Context{}, Token{}, err
	}
	return c, token, nil
}

// mark is what is kept of a client, to compare others with.
func (m *Manager) mark(seen Client) (Client, string) {
	return Client(client.Info(seen).Storable()), client.Info(seen).Fingerprint(m.marks)
}
