package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/vedfolnir/session"
)

type tx = *sql.Tx

// picture waits for a caption, or to be posted.
type picture struct {
	ID      int64  `json:"id"`
	File    string `json:"file"`
	Caption string `json:"caption"`
}

// queue returns what waits on one platform.
func (a *app) queue(ctx context.Context, platform session.PlatformID) ([]picture, error) {
	rows, err := a.store.DB().QueryContext(ctx, `SELECT id, file, caption FROM app_pictures WHERE platform_id = ? AND NOT posted ORDER BY id`, platform)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	waiting := []picture{}
	for rows.Next() {
		var p picture
		if err := rows.Scan(&p.ID, &p.File, &p.Caption); err != nil {
			return nil, err
		}
		waiting = append(waiting, p)
	}
	return waiting, rows.Err()
}

func (a *app) queueJSON(w http.ResponseWriter, r *http.Request) {
	platform := session.FromContext(r.Context()).Platform()
	waiting, err := a.queue(r.Context(), platform.ID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"platform": platform.Name, "waiting": waiting})
}

// caption stores a caption in the request's transaction: it is committed before
// the redirect leaves, and taken back if anything fails.
func (a *app) caption(w http.ResponseWriter, r *http.Request) {
	t, err := a.scope.Tx(r.Context())
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	// The platform is the one that the form's page showed, however late that tab
	// heard of a switch.
	result, err := t.ExecContext(r.Context(), `UPDATE app_pictures SET caption = ? WHERE id = ? AND platform_id = ? AND NOT posted`,
		strings.TrimSpace(r.PostFormValue("caption")), r.PathValue("id"), session.FromContext(r.Context()).Platform().ID)
	if err != nil {
		a.sessions.Error(w, r, err)
		return
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		http.Error(w, "No such picture is waiting on this platform.", http.StatusNotFound)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// publishEvery posts captioned pictures in the background.
func (a *app) publishEvery(ctx context.Context, interval time.Duration) {
	for {
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return
		}
		if n, err := a.publish(ctx); err != nil {
			log.Print("publish: ", err)
		} else if n > 0 {
			log.Printf("posted %d pictures", n)
		}
	}
}

// publish works on behalf of each platform, without a request and so without a
// session: the platform is in the row, not in anybody's tab.
func (a *app) publish(ctx context.Context) (n int64, err error) {
	err = a.scope.Run(ctx, func(ctx context.Context) error {
		t, err := a.scope.Tx(ctx)
		if err != nil {
			return err
		}
		result, err := t.ExecContext(ctx, `UPDATE app_pictures SET posted = 1 WHERE caption <> '' AND NOT posted`)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}
