package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/internal/nearest"
)

// Setting is one thing that can be chosen.
type Setting struct {
	Key     string // in the file: "addr", "timeout.idle_timeout"
	Flag    string // "addr"; empty: it has no flag
	Env     string // "VEDFOLNIR_ADDR"
	Default string
	Help    string
	List    bool // several values, separated by commas in the environment
	Switch  bool // true or false
}

// settings are all of them, in the order to show.
var settings = append(flagSettings(), sessionSettings()...)

// flagSettings are the flags of the program, as kong understands them.
func flagSettings() (list []Setting) {
	var flags struct {
		Common
		Serve
	}
	for _, f := range kong.Must(&flags).Model.Flags {
		if f.Name == "help" {
			continue
		}
		standard := f.Default
		if f.IsBool() {
			standard = cmp.Or(standard, "false")
		}
		list = append(list, Setting{
			Key: strings.ReplaceAll(f.Name, "-", "_"), Flag: f.Name, Env: Env(f.Name),
			Default: standard, Help: f.Help, List: f.Target.Kind() == reflect.Slice, Switch: f.IsBool(),
		})
	}
	return list
}

func sessionSettings() (list []Setting) {
	for _, s := range session.Settings() {
		list = append(list, Setting{Key: s.Path, Env: s.Env, Default: s.Default, Help: s.Help, Switch: s.Default == "true"})
	}
	return list
}

// Env is the name that a flag has in the environment.
func Env(flag string) string {
	return "VEDFOLNIR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// IsSetting reports whether the flag is a setting, and so has a name in the
// environment.
func IsSetting(flag string) bool {
	return slices.ContainsFunc(settings, func(s Setting) bool { return s.Flag == flag })
}

// find a setting by its key or by its name in the environment.
func find(name string) (Setting, bool) {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == name || s.Env == name })
	if i < 0 {
		return Setting{}, false
	}
	return settings[i], true
}

// Value is what was chosen for a setting, and where.
type Value struct {
	Setting
	Text   string
	Source string // "default", "--addr", "VEDFOLNIR_ADDR", or the name of the file
}

// Given returns the flags that the command line names, with their text.
func Given(ctx *kong.Context) map[string]string {
	given := map[string]string{}
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Resolved {
			continue
		}
		switch v := ctx.FlagValue(p.Flag).(type) {
		case []string:
			given[p.Flag.Name] = strings.Join(v, ",")
		default:
			given[p.Flag.Name] = fmt.Sprint(v)
		}
	}
	return given
}

// choose finds the value of every setting: a flag wins over the environment, and
// that over the file.
func choose(given map[string]string, environ []string, m *mistakes) (values []Value, warnings []string) {
	env := map[string]string{}
	for _, line := range environ {
		name, text, _ := strings.Cut(line, "=")
		env[name] = text
		if strings.HasPrefix(name, "VEDFOLNIR_") {
			if _, known := find(name); !known {
				warnings = append(warnings, name+" is not known and was not used"+didYouMean(name))
			}
		}
	}
	path := given["config"]
	if path == "" {
		path = env["VEDFOLNIR_CONFIG"]
	}
	file := readFile(path, m)
	for _, s := range settings {
		v := Value{Setting: s, Text: s.Default, Source: "default"}
		if text, ok := file[s.Key]; ok && path != "" {
			v.Text, v.Source = text, path
		}
		if text, ok := env[s.Env]; ok && text != "" {
			v.Text, v.Source = text, s.Env
		}
		if text, ok := given[s.Flag]; ok && s.Flag != "" {
			v.Text, v.Source = text, "--"+s.Flag
		}
		values = append(values, v)
	}
	return values, warnings
}

// chosen are the values by key.
type chosen map[string]Value

func byKey(values []Value) chosen {
	c := chosen{}
	for _, v := range values {
		c[v.Key] = v
	}
	return c
}

// text of a setting; empty if nobody chose it.
func (c chosen) text(key string) string {
	if c[key].Source == "default" {
		return ""
	}
	return c[key].Text
}

func (c chosen) list(key string) (list []string) {
	for part := range strings.SplitSeq(c.text(key), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func (c chosen) truth(key string, m *mistakes) bool {
	switch text := strings.ToLower(c.text(key)); text {
	case "true", "1", "yes", "on":
		return true
	case "", "false", "0", "no", "off":
		return false
	default:
		m.add("%s is %q: give true or false", c[key].Source, text)
		return false
	}
}

// environ hands on the session's settings in the form in which it reads them.
func (c chosen) environ(environ []string) (lines []string) {
	for _, line := range environ {
		if name, _, _ := strings.Cut(line, "="); c.ofSession(name) == "" {
			lines = append(lines, line) // for what looks misspelt
		}
	}
	for _, v := range c {
		if v.Flag == "" && v.Source != "default" {
			lines = append(lines, v.Env+"="+v.Text)
		}
	}
	return lines
}

func (c chosen) ofSession(env string) string {
	if s, ok := find(env); ok && s.Flag == "" {
		return s.Key
	}
	return ""
}

// didYouMean guesses what a name was meant to be.
func didYouMean(name string) string {
	var names []string
	for _, s := range settings {
		if name == strings.ToUpper(name) {
			names = append(names, s.Env)
		} else {
			names = append(names, s.Key)
		}
	}
	if best := nearest.Of(name, names); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}
