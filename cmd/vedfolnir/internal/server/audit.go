package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sqlitestore"
)

const (
	auditPurgeInterval = time.Hour
	auditPurgeBatch    = 1000
)

// auditor logs every event. The store has written a line of each change by itself,
// in the change's own transaction; what changed nothing is noted here.
type auditor struct {
	session.Auditor
	store *sqlitestore.Store
	log   *slog.Logger
	notes *sync.WaitGroup // that are on their way to the store
}

func (a auditor) Audit(ctx context.Context, e session.AuditEvent) {
	a.Auditor.Audit(ctx, e)
	switch e.Action {
	case "sign_in_refused", "token_replayed":
		// It may wait for the disk, which an auditor must not. The request may be over
		// before it is stored.
		a.notes.Go(func() {
			if err := a.store.Note(context.WithoutCancel(ctx), e); err != nil {
				a.log.Warn("cannot store an audit line", "action", e.Action, "error", err)
			}
		})
	}
}

// purgeAudit removes lines that are older than keep says, now and every hour, until ctx
// is done.
func (a *App) purgeAudit(ctx context.Context, keep func() time.Duration) {
	tick := time.NewTicker(auditPurgeInterval)
	defer tick.Stop()
	for {
		for {
			n, err := a.store.PurgeAudit(ctx, time.Now().Add(-keep()), auditPurgeBatch)
			if err != nil && ctx.Err() == nil {
				a.log.Warn("cannot remove old audit lines; trying again in an hour", "error", err)
			}
			if err != nil || n < auditPurgeBatch {
				break
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
