package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Template is a file of settings that changes nothing: every setting is there with
// its explanation and its default, behind a # that only has to go.
func Template() string {
	var b strings.Builder
	b.WriteString("# Settings of Vedfolnir, in TOML. What stands behind a # is the default.\n" +
		"# The environment wins over this file, and a flag over both.\n")
	table := ""
	for _, s := range settings {
		if s.Key == "config" {
			continue // the file cannot name itself
		}
		name := s.Key
		if group, inner, ok := strings.Cut(s.Key, "."); ok {
			name = inner
			if group != table {
				table = group
				fmt.Fprintf(&b, "\n[%s]\n", group)
			}
		}
		fmt.Fprintf(&b, "\n# %s\n# In the environment: %s.\n#%s = %s\n", s.Help, s.Env, name, s.toml())
	}
	return b.String()
}

// toml is the default as the file has it.
func (s Setting) toml() string {
	_, notNumber := strconv.ParseFloat(s.Default, 64)
	switch {
	case s.List:
		return "[]"
	case s.Switch, notNumber == nil:
		return s.Default
	}
	return strconv.Quote(s.Default)
}
