// Command web builds the browser scripts that the Go modules embed.
//
// It is run in this folder, by "go generate" or "go run .", and needs no Node. What it writes is
// committed; a test fails when the sources have moved on without it.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

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

// The order is that in which short names are given: the first gets the shortest.
var bundles = []bundle{
	{"src/classic.ts", "../sessionhttp/static/session-sync.js", true},
	{"src/session-act.ts", "../sessionhttp/static/session-act.js", false},
	{"src/session-live.ts", "../sessionhttp/static/session-live.js", false},
	{"src/index.ts", "../sessionhttp/static/session-sync.mjs", false},
	{"src/session-page.ts", "../sessionhttp/static/session-page.js", false},
	{"src/session-dialogs.ts", "../sessionhttp/static/session-dialogs.js", false},
	{"src/session-confirm.ts", "../sessionhttp/static/session-confirm.js", false},
	{"src/session-debug.ts", "../sessionhttp/static/session-debug.js", false},
}

func main() {
	if err := writeAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeAll() error {
	scripts, err := buildAll()
	if err != nil {
		return err
	}
	for output, script := range scripts {
		if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(output, script, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// buildAll returns the scripts by their file; the same sources always give the same bytes.
//
// The parts share the tab's record with the script that loads them, so its fields have the
// same short names in all of them, and a part is asked for by its content: a server
// that has moved on to another release has none of that name, rather than another
// one's. The core gives the names, and so is built before its parts and again after them.
func buildAll() (map[string][]byte, error) {
	licence, err := banner()
	if err != nil {
		return nil, err
	}
	b := builder{licence: licence, names: map[string]any{}, versions: map[string]string{}}
	scripts := map[string][]byte{}
	for _, each := range append(bundles[:3:3], bundles...) {
		script, err := b.build(each)
		if err != nil {
			return nil, err
		}
		scripts[each.output] = script
		sum := sha256.Sum256(script)
		b.versions["./"+filepath.Base(each.output)] = hex.EncodeToString(sum[:8]) // as the server names it
	}
	return scripts, nil
}

type builder struct {
	licence  string
	names    map[string]any
	versions map[string]string
}

var partImport = regexp.MustCompile(`import\('(\./session-\w+\.js)'\)`)

// parts asks for a part by its version, and again under another address.
func (b *builder) parts(build api.PluginBuild) {
	build.OnLoad(api.OnLoadOptions{Filter: `/src/parts\.ts$`}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
		text, err := os.ReadFile(args.Path)
		if err != nil {
			return api.OnLoadResult{}, err
		}
		contents := partImport.ReplaceAllStringFunc(string(text), func(call string) string {
			name := partImport.FindStringSubmatch(call)[1]
			return fmt.Sprintf("load('%s?v=%s' + _again)", name, b.versions[name])
		}) + "const load = (address) => import(address);" // the builder would look for the files
		return api.OnLoadResult{Contents: &contents, Loader: api.LoaderTS, ResolveDir: filepath.Dir(args.Path)}, nil
	})
}

func (b *builder) build(each bundle) ([]byte, error) {
	licence, footer := b.licence, ""
	if each.classic {
		licence += "\n\"use strict\";(()=>{"
		footer = "})();"
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{each.entry},
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		MangleProps:       "[^_]_$", // what no page, no server and no other release may touch
		MangleCache:       b.names,
		// Loaded when a page needs it, from beside the script.
		External: []string{"./session-page.js", "./session-dialogs.js", "./session-confirm.js"},
		Plugins:  []api.Plugin{{Name: "parts", Setup: b.parts}},
		Banner:   map[string]string{"js": licence},
		Footer:   map[string]string{"js": footer},
		LogLevel: api.LogLevelSilent,
	})
	var errs []error
	for _, m := range result.Errors {
		errs = append(errs, fmt.Errorf("%s: %s", each.entry, m.Text))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	b.names = result.MangleCache
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
