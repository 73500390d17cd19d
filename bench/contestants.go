package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// made is a server that is ready to be asked.
type made struct {
	handler http.Handler
	cookies []string
	close   func() error
}

var contestants = map[string]func(settings, answer) (made, error){
	"bare handler":      bare,
	"scs, memory":       scsMemory,
	"vedfolnir, memory": vedfolnirMemory,
	"vedfolnir, SQLite": vedfolnirSQLite,

	"vedfolnir, PostgreSQL":               func(s settings, _ answer) (made, error) { return vedfolnirPostgreSQL(s, true) },
	"vedfolnir, PostgreSQL without a bus": func(s settings, _ answer) (made, error) { return vedfolnirPostgreSQL(s, false) },
}

func nothing() error { return nil }

// bare writes the bytes of an answer and does nothing else. It gets cookies like
// the others, and does not look at them.
func bare(s settings, a answer) (made, error) {
	cookies := make([]string, s.SignedIn)
	for i := range cookies {
		cookies[i] = "vedfolnir_session=8b1a9953c4611296a827abf8c47804d7.gKmzA9ZlHw6oG7q3vXn0bJtY5cR2eQd1uWfLsPxTiMk"
	}
	return made{cookies: cookies, close: nothing, handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), a.Header)
		w.Write(a.Body)
	})}, nil
}

// The same answer as an application of scs would give it: the fields are in the
// session, and encoding/json writes them.
type (
	scsUser struct {
		ID       int    `json:"id"`
		Username string `json:"username"`
		Email    string `json:"email"`
	}
	scsPlatform struct {
		ID          int    `json:"id"`
		Name        string `json:"name"`
		Type        string `json:"type"`
		InstanceURL string `json:"instance_url"`
		IsDefault   bool   `json:"is_default"`
	}
	scsSession struct {
		ID            string    `json:"session_id"`
		CreatedAt     time.Time `json:"created_at"`
		LastActivity  time.Time `json:"last_activity"`
		ExpiresAt     time.Time `json:"expires_at"`
		IdleExpiresAt time.Time `json:"idle_expires_at"`
		Version       int       `json:"version"`
	}
	scsSync struct {
		CheckInterval     int       `json:"check_interval_seconds"`
		HeartbeatInterval int       `json:"heartbeat_interval_seconds"`
		WarningThreshold  int       `json:"warning_threshold_seconds"`
		ServerTime        time.Time `json:"server_time"`
	}
	scsState struct {
		Success     bool        `json:"success"`
		User        scsUser     `json:"user"`
		Platform    scsPlatform `json:"platform"`
		Session     scsSession  `json:"session"`
		SessionType string      `json:"session_type"`
		Sync        scsSync     `json:"sync"`
		Stamp       string      `json:"stamp"`
		Timestamp   time.Time   `json:"timestamp"`
	}
)

func scsMemory(s settings, _ answer) (made, error) {
	sessions := scs.New()
	sessions.Lifetime = 48 * time.Hour
	m := made{close: nothing}
	for i := range s.Live {
		ctx, err := sessions.Load(context.Background(), "")
		if err != nil {
			return made{}, err
		}
		p := person(i)
		sessions.Put(ctx, "user_id", i+1)
		sessions.Put(ctx, "username", p.User.Username)
		sessions.Put(ctx, "email", p.User.Email)
		sessions.Put(ctx, "platform_id", 3*i+1)
		sessions.Put(ctx, "platform_name", p.Platforms[0].Name)
		sessions.Put(ctx, "platform_type", p.Platforms[0].Type)
		sessions.Put(ctx, "platform_url", p.Platforms[0].InstanceURL)
		sessions.Put(ctx, "created_at", time.Now().Unix())
		token, _, err := sessions.Commit(ctx)
		if err != nil {
			return made{}, err
		}
		if i < s.SignedIn {
			m.cookies = append(m.cookies, sessions.Cookie.Name+"="+token)
		}
	}
	m.handler = sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, now := r.Context(), time.Now().UTC().Truncate(time.Second)
		if !sessions.Exists(ctx, "user_id") {
			http.Error(w, "sign in", http.StatusUnauthorized)
			return
		}
		created := time.Unix(sessions.GetInt64(ctx, "created_at"), 0).UTC()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(scsState{
			Success:  true,
			User:     scsUser{sessions.GetInt(ctx, "user_id"), sessions.GetString(ctx, "username"), sessions.GetString(ctx, "email")},
			Platform: scsPlatform{sessions.GetInt(ctx, "platform_id"), sessions.GetString(ctx, "platform_name"), sessions.GetString(ctx, "platform_type"), sessions.GetString(ctx, "platform_url"), true},
			Session: scsSession{
				ID: "8b1a9953c4611296a827abf8c47804d7", CreatedAt: created, LastActivity: created,
				ExpiresAt: created.Add(48 * time.Hour), IdleExpiresAt: created.Add(24 * time.Hour), Version: 1,
			},
			SessionType: "integrated", Sync: scsSync{2, 30, 900, now}, Stamp: "1.1.1", Timestamp: now,
		})
	}))
	return m, nil
}
