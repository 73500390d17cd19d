package clientview

import (
	"encoding/json"
	"strconv"
	"time"
)

type raw = json.RawMessage

// ID is opaque. A canonical decimal up to 2^53-1, which JavaScript can hold, is
// written as a number, anything else as a string.
type ID string

// MarshalJSON does that.
func (id ID) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseUint(string(id), 10, 53); err == nil && strconv.FormatUint(n, 10) == string(id) {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// ParseID reads what MarshalJSON writes.
func ParseID(text []byte, into *string) error {
	if n, err := strconv.ParseUint(string(text), 10, 53); err == nil {
		*into = strconv.FormatUint(n, 10)
		return nil
	}
	return json.Unmarshal(text, into)
}

// appendTime writes RFC 3339 in UTC with whole seconds.
func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().Truncate(time.Second).AppendFormat(append(dst, '"'), time.RFC3339), '"')
}

// object of alternating names and values. The names are plain ASCII, and the
// values marshal.
func object(pairs ...any) []byte {
	dst, separator := make([]byte, 0, 128), byte('{')
	for i := 0; i < len(pairs); i += 2 {
		dst = append(append(dst, separator), '"')
		dst = append(append(dst, pairs[i].(string)...), '"', ':')
		dst, separator = appendValue(dst, pairs[i+1]), ','
	}
	return append(dst, '}')
}

// appendValue leaves to encoding/json what is not plain ASCII, which it also
// escapes where it would be dangerous inside a script element.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case raw:
		return append(dst, v...)
	case string:
		if plain(v) {
			return append(append(append(dst, '"'), v...), '"')
		}
	}
	value, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return append(dst, value...)
}

func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
