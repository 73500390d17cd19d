package session

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session/internal/nearest"
)

// ConfigFromEnv reads the SESSION_* variables out of environ, which has the form
// of os.Environ. Durations are seconds ("172800") or Go's ("48h"); a comment after
// a value is passed over ("172800  # 48 hours"). What is not there stays zero, the
// default. The error joins a [ConfigError] for every mistake; the warnings name
// variables that look like a misspelt one.
func ConfigFromEnv(environ []string) (c Config, warnings []string, err error) {
	values := map[string]string{}
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "SESSION_") {
			values[name] = value
		}
	}
	var errs []error
	for _, s := range settings {
		value, ok := values[s.env]
		delete(values, s.env)
		if value = plainValue(value); !ok || value == "" {
			continue
		}
		if problem := s.parse(&c, value); problem != "" {
			errs = append(errs, &ConfigError{s.env, fmt.Sprintf("is %q: %s", value, problem)})
		}
	}
	var names []string
	for _, s := range settings {
		names = append(names, s.env)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if known := nearest.Of(name, names); known != "" {
			warnings = append(warnings, fmt.Sprintf("%s is not known and was not used; did you mean %s?", name, known))
		}
	}
	_, contradictions := c.complete()
	return c, warnings, errors.Join(append(errs, contradictions)...)
}

// plainValue takes the comment and the quotes from a value.
func plainValue(value string) string {
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return value
}

// parse stores the value and says what is wrong with it. A mistaken value leaves
// the field zero, so that it is reported once.
func (s setting) parse(c *Config, value string) (problem string) {
	switch p := s.field(c).(type) {
	case *time.Duration:
		d, err := parseDuration(value)
		switch {
		case err != nil:
			return `give seconds ("172800") or a duration ("48h")`
		case d == 0 && s.orNone:
			d = -1
		case d <= 0:
			return "give more than 0"
		}
		*p = d
	case *int:
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
			return "give a whole number"
		case n == 0 && s.orNone:
			n = -1
		case n <= 0:
			return "give more than 0"
		}
		*p = n
	case *LimitPolicy:
		*p = LimitPolicy(strings.ToLower(value))
	case disabled:
		switch strings.ToLower(value) {
		case "true", "1", "yes", "on":
			*p.off = false
		case "false", "0", "no", "off":
			*p.off = true
		default:
			return "give true or false"
		}
	}
	return ""
}

// parseDuration refuses what a time.Duration cannot hold.
func parseDuration(value string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return time.ParseDuration(value)
	}
	if century := 100 * 365 * 24 * 3600.0; !(seconds > -century && seconds < century) {
		return 0, strconv.ErrRange
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
