package monitor

import (
	"context"
	"errors"
	"time"

	"github.com/vedfolnir/session"
)

// Store times the calls of s.
func (m *Monitor) Store(s interface {
	session.Store
	session.Pooler
},
) session.Store {
	return timed{s, s, m}
}

type timed struct {
	store session.Store
	session.Pooler
	m *Monitor
}

// observe notes how long an operation took that began at start, and whether it
// failed: a refusal is an answer.
func (t timed) observe(operation string, start time.Time, err error) {
	t.m.operations.WithLabelValues(operation).Observe(time.Since(start).Seconds())
	_, ended := session.Ended(err)
	var limited *session.SwitchLimitError
	if err != nil && !ended && !errors.As(err, &limited) && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict) &&
		!errors.Is(err, session.ErrLimit) && !errors.Is(err, context.Canceled) {
		t.m.failures.WithLabelValues(operation).Inc()
	}
}

func (t timed) Get(ctx context.Context, id session.ID) (r session.Record, err error) {
	defer func(start time.Time) { t.observe("get", start, err) }(time.Now())
	return t.store.Get(ctx, id)
}

func (t timed) List(ctx context.Context, user session.UserID) (r []session.Record, err error) {
	defer func(start time.Time) { t.observe("list", start, err) }(time.Now())
	return t.store.List(ctx, user)
}

func (t timed) Count(ctx context.Context, c session.Cutoffs) (n int, err error) {
	defer func(start time.Time) { t.observe("count", start, err) }(time.Now())
	return t.store.Count(ctx, c)
}

func (t timed) SignInEpoch(ctx context.Context, user session.UserID) (n uint64, err error) {
	defer func(start time.Time) { t.observe("sign_in_epoch", start, err) }(time.Now())
	return t.store.SignInEpoch(ctx, user)
}

func (t timed) Create(ctx context.Context, c session.Creation) (r session.Created, err error) {
	defer func(start time.Time) { t.observe("create", start, err) }(time.Now())
	return t.store.Create(ctx, c)
}

func (t timed) SwitchPlatform(ctx context.Context, id session.ID, p session.PlatformID, at time.Time, limit int) (r session.Record, changed bool, err error) {
	defer func(start time.Time) { t.observe("switch_platform", start, err) }(time.Now())
	return t.store.SwitchPlatform(ctx, id, p, at, limit)
}

func (t timed) Refresh(ctx context.Context, id session.ID, version uint64, at time.Time) (r session.Record, err error) {
	defer func(start time.Time) { t.observe("refresh", start, err) }(time.Now())
	return t.store.Refresh(ctx, id, version, at)
}

func (t timed) Rotate(ctx context.Context, id session.ID, version uint64, to session.Rotation) (r session.Record, err error) {
	defer func(start time.Time) { t.observe("rotate", start, err) }(time.Now())
	return t.store.Rotate(ctx, id, version, to)
}

func (t timed) ConfirmSecret(ctx context.Context, id session.ID, secret session.SecretHash, at time.Time) (r session.Record, err error) {
	defer func(start time.Time) { t.observe("confirm_secret", start, err) }(time.Now())
	return t.store.ConfirmSecret(ctx, id, secret, at)
}

func (t timed) Suspect(ctx context.Context, id session.ID, version uint64, noticed session.Suspicion) (r session.Record, err error) {
	defer func(start time.Time) { t.observe("suspect", start, err) }(time.Now())
	return t.store.Suspect(ctx, id, version, noticed)
}

func (t timed) Touch(ctx context.Context, a []session.Activity) (err error) {
	defer func(start time.Time) { t.observe("touch", start, err) }(time.Now())
	return t.store.Touch(ctx, a)
}

func (t timed) End(ctx context.Context, e session.Ending) (r []session.Record, err error) {
	defer func(start time.Time) { t.observe("end", start, err) }(time.Now())
	return t.store.End(ctx, e)
}

func (t timed) Expire(ctx context.Context, x session.Expiring) (r []session.Record, err error) {
	defer func(start time.Time) { t.observe("expire", start, err) }(time.Now())
	return t.store.Expire(ctx, x)
}

func (t timed) Purge(ctx context.Context, p session.Purging) (n int, err error) {
	defer func(start time.Time) { t.observe("purge", start, err) }(time.Now())
	return t.store.Purge(ctx, p)
}

func (t timed) RaiseRev(ctx context.Context, user session.UserID) (n uint64, err error) {
	defer func(start time.Time) { t.observe("raise_rev", start, err) }(time.Now())
	return t.store.RaiseRev(ctx, user)
}

func (t timed) Changes(ctx context.Context, after uint64, renew bool) (f session.Feed, err error) {
	defer func(start time.Time) { t.observe("changes", start, err) }(time.Now())
	return t.store.Changes(ctx, after, renew)
}

func (t timed) Close() error { return t.store.Close() }
