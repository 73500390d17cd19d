package session

import (
	"encoding/json"
	"strconv"
	"time"
)

// MarshalJSON writes a canonical decimal up to 2^53-1 as a number, anything else
// as a string.
func (id UserID) MarshalJSON() ([]byte, error) { return appendOpaque(nil, string(id)), nil }

// MarshalJSON writes the id as [UserID.MarshalJSON] does.
func (id PlatformID) MarshalJSON() ([]byte, error) { return appendOpaque(nil, string(id)), nil }

// UnmarshalJSON accepts a string or a number as MarshalJSON writes it.
func (id *UserID) UnmarshalJSON(text []byte) error { return parseOpaque(text, (*string)(id)) }

// UnmarshalJSON accepts a string or a number as MarshalJSON writes it.
func (id *PlatformID) UnmarshalJSON(text []byte) error { return parseOpaque(text, (*string)(id)) }

func parseOpaque(text []byte, into *string) error {
	if n, err := strconv.ParseUint(string(text), 10, 53); err == nil {
		*into = strconv.FormatUint(n, 10)
		return nil
	}
	return json.Unmarshal(text, into)
}

func appendOpaque(dst []byte, id string) []byte {
	if n, err := strconv.ParseUint(id, 10, 53); err == nil && strconv.FormatUint(n, 10) == id {
		return append(dst, id...)
	}
	return appendString(dst, id)
}

// appendString leaves everything but plain ASCII to encoding/json, which also
// escapes what would be dangerous inside a script element.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// appendTime writes RFC 3339 in UTC with whole seconds, as the specification
// shows it.
func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().Truncate(time.Second).AppendFormat(append(dst, '"'), time.RFC3339), '"')
}

// Append appends the text of [Stamp.String].
func (s Stamp) Append(dst []byte) []byte {
	dst = append(strconv.AppendUint(dst, s.Epoch, 10), '.')
	dst = append(strconv.AppendUint(dst, s.Version, 10), '.')
	return strconv.AppendUint(dst, s.Rev, 10)
}
