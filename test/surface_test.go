package test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// The root package is read in one sitting: vocabulary and rules, with mechanisms
// in packages of their own. Counted are the lines of its files, without tests, that
// are neither blank nor only a comment.
func TestTheRootPackageIsSmall(t *testing.T) {
	const limit = 1500
	lines := 0
	for _, file := range files(t) {
		if path.Dir(file) != "." || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for line := range strings.Lines(read(t, file)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines == 0 || lines >= limit {
		t.Errorf("the root package has %d lines of code; fewer than %d leave it readable: give a mechanism a home under internal/", lines, limit)
	}
}

// Whoever reads a public package's documentation finds it used.
func TestEveryPublicPackageHasAnExample(t *testing.T) {
	has := map[string]bool{}
	for _, file := range files(t) {
		dir := path.Dir(file)
		if path.Ext(file) != ".go" || strings.Contains(file, "internal/") || strings.Contains(file, "testdata/") ||
			slices.Contains([]string{"bench", "cmd", "examples", "test", "tools", "web"}, strings.Split(file, "/")[0]) {
			continue
		}
		has[dir] = has[dir] || strings.HasSuffix(file, "_test.go") && strings.Contains(read(t, file), "\nfunc Example")
	}
	if len(has) < 9 {
		t.Errorf("there are %d public packages", len(has))
	}
	for dir, example := range has {
		if !example {
			t.Errorf("%s has no testable example", dir)
		}
	}
}
