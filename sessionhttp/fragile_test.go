package sessionhttp_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/vedfolnir/session"
)

var errRefused = errors.New("connection refused")

// fragile is a store that fails: every call while it is down, and what it is told
// to by name.
type fragile struct {
	session.Store
	down atomic.Bool
	fail atomic.Pointer[func(call string) error]
}

// failing fails the calls of that name, once or always.
func (s *fragile) failing(name string, err error, once bool) {
	var failed atomic.Bool
	fail := func(call string) error {
		if call == name && (!failed.Swap(true) || !once) {
			return err
		}
		return nil
	}
	s.fail.Store(&fail)
}

func (s *fragile) mend() {
	s.down.Store(false)
	s.fail.Store(nil)
}

func (s *fragile) check(call string) error {
	if s.down.Load() {
		return errRefused
	}
	if fail := s.fail.Load(); fail != nil {
		return (*fail)(call)
	}
	return nil
}

func (s *fragile) Get(ctx context.Context, id session.ID) (session.Record, error) {
	if err := s.check("Get"); err != nil {
		return session.Record{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *fragile) List(ctx context.Context, user session.UserID) ([]session.Record, error) {
	if err := s.check("List"); err != nil {
		return nil, err
	}
	return s.Store.List(ctx, user)
}

func (s *fragile) SignInEpoch(ctx context.Context, user session.UserID) (uint64, error) {
	if err := s.check("SignInEpoch"); err != nil {
		return 0, err
	}
	return s.Store.SignInEpoch(ctx, user)
}

func (s *fragile) Create(ctx context.Context, c session.Creation) (session.Created, error) {
	if err := s.check("Create"); err != nil {
		return session.Created{}, err
	}
	return s.Store.Create(ctx, c)
}

func (s *fragile) SwitchPlatform(ctx context.Context, id session.ID, platform session.PlatformID, at time.Time, limit int) (session.Record, bool, error) {
	if err := s.check("SwitchPlatform"); err != nil {
		return session.Record{}, false, err
	}
	return s.Store.SwitchPlatform(ctx, id, platform, at, limit)
}

func (s *fragile) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (session.Record, error) {
	if err := s.check("Refresh"); err != nil {
		return session.Record{}, err
	}
	return s.Store.Refresh(ctx, id, version, at)
}

func (s *fragile) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (session.Record, error) {
	if err := s.check("Suspect"); err != nil {
		return session.Record{}, err
	}
	return s.Store.Suspect(ctx, id, version, noticed)
}

func (s *fragile) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (session.Record, error) {
	if err := s.check("Rotate"); err != nil {
		return session.Record{}, err
	}
	return s.Store.Rotate(ctx, id, version, to)
}

func (s *fragile) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (session.Record, error) {
	if err := s.check("ConfirmSecret"); err != nil {
		return session.Record{}, err
	}
	return s.Store.ConfirmSecret(ctx, id, secret, at)
}

func (s *fragile) Touch(ctx context.Context, activity []session.Activity) error {
	if err := s.check("Touch"); err != nil {
		return err
	}
	return s.Store.Touch(ctx, activity)
}

func (s *fragile) End(ctx context.Context, e session.Ending) ([]session.Record, error) {
	if err := s.check("End"); err != nil {
		return nil, err
	}
	return s.Store.End(ctx, e)
}

func (s *fragile) Expire(ctx context.Context, x session.Expiring) ([]session.Record, error) {
	if err := s.check("Expire"); err != nil {
		return nil, err
	}
	return s.Store.Expire(ctx, x)
}

func (s *fragile) Purge(ctx context.Context, p session.Purging) (int, error) {
	if err := s.check("Purge"); err != nil {
		return 0, err
	}
	return s.Store.Purge(ctx, p)
}
