package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// Session, cookie and default platform were three stores changed one after the
// other: under concurrent switches they ended up different.
func TestLesson05_ThereIsOnePlaceThatSaysWhatTheActivePlatformIs(t *testing.T) {
	store := memstore.New()
	m := open(t, store, people, session.Config{})
	c, token := signIn(t, m, "1")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			if _, err := m.SwitchPlatform(context.Background(), c.Session.ID, []session.PlatformID{"11", "12", "13"}[i%3]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, err := store.Get(t.Context(), c.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := m.Authenticate(t.Context(), token, firefox)
	if err != nil {
		t.Fatal(err)
	}
	list, err := m.List(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	if seen.Platform().ID != stored.PlatformID || list[0].PlatformID != stored.PlatformID ||
		!strings.Contains(string(seen.ClientView()), `"platform":{"id":`+string(stored.PlatformID)+`,`) {
		t.Errorf("stored %s, a request sees %s, the list %s, the client %s", stored.PlatformID, seen.Platform().ID, list[0].PlatformID, seen.ClientView())
	}
}

// One of a hundred acknowledged switches was lost, and one in five requests failed,
// while polls ran beside them.
func TestLesson06_NoAcknowledgedSwitchIsLostWhilePollsRun(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Security: session.Security{MaxPlatformSwitchesPerHour: session.NoLimit}})
	c, token := signIn(t, m, "1")
	ctx, stop := context.WithCancel(t.Context())
	var polls sync.WaitGroup
	for range 8 {
		polls.Go(func() {
			for ctx.Err() == nil {
				if _, err := m.Authenticate(context.Background(), token, firefox); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		want := []session.PlatformID{"12", "13", "11"}[i%3]
		if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, want); err != nil {
			t.Fatal(err)
		}
		if seen, err := m.Authenticate(t.Context(), token, firefox); err != nil || seen.Platform().ID != want {
			t.Fatalf("switch %d to %s was acknowledged, and the next request sees %s, %v", i, want, seen.Platform().ID, err)
		}
	}
	stop()
	polls.Wait()
}

// A switch reported success and wrote nothing; the operator's "end session" raised
// an error.
func TestLesson18_WhatReportsSuccessIsStored(t *testing.T) {
	store := memstore.New()
	m := open(t, store, people, session.Config{})
	c, _ := signIn(t, m, "1")
	if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); err != nil {
		t.Fatal(err)
	}
	if r, err := store.Get(t.Context(), c.Session.ID); err != nil || r.PlatformID != "12" {
		t.Errorf("stored: %s, %v", r.PlatformID, err)
	}
	if err := m.Revoke(t.Context(), c.Session.ID, session.RevokedByAdmin, "operator kim"); err != nil {
		t.Fatal(err)
	}
	if r, err := store.Get(t.Context(), c.Session.ID); err != nil || r.EndReason != session.RevokedByAdmin || r.EndedBy != "operator kim" {
		t.Errorf("stored: %s by %q, %v", r.EndReason, r.EndedBy, err)
	}
}
