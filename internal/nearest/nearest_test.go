package nearest_test

import (
	"testing"

	"github.com/vedfolnir/session/internal/nearest"
)

func TestOf(t *testing.T) {
	names := []string{"SESSION_LIFETIME_SECONDS", "SESSION_IDLE_TIMEOUT_SECONDS", "addr", "demo"}
	for name, want := range map[string]string{
		"SESSION_LIFETIME_SECOND":  "SESSION_LIFETIME_SECONDS",
		"SESSION_LIFETIME":         "SESSION_LIFETIME_SECONDS",
		"SESSION_LIVETIME_SECONDS": "SESSION_LIFETIME_SECONDS",
		"adr":                      "addr",
		"dmeo":                     "",
		"x":                        "",
		"":                         "",
		"SESSION_MANAGER":          "",
		"SESSION_":                 "",
	} {
		if got := nearest.Of(name, names); got != want {
			t.Errorf("%q is near to %q, want %q", name, got, want)
		}
	}
}
