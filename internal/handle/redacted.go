package handle

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted makes whatever embeds it print, log and marshal as "[redacted]".
type Redacted struct{}

const redacted = "[redacted]"

// String redacts it.
func (Redacted) String() string { return redacted }

// Format redacts it for every verb.
func (Redacted) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue redacts it.
func (Redacted) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts it, in JSON too.
func (Redacted) MarshalText() ([]byte, error) { return []byte(redacted), nil }
