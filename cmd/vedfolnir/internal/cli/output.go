package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// listing is embedded by every command that lists.
type listing struct {
	JSON bool `name:"json" help:"Write JSON, one array, for another program to read."`
}

// table writes rows under their headings, or the values themselves as JSON.
func table[T any](c *Call, l listing, values []T, headings string, row func(T) []string) error {
	if l.JSON {
		if values == nil {
			values = []T{}
		}
		return writeJSON(c.Stdout, values)
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(headings, " ", "\t"))
	for _, v := range values {
		fmt.Fprintln(w, strings.Join(visible(row(v)), "\t"))
	}
	return w.Flush()
}

// details writes names and values, one a line, without those that are empty.
func details(w io.Writer, pairs [][2]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintln(t, strings.Join(visible(p[:]), "\t"))
		}
	}
	return t.Flush()
}

// visible leaves no cell empty, and no control character to a terminal: what a
// stranger sent, such as a user agent, is among what is shown.
func visible(cells []string) []string {
	for i, cell := range cells {
		cell = strings.Map(func(r rune) rune {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				return -1
			}
			return r
		}, cell)
		if cell == "" {
			cell = "-"
		}
		cells[i] = cell
	}
	return cells
}

func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// say writes a line.
func (t Terminal) say(format string, args ...any) { fmt.Fprintf(t.Stdout, format+"\n", args...) }

// red, if somebody looks who wants colours (no-color.org).
func (t Terminal) red(text string) string {
	f, ok := t.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || slices.ContainsFunc(t.Environ, func(line string) bool {
		return strings.HasPrefix(line, "NO_COLOR=") && line != "NO_COLOR=" || line == "TERM=dumb"
	}) {
		return text
	}
	return "\x1b[31m" + text + "\x1b[0m"
}

// moment is a time as a person at a terminal reads it: here and to the minute.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
