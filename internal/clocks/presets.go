package clocks

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Presets are the limits that NIST SP 800-63B-4 sets for sessions at each of its
// levels of assurance (2.1.3, 2.2.3, 2.3.3), by the preset's name. At the first
// level there need be no limit for idleness, and so it is the lifetime.
var Presets = map[string]Clocks{
	"aal1": {SessionLifetime: 30 * day, AbsoluteTimeout: 30 * day, IdleTimeout: 30 * day},
	"aal2": {SessionLifetime: day, AbsoluteTimeout: day, IdleTimeout: time.Hour},
	"aal3": {SessionLifetime: 12 * time.Hour, AbsoluteTimeout: 12 * time.Hour, IdleTimeout: 15 * time.Minute},
}

// Allow is the word that declares times looser than the preset's.
const Allow = "allow"

// Preset fills in what is zero in c with the preset's times, and reports, by setting,
// what was given and is looser, unless that is declared. What was given and is
// stricter stays, and what was not gives way to it. Without a preset of that name c
// is left alone.
func Preset(name, looser string, c *Clocks, report func(setting, problem string)) {
	preset, ok := Presets[name]
	if !ok {
		return
	}
	given := *c
	for _, s := range []struct {
		given, preset time.Duration
		setting       string
	}{
		{given.AbsoluteTimeout, preset.AbsoluteTimeout, absoluteTimeout},
		{given.SessionLifetime, preset.SessionLifetime, sessionLifetime},
		{given.IdleTimeout, preset.IdleTimeout, idleTimeout},
	} {
		if s.given > s.preset && looser != Allow {
			report(s.setting, fmt.Sprintf("is %v, looser than the %v of the preset %s: shorten it, or declare it with security.looser_than_preset (SESSION_LOOSER_THAN_PRESET): %s", s.given, s.preset, name, Allow))
		}
	}
	if given.AbsoluteTimeout == 0 {
		c.AbsoluteTimeout = max(preset.AbsoluteTimeout, given.SessionLifetime)
	}
	if given.SessionLifetime == 0 {
		c.SessionLifetime = min(preset.SessionLifetime, c.AbsoluteTimeout)
	}
	if given.IdleTimeout == 0 {
		c.IdleTimeout = min(preset.IdleTimeout, c.SessionLifetime)
	}
}
