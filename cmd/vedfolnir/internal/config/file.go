package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// readFile reads a file of settings in TOML 1.0: the flags by their names
// ("trusted_proxy"), the session's settings in the tables of its JSON
// ("[timeout]"). Either may be given by its name in the environment instead, so
// that the specification's own block of NAME=VALUE lines is such a file. The values
// are returned under the settings' keys.
func readFile(path string, m *mistakes) map[string]string {
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		m.add("--config: %w: name a file that is there (vedfolnir config template writes one)", err)
		return nil
	}
	var tree map[string]any
	if _, err := toml.Decode(strings.TrimPrefix(string(content), "\ufeff"), &tree); err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			m.add("%s, line %d: %s", path, parse.Position.Line, parse.Message)
		} else {
			m.add("%s: %w", path, err)
		}
		return nil
	}
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		takeIn(path, name, tree[name], values, m)
	}
	return values
}

// takeIn puts one key of the file, or all of a table, where it belongs.
func takeIn(path, name string, value any, values map[string]string, m *mistakes) {
	if table, ok := value.(map[string]any); ok {
		for _, inner := range slices.Sorted(maps.Keys(table)) {
			takeIn(path, name+"."+inner, table[inner], values, m)
		}
		return
	}
	s, ok := find(name)
	if !ok {
		m.add("%s: %s is not known%s", path, name, didYouMean(name))
		return
	}
	text, err := tomlText(value)
	if err != nil {
		m.add("%s: %s: %w", path, name, err)
		return
	}
	if _, twice := values[s.Key]; twice {
		m.add("%s: %s is set twice, as %s and as %s: leave one of them out", path, name, s.Key, s.Env)
		return
	}
	values[s.Key] = text
}

// tomlText is how a value would be written in the environment.
func tomlText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			text, ok := part.(string)
			if !ok {
				return "", errors.New("give a list of texts in quotes")
			}
			parts[i] = text
		}
		return strings.Join(parts, ","), nil
	}
	return "", fmt.Errorf("give a text in quotes, a number, true or false, not %v", value)
}
