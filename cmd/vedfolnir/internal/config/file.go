package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// File is the path of a file of settings: NAME=VALUE lines in the form of the
// specification, with comments after a # on lines of their own or after a value
// ("SESSION_LIFETIME_SECONDS=172800  # 48 hours"), with or without quotes and a
// leading "export".
type File string

// BeforeResolve lets the file speak for flags that neither the command line nor
// the environment has given. What is wrong with it is told by Settings.
func (f File) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path, _ := ctx.FlagValue(trace.Flag).(File)
	values, _ := path.read()
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range flag.Envs {
			if _, given := os.LookupEnv(name); given {
				return nil, nil
			}
			if value, ok := values[name]; ok {
				return value, nil
			}
		}
		return nil, nil
	}))
	return nil
}

// over returns the file's settings with the environment over them, and what
// should be known about either.
func (f File) over(environ []string, m *mistakes) (merged, warnings []string) {
	values, problems := f.read()
	m.errs = append(m.errs, problems...)
	for name, value := range values {
		merged = append(merged, name+"="+value)
		if strings.HasPrefix(name, "VEDFOLNIR_") && !known[name] {
			m.add("%s: %s is not known", f, name)
		}
	}
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, "VEDFOLNIR_") && !known[name] {
			warnings = append(warnings, name+" is not known and was not used")
		}
	}
	return append(merged, environ...), warnings
}

// known are the names that flags have in the environment.
var known = func() map[string]bool {
	names := map[string]bool{}
	t := reflect.TypeFor[Serve]()
	for i := range t.NumField() {
		names[t.Field(i).Tag.Get("env")] = true
	}
	return names
}()

var settingLine = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)

func (f File) read() (values map[string]string, problems []error) {
	if f == "" {
		return nil, nil
	}
	content, err := os.ReadFile(string(f))
	if err != nil {
		return nil, []error{fmt.Errorf("--config: %w", err)}
	}
	values = map[string]string{}
	for i, line := range strings.Split(strings.TrimPrefix(string(content), "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		setting := settingLine.FindStringSubmatch(line)
		if setting == nil {
			problems = append(problems, fmt.Errorf("%s, line %d: give NAME=VALUE, or begin a comment with #", f, i+1))
			continue
		}
		if _, twice := values[setting[1]]; twice {
			problems = append(problems, fmt.Errorf("%s, line %d: %s is set a second time", f, i+1, setting[1]))
		}
		values[setting[1]] = plain(setting[2])
	}
	return values, problems
}

// plain takes quotes or a comment from a value.
func plain(value string) string {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		if quoted, _, ok := strings.Cut(value[1:], value[:1]); ok {
			return quoted
		}
	}
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	return strings.TrimSpace(value)
}
