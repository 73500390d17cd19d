package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a setting's place in a configuration. A problem says what is wrong and
// what to do about it; empty: nothing is.
type value interface {
	parse(text string) (problem string)
	complete() (problem string)
	standardText() string
	json() any
}

type duration struct {
	field    *time.Duration
	standard time.Duration
	orNone   bool
}

func (v duration) parse(text string) string {
	d, err := parseDuration(text)
	switch {
	case err != nil:
		return `give seconds ("172800") or a duration ("48h")`
	case d == 0 && v.orNone:
		d = -1
	case d <= 0:
		return least(v.orNone)
	}
	*v.field = d
	return ""
}

// parseDuration refuses what a time.Duration cannot hold.
func parseDuration(text string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.ParseDuration(text)
	}
	if century := 100 * 365 * 24 * 3600.0; !(seconds > -century && seconds < century) {
		return 0, strconv.ErrRange
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func (v duration) complete() string {
	if *v.field == 0 {
		*v.field = v.standard
	} else if *v.field < 0 && (!v.orNone || *v.field != -1) {
		return fmt.Sprintf("is %v: give a positive duration%s, or leave it out for %v", *v.field, none(v.orNone), v.standard)
	}
	return ""
}

func (v duration) standardText() string {
	return strconv.FormatFloat(v.standard.Seconds(), 'f', -1, 64)
}

func (v duration) json() any { return max(0, v.field.Seconds()) }

type count struct {
	field    *int
	standard int
	orNone   bool
}

func (v count) parse(text string) string {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return "give a whole number"
	case n == 0 && v.orNone:
		if v.standard != 0 {
			n = -1
		}
	case n <= 0:
		return least(v.orNone)
	}
	*v.field = n
	return ""
}

func (v count) complete() string {
	if *v.field == 0 {
		*v.field = v.standard
	} else if *v.field < 0 && (!v.orNone || *v.field != -1) {
		return fmt.Sprintf("is %d: give a positive number%s, or leave it out for %v", *v.field, none(v.orNone), v.standard)
	}
	return ""
}

func (v count) standardText() string { return strconv.Itoa(v.standard) }
func (v count) json() any            { return max(0, *v.field) }

// least says, of the environment, what is not too little.
func least(orNone bool) string {
	if orNone {
		return "give 0 for none, or more"
	}
	return "give more than 0"
}

// none says, of a field, how there is none.
func none(orNone bool) string {
	if orNone {
		return ", or -1 for none"
	}
	return ""
}

type choice struct {
	field *string
	words []string
}

// parse leaves an unknown word to complete, which reports it with the words there
// are.
func (v choice) parse(text string) string {
	*v.field = strings.ToLower(text)
	return ""
}

func (v choice) complete() string {
	if *v.field == "" {
		*v.field = v.words[0]
	} else if !slices.Contains(v.words, *v.field) {
		last := len(v.words) - 1
		return fmt.Sprintf("is %q: give %s or %s", *v.field, strings.Join(v.words[:last], ", "), v.words[last])
	}
	return ""
}

func (v choice) standardText() string { return v.words[0] }
func (v choice) json() any            { return *v.field }

// isOff is on as long as it is zero.
type isOff struct{ field *bool }

func (v isOff) parse(text string) string {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		*v.field = false
	case "false", "0", "no", "off":
		*v.field = true
	default:
		return "give true or false"
	}
	return ""
}

func (v isOff) complete() string     { return "" }
func (v isOff) standardText() string { return "true" }
func (v isOff) json() any            { return !*v.field }
