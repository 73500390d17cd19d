package config_test

import (
	"fmt"

	"github.com/vedfolnir/session/config"
)

// A program that lets people choose the settings finds out which there are.
func ExampleSettings() {
	for _, s := range config.Settings()[:2] {
		fmt.Printf("%s=%s  # %s\n", s.Env, s.Default, s.Help)
	}
	// Output:
	// SESSION_LIFETIME_SECONDS=172800  # how long a session lasts since sign-in or the last refresh
	// SESSION_IDLE_TIMEOUT_SECONDS=86400  # how long a session lasts without activity
}
