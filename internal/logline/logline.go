// Package logline makes the attributes of log lines that say only what there is to
// say.
package logline

import "log/slog"

// Attrs of alternating names and values, without those that are empty.
func Attrs(pairs ...string) (attrs []slog.Attr) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			attrs = append(attrs, slog.String(pairs[i], pairs[i+1]))
		}
	}
	return attrs
}
