// Command vedfolnir serves sessions: sign-in, the JSON API, live updates for
// every tab, and pages for people. Its other commands look after it.
package main

import (
	"os"
	"runtime/debug"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], cli.Terminal{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Version: version()}))
}

// release is set when a release is linked (tools/release).
var release string

// version is the release's, the module's, or the commit that was built.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "built from " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}
