package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/personal"
)

const exportPath = "/api/export"

// export gives a person all that is stored about them. It reads the whole audit, so
// that only one is made at a time.
func (a *App) export(w http.ResponseWriter, r *http.Request) {
	select {
	case a.exporting <- struct{}{}:
		defer func() { <-a.exporting }()
	case <-r.Context().Done():
		a.sessions.Error(w, r, unavailable(r.Context().Err()))
		return
	}
	s := session.FromContext(r.Context()).Session
	data, err := personal.Gather(r.Context(), a.people, a.store.Store, s.UserID, a.manager.Now())
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
