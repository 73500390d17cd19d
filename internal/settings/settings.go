// Package settings reads, checks, completes and shows a configuration by a table
// that has one line for each of its settings: the names, the default, and where
// the value is kept. A field whose value is zero stands for the default.
package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vedfolnir/session/internal/nearest"
)

// Table of the settings of a C.
type Table[C any] []Setting[C]

// Setting is a line of the table, made by [Duration], [DurationOrNone], [Count],
// [CountOrNone], [Choice] or [Switch].
type Setting[C any] struct {
	Path, Env, Help string
	kept            func(*C) value
}

// Duration is a setting of more than nothing. In the environment it is in seconds
// ("172800") or as Go writes it ("48h").
func Duration[C any](path, env string, standard time.Duration, field func(*C) *time.Duration, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return duration{field(c), standard, false} }}
}

// DurationOrNone can also be "none": -1 in its field, 0 in the environment and in
// JSON.
func DurationOrNone[C any](path, env string, standard time.Duration, field func(*C) *time.Duration, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return duration{field(c), standard, true} }}
}

// Count is a setting of one or more.
func Count[C any](path, env string, standard int, field func(*C) *int, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return count{field(c), standard, false} }}
}

// CountOrNone can also be "none", as [DurationOrNone] can.
func CountOrNone[C any](path, env string, standard int, field func(*C) *int, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return count{field(c), standard, true} }}
}

// Choice is one of a few words, of which the first one is the default.
func Choice[C any](path, env string, words []string, field func(*C) *string, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return choice{field(c), words} }}
}

// Switch is on by default; its field says that it is off.
func Switch[C any](path, env string, off func(*C) *bool, help string) Setting[C] {
	return Setting[C]{path, env, help, func(c *C) value { return isOff{off(c)} }}
}

// Default is what the setting is without being set, as FromEnv reads it.
func (s Setting[C]) Default() string {
	var c C
	return s.kept(&c).standardText()
}

// Complete fills in the defaults and reports what cannot be, by setting.
func (t Table[C]) Complete(c *C, report func(setting, problem string)) {
	for _, s := range t {
		if problem := s.kept(c).complete(); problem != "" {
			report(s.Path+" ("+s.Env+")", problem)
		}
	}
}

// FromEnv reads into c what environ, in the form of os.Environ, has of the
// settings; what is not there, or empty, stays as it is. A comment after a value
// is passed over, and so are quotes around it. A mistake is reported and leaves
// the field alone. The warnings name variables with the prefix that look like a
// misspelt one.
func (t Table[C]) FromEnv(c *C, environ []string, prefix string, report func(setting, problem string)) (warnings []string) {
	values := map[string]string{}
	for _, line := range environ {
		if name, text, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, prefix) {
			values[name] = text
		}
	}
	var names []string
	for _, s := range t {
		names = append(names, s.Env)
		text, ok := values[s.Env]
		delete(values, s.Env)
		if text = plain(text); !ok || text == "" {
			continue
		}
		if problem := s.kept(c).parse(text); problem != "" {
			report(s.Env, fmt.Sprintf("is %q: %s", text, problem))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if known := nearest.Of(name, names); known != "" {
			warnings = append(warnings, fmt.Sprintf("%s is not known and was not used; did you mean %s?", name, known))
		}
	}
	return warnings
}

// plain takes the comment and the quotes from a value.
func plain(text string) string {
	for i := range len(text) {
		if text[i] == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t') {
			text = text[:i]
			break
		}
	}
	text = strings.TrimSpace(text)
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = text[1 : n-1]
	}
	return text
}

// JSON has every setting under its path, of which the part before the dot is an
// object; durations in seconds.
func (t Table[C]) JSON(c C) ([]byte, error) {
	groups := map[string]map[string]any{}
	for _, s := range t {
		group, name, _ := strings.Cut(s.Path, ".")
		if groups[group] == nil {
			groups[group] = map[string]any{}
		}
		groups[group][name] = s.kept(&c).json()
	}
	return json.Marshal(groups)
}
