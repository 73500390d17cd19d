package test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/vedfolnir/session"

var update = flag.Bool("update", false, "write the pinned module graphs anew")

func TestEveryModuleIsWalked(t *testing.T) {
	want := modules(t)

	var work struct {
		Use []struct{ DiskPath string }
	}
	if err := json.Unmarshal([]byte(run(t, root, "go", "work", "edit", "-json")), &work); err != nil {
		t.Fatal(err)
	}
	var bound []string
	for _, use := range work.Use {
		bound = append(bound, filepath.Clean(use.DiskPath))
	}
	slices.Sort(bound)
	if !slices.Equal(bound, want) {
		t.Errorf("go.work binds %v\nthere are     %v; run go work use -r .", bound, want)
	}

	var tested []string
	for pattern := range strings.FieldsSeq(run(t, root, "make", "--no-print-directory", "-s", "modules")) {
		tested = append(tested, filepath.Clean(strings.TrimSuffix(pattern, "/...")))
	}
	if last := tested[len(tested)-1]; last != "test" {
		t.Errorf("the repository's own tests run before %s, not last", last)
	}
	slices.Sort(tested)
	if want := slices.DeleteFunc(want, func(dir string) bool { return dir == "tools" }); !slices.Equal(tested, want) {
		t.Errorf("make walks %v\nthere are  %v", tested, want)
	}
	if found, _ := filepath.Glob(filepath.Join(root, "tools", "*.go")); found != nil {
		t.Errorf("tools has packages now, and make test passes over them: %v", found)
	}
}

// A module that another one of the repository needs is found beside it, so that
// each module also builds outside the workspace.
func TestModulesNeedOnlyTheirNeighbours(t *testing.T) {
	for _, dir := range modules(t) {
		var mod struct {
			Module  struct{ Path string }
			Require []struct{ Path string }
			Replace []struct {
				Old struct{ Path string }
				New struct{ Path, Version string }
			}
		}
		if err := json.Unmarshal([]byte(run(t, filepath.Join(root, dir), "go", "mod", "edit", "-json")), &mod); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(modulePath+"/"+dir, "/."); mod.Module.Path != want {
			t.Errorf("%s/go.mod: module %s, not %s", dir, mod.Module.Path, want)
		}
		if dir == "." && len(mod.Require) > 0 {
			t.Errorf("the root module requires %v: it has no dependency", mod.Require)
		}
		replaced := map[string]string{}
		for _, r := range mod.Replace {
			if r.New.Version != "" || filepath.IsAbs(r.New.Path) {
				t.Errorf("%s/go.mod replaces %s by %s: only a neighbour's relative path may", dir, r.Old.Path, r.New.Path)
			}
			replaced[r.Old.Path] = filepath.Join(dir, r.New.Path)
		}
		for _, r := range mod.Require {
			if r.Path != modulePath && !strings.HasPrefix(r.Path, modulePath+"/") {
				continue
			}
			if want := filepath.Clean("." + strings.TrimPrefix(r.Path, modulePath)); replaced[r.Path] != want {
				t.Errorf("%s/go.mod does not replace %s by the folder %s", dir, r.Path, want)
			}
		}
	}
}

// allowed is every package of the repository with those of ours that it may
// import. Its tests may import more, except the root module's.
var allowed = map[string][]string{
	".":                                {"internal/*", "assurance", "config", "suspicion"},
	"assurance":                        {},
	"config":                           {"internal/clocks", "internal/handle", "internal/keyring", "internal/settings", "suspicion"},
	"suspicion":                        {},
	"internal/background":              {"internal/wake"},
	"internal/client":                  {"suspicion"},
	"internal/clientview":              {"internal/handle"},
	"internal/clocks":                  {},
	"internal/following":               {"internal/clientview"},
	"internal/gather":                  {"internal/wake"},
	"internal/handle":                  {},
	"internal/keyring":                 {},
	"internal/logline":                 {},
	"internal/memory":                  {"internal/handle", "internal/rotation"},
	"internal/migration":               {},
	"internal/nearest":                 {},
	"internal/noticing":                {"internal/client", "suspicion"},
	"internal/relay":                   {"internal/wake", "membus"},
	"internal/people":                  {"internal/clientview"},
	"internal/pool":                    {},
	"internal/rotation":                {},
	"internal/setclock":                {},
	"internal/settings":                {"internal/nearest"},
	"internal/storeclock":              {},
	"internal/tcpproxy":                {},
	"internal/testservers":             {},
	"internal/wake":                    {},
	"audit":                            {".", "internal/handle"},
	"internal/nginxtest":               {},
	"memstore":                         {".", "assurance"},
	"membus":                           {"."},
	"shardstore":                       {".", "internal/handle"},
	"storetest":                        {".", "assurance"},
	"bustest":                          {".", "memstore"},
	"dbscope":                          {},
	"sessiontest":                      {".", "memstore", "membus", "sessionhttp"},
	"sessionhttp":                      {".", "assurance"},
	"sqlitestore":                      {".", "assurance", "audit", "internal/gather", "internal/migration"},
	"pgstore":                          {".", "audit", "internal/gather", "internal/migration"},
	"pgstore/pgbus":                    {".", "internal/relay"},
	"redisbus":                         {".", "internal/relay", "internal/wake"},
	"web":                              {},
	"cmd/vedfolnir":                    {".", "sessionhttp", "sqlitestore", "memstore", "membus", "dbscope", "cmd/vedfolnir/internal/*"},
	"cmd/vedfolnir/internal/cli":       {".", "audit", "cmd/vedfolnir/internal/*"},
	"cmd/vedfolnir/internal/database":  {".", "audit", "sqlitestore", "pgstore", "pgstore/pgbus", "redisbus", "cmd/vedfolnir/internal/config", "cmd/vedfolnir/internal/directory"},
	"cmd/vedfolnir/internal/directory": {".", "internal/background", "internal/migration", "cmd/vedfolnir/internal/notice"},
	"cmd/vedfolnir/internal/notice":    {},
	"cmd/vedfolnir/internal/webhook":   {".", "internal/wake", "cmd/vedfolnir/internal/config", "cmd/vedfolnir/internal/directory", "cmd/vedfolnir/internal/notice"},
	"cmd/vedfolnir/internal/passkeys":  {"cmd/vedfolnir/internal/directory"},
	"cmd/vedfolnir/internal/openid":    {},
	"cmd/vedfolnir/internal/passkeys/passkeytest":       {},
	"cmd/vedfolnir/internal/openid/openidtest":          {},
	"cmd/vedfolnir/internal/openid/openidtest/provider": {"cmd/vedfolnir/internal/openid/openidtest"},
	"cmd/vedfolnir/internal/config":                     {".", "config", "internal/clocks", "internal/nearest", "cmd/vedfolnir/internal/notice", "cmd/vedfolnir/internal/openid"},
	"cmd/vedfolnir/internal/transfer":                   {},
	"cmd/vedfolnir/internal/ui":                         {".", "sessionhttp", "cmd/vedfolnir/internal/directory", "cmd/vedfolnir/internal/notice"},
	"cmd/vedfolnir/internal/monitor":                    {".", "audit", "sessionhttp"},
	"cmd/vedfolnir/internal/personal":                   {".", "audit", "cmd/vedfolnir/internal/database", "cmd/vedfolnir/internal/directory", "cmd/vedfolnir/internal/notice"},
	"cmd/vedfolnir/internal/witness":                    {"audit", "cmd/vedfolnir/internal/config"},
	"cmd/vedfolnir/internal/server":                     {".", "internal/background", "assurance", "audit", "suspicion", "sessionhttp", "sqlitestore", "memstore", "cmd/vedfolnir/internal/*"},
	"bench":                                             {".", "sessionhttp", "sqlitestore", "memstore", "pgstore", "pgstore/pgbus"},
	"test":                                              {},
	"test/attack":                                       {"internal/nginxtest", "test/attack/shop"},
	"test/attack/shop":                                  {".", "sessionhttp", "sqlitestore"},
	"test/cluster":                                      {},
	"test/e2e/rotating":                                 {".", "memstore", "sessionhttp"},
}

// forbidden are packages of the standard library by which a wrong arrow betrays
// itself, however many packages lie between.
var forbidden = map[string][]string{
	"audit":       {"net/http", "database/sql"},
	".":           {"net/http", "database/sql"},
	"memstore":    {"net/http", "database/sql"},
	"membus":      {"net/http", "database/sql"},
	"sqlitestore": {"net/http"},
	"sessiontest": {".", "memstore", "membus", "sessionhttp"},
	"sessionhttp": {"database/sql"},
}

type goPackage struct {
	ImportPath                               string
	Standard                                 bool
	Module                                   struct{ Path string }
	Imports, Deps, TestImports, XTestImports []string
}

// dir of one of our packages, from the root; false for others.
func ours(importPath string) (string, bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

func TestImportRules(t *testing.T) {
	for _, pkg := range packages(t) {
		dir, _ := ours(pkg.ImportPath)
		may, known := allowed[dir]
		if strings.HasPrefix(dir, "examples/") {
			may, known = []string{".", "*"}, true // an application: whatever is public
		}
		if !known {
			t.Errorf("%s is new: say in this test what it may import", dir)
			continue
		}
		for _, imported := range pkg.Imports {
			to, is := ours(imported)
			if is && !slices.ContainsFunc(may, func(pattern string) bool {
				ok, _ := filepath.Match(pattern, to)
				return ok
			}) {
				t.Errorf("%s imports %s: this arrow points the wrong way", dir, to)
			}
		}
		for _, bad := range forbidden[dir] {
			if slices.Contains(pkg.Deps, bad) {
				t.Errorf("%s needs %s, itself or through another package", dir, bad)
			}
		}
		if pkg.Module.Path != modulePath {
			continue
		}
		for _, imported := range slices.Concat(pkg.Imports, pkg.TestImports, pkg.XTestImports) {
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") && !inRootModule(imported) {
				t.Errorf("%s, or its test, imports %s: the root module has only the standard library", dir, imported)
			}
		}
	}
}

func inRootModule(importPath string) bool {
	dir, is := ours(importPath)
	if !is {
		return false
	}
	for ; dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(root, dir, "go.mod")); err == nil {
			return false
		}
	}
	return true
}

func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	patterns := strings.Fields(run(t, root, "make", "--no-print-directory", "-s", "modules"))
	out := run(t, root, append([]string{"go", "list", "-json=ImportPath,Standard,Module,Imports,Deps,TestImports,XTestImports"}, patterns...)...)
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var pkg goPackage
		if err := decoder.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		all = append(all, pkg)
	}
	return all
}

// What an application has to download is pinned: with the root module nothing,
// with a store that store's driver.
func TestConsumerModuleGraph(t *testing.T) {
	for _, test := range []struct {
		name    string
		imports []string
	}{
		{"root", []string{".", "memstore", "sessionhttp"}},
		{"sqlitestore", []string{".", "sessionhttp", "sqlitestore"}},
		{"pgstore", []string{".", "sessionhttp", "pgstore"}},
		{"redisbus", []string{".", "sessionhttp", "redisbus"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := consumer(t, test.imports)
			pinned := filepath.Join("testdata", "consumer-"+test.name+".txt")
			if *update {
				if err := os.WriteFile(pinned, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := read(t, filepath.Join("test", pinned)); got != want {
				t.Errorf("an application now downloads\n%sinstead of\n%sIf that is meant: go test ./test -run %s -update", got, want, "TestConsumerModuleGraph")
			}
		})
	}
}

// consumer lists the modules, other than ours, of an application that imports the
// packages.
func consumer(t *testing.T, imports []string) string {
	source := "package main\n\nimport (\n"
	for _, pkg := range imports {
		source += "\t_ \"" + strings.TrimSuffix(modulePath+"/"+pkg, "/.") + "\"\n"
	}
	dir := application(t, source+")\n\nfunc main() {}\n")
	list := ""
	for line := range strings.Lines(run(t, dir, "GOWORK=off", "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all")) {
		if !strings.HasPrefix(line, modulePath) && !strings.HasPrefix(line, "example.com/") {
			list += line
		}
	}
	return list
}

var importedPath = regexp.MustCompile(`"(` + regexp.QuoteMeta(modulePath) + `[\w/]*)"`)

// application builds a program in a module of its own, with our modules as they
// lie here, and returns its folder.
func application(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	mod := "module example.com/consumer\n\ngo 1.26.0\n"
	replaced := map[string]bool{}
	for _, found := range importedPath.FindAllStringSubmatch(source, -1) {
		module, folder := found[1], "."
		if inRootModule(module) {
			module = modulePath
		} else {
			folder, _ = ours(module)
		}
		if !replaced[module] {
			replaced[module] = true
			mod += "require " + module + " v0.0.0\nreplace " + module + " => " + filepath.Join(abs, folder) + "\n"
		}
	}
	if !replaced[modulePath] {
		mod += "replace " + modulePath + " => " + abs + "\n"
	}
	for name, text := range map[string]string{"go.mod": mod, "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "GOWORK=off", "go", "mod", "tidy")
	run(t, dir, "GOWORK=off", "CGO_ENABLED=0", "go", "build", "-o", os.DevNull, ".")
	return dir
}
