package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/personal"
)

const exportPath = "/api/export"

// export gives a person all that is stored about them.
func (a *App) export(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r.Context()).Session
	data, err := a.gather(r.Context(), s.UserID)
	if err != nil {
		a.sessions.Error(w, r, unavailable(err))
		return
	}
	body, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		a.sessions.Error(w, r, fmt.Errorf("export: %w", err))
		return
	}
	if r.Method == http.MethodGet && a.sealer != nil {
		a.auditor.note(r.Context(), session.AuditEvent{
			Action: "person_exported", User: s.UserID, Session: s.ID, Platform: s.PlatformID, By: string(s.UserID), Client: a.sessions.Client(r),
		})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="vedfolnir.json"`)
	_, err = w.Write(append(body, '\n'))
	a.sent(r, err)
}

// gather reads the whole audit, so that only one does at a time.
func (a *App) gather(ctx context.Context, id session.UserID) (personal.Data, error) {
	select {
	case a.exporting <- struct{}{}:
		defer func() { <-a.exporting }()
	case <-ctx.Done():
		return personal.Data{}, ctx.Err()
	}
	return personal.Gather(ctx, a.people, a.store.Store, id, a.manager.Now())
}
