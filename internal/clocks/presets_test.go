package clocks

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// preset returns the times as "lifetime absolute idle", and the settings reported.
func preset(name, looser string, c Clocks) (times string, reported []string) {
	Preset(name, looser, &c, func(setting, problem string) { reported = append(reported, strings.Fields(setting)[0]+": "+problem) })
	return strings.Join([]string{c.SessionLifetime.String(), c.AbsoluteTimeout.String(), c.IdleTimeout.String()}, " "), reported
}

func TestPresetsAreNISTs(t *testing.T) {
	for name, want := range map[string]string{
		"aal1": "720h0m0s 720h0m0s 720h0m0s", "aal2": "24h0m0s 24h0m0s 1h0m0s", "aal3": "12h0m0s 12h0m0s 15m0s", "none": "0s 0s 0s", "": "0s 0s 0s",
	} {
		if got, reported := preset(name, "", Clocks{}); got != want || reported != nil {
			t.Errorf("%s: %s, want %s; %v", name, got, want, reported)
		}
	}
}

// Lesson 15: presets beat what was set explicitly.
func TestLesson15_WhatIsStricterThanThePresetStays(t *testing.T) {
	for _, c := range []struct {
		given Clocks
		want  string
	}{
		{Clocks{IdleTimeout: 10 * time.Minute}, "24h0m0s 24h0m0s 10m0s"},
		{Clocks{SessionLifetime: 8 * time.Hour}, "8h0m0s 24h0m0s 1h0m0s"},
		{Clocks{AbsoluteTimeout: 8 * time.Hour}, "8h0m0s 8h0m0s 1h0m0s"},
		{Clocks{AbsoluteTimeout: 30 * time.Minute}, "30m0s 30m0s 30m0s"},
		{Clocks{SessionLifetime: 24 * time.Hour, AbsoluteTimeout: 24 * time.Hour, IdleTimeout: time.Hour}, "24h0m0s 24h0m0s 1h0m0s"},
	} {
		if got, reported := preset("aal2", "refuse", c.given); got != c.want || reported != nil {
			t.Errorf("%+v: %s, want %s; %v", c.given, got, c.want, reported)
		}
	}
}

func TestWhatIsLooserThanThePresetHasToBeDeclared(t *testing.T) {
	given := Clocks{SessionLifetime: 25 * time.Hour, AbsoluteTimeout: 26 * time.Hour, IdleTimeout: 61 * time.Minute}
	_, reported := preset("aal2", "refuse", given)
	for _, want := range []string{"timeout.session_lifetime: is 25h0m0s, looser than the 24h0m0s of the preset aal2", "timeout.absolute_timeout: is 26h", "timeout.idle_timeout: is 1h1m0s"} {
		if !slices.ContainsFunc(reported, func(r string) bool {
			return strings.HasPrefix(r, want) && strings.Contains(r, "SESSION_LOOSER_THAN_PRESET")
		}) {
			t.Errorf("nothing about %q in %q", want, reported)
		}
	}
	if got, reported := preset("aal2", Allow, given); got != "25h0m0s 26h0m0s 1h1m0s" || reported != nil {
		t.Errorf("declared: %s, %v", got, reported)
	}
	if got, _ := preset("aal2", Allow, Clocks{SessionLifetime: 48 * time.Hour}); got != "48h0m0s 48h0m0s 1h0m0s" {
		t.Errorf("one is declared looser, and the rest fits: %s", got)
	}
	if _, reported := preset("none", "refuse", given); reported != nil {
		t.Errorf("without a preset: %v", reported)
	}
}
