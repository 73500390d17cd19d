package test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository, seen from this folder.
const root = ".."

// run returns what the command prints. Environment entries may stand before it.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	env := os.Environ()
	for strings.Contains(command[0], "=") {
		env, command = append(env, command[0]), command[1:]
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// files returns the paths, from the root, of all files that belong to the
// repository: what git knows, and what it would take in.
func files(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		return walk(t)
	}
	out := run(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard")
	return slices.DeleteFunc(strings.Fields(out), func(path string) bool {
		info, err := os.Lstat(filepath.Join(root, path))
		return err != nil || !info.Mode().IsRegular()
	})
}

// walk is for a copy without git's folder.
func walk(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "bin"):
			return fs.SkipDir
		case d.Type().IsRegular():
			path, err = filepath.Rel(root, path)
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// modules returns the folders with a go.mod, from the root: "." is the first.
func modules(t *testing.T) (dirs []string) {
	t.Helper()
	for _, path := range files(t) {
		if dir, name := filepath.Split(path); name == "go.mod" && !strings.Contains(dir, "testdata/") {
			dirs = append(dirs, filepath.Clean(dir))
		}
	}
	slices.Sort(dirs)
	return dirs
}
