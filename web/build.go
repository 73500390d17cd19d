// Command web builds the browser scripts that the Go modules embed.
//
// It is run in this folder, by "go generate" or "go run .", and needs no Node. What it writes is
// committed; a test fails when the sources have moved on without it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

//go:generate go run .

// A bundle is one entry point and the file it becomes, both relative to this folder.
type bundle struct {
	entry  string
	output string
	// classic scripts are wrapped here and not by the builder, which would take
	// the import of what is loaded on demand for a module's and replace it.
	classic bool
}

var bundles = []bundle{
	{"src/classic.ts", "../sessionhttp/static/session-sync.js", true},
	{"src/index.ts", "../sessionhttp/static/session-sync.mjs", false},
	{"src/session-page.ts", "../sessionhttp/static/session-page.js", false},
	{"src/session-dialogs.ts", "../sessionhttp/static/session-dialogs.js", false},
	{"src/session-debug.ts", "../sessionhttp/static/session-debug.js", false},
}

func main() {
	if err := buildAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func buildAll() error {
	for _, b := range bundles {
		script, err := build(b)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(b.output), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(b.output, script, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build returns the script; the same sources always give the same bytes.
func build(b bundle) ([]byte, error) {
	licence, err := banner()
	if err != nil {
		return nil, err
	}
	footer := ""
	if b.classic {
		licence += "\n\"use strict\";(()=>{"
		footer = "})();"
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{b.entry},
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		MangleProps:       "[^_]_$", // what no page, no server and no other release may touch
		// Loaded when a page needs it, from beside the script.
		External: []string{"./session-page.js", "./session-dialogs.js"},
		Banner:   map[string]string{"js": licence},
		Footer:   map[string]string{"js": footer},
		LogLevel: api.LogLevelSilent,
	})
	var errs []error
	for _, m := range result.Errors {
		errs = append(errs, fmt.Errorf("%s: %s", b.entry, m.Text))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return result.OutputFiles[0].Contents, nil
}

func banner() (string, error) {
	text, err := os.ReadFile("package.json")
	if err != nil {
		return "", err
	}
	var pkg struct{ Name, Version, License string }
	if err := json.Unmarshal(text, &pkg); err != nil {
		return "", fmt.Errorf("package.json: %w", err)
	}
	return fmt.Sprintf("/*! %s %s | %s */", pkg.Name, pkg.Version, pkg.License), nil
}
