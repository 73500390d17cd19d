package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	session "github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/suspicion"
)

// No committed file knows the machine it was written on.
func TestNoPrivatePaths(t *testing.T) {
	private := regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/((work|root)($|[/"'\s)` + "`" + `])|home/\w)`)
	registry := regexp.MustCompile(`(proxy\.golang|registry\.npmjs|deb\.debian|pypi)` + `\.org`)
	for _, file := range files(t) {
		text := read(t, file)
		if bytes.IndexByte([]byte(text), 0) >= 0 {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			for _, pattern := range []*regexp.Regexp{private, registry} {
				if found := pattern.FindString(line); found != "" {
					t.Errorf("%s:%d: %q is of one machine", file, i+1, found)
				}
			}
		}
	}
}

// go build leaves a program beside its source, and git add takes it in.
func TestNoProgramIsCommitted(t *testing.T) {
	for _, file := range files(t) {
		text := read(t, file)
		for _, magic := range []string{"\x7fELF", "MZ\x90", "\xcf\xfa\xed\xfe", "SQLite format 3"} {
			if strings.HasPrefix(text, magic) {
				t.Errorf("%s is built or made: remove it from git", file)
			}
		}
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	imageSource  = regexp.MustCompile(`(?:src|srcset|href)="([^"]+)"`)
	heading      = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fence        = regexp.MustCompile("(?ms)^```.*?^```$")
	unanchored   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every relative link in a document leads to a file, and to a heading in it.
func TestDocsLinks(t *testing.T) {
	for _, file := range files(t) {
		if path.Ext(file) != ".md" {
			continue
		}
		text := fence.ReplaceAllString(read(t, file), "")
		for _, link := range slices.Concat(markdownLink.FindAllStringSubmatch(text, -1), imageSource.FindAllStringSubmatch(text, -1)) {
			u, err := url.Parse(link[1])
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			target := file
			if u.Path != "" {
				target = path.Join(path.Dir(file), u.Path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", file, link[1])
			} else if u.Fragment != "" && !slices.Contains(anchors(read(t, target)), u.Fragment) {
				t.Errorf("%s: %s has no heading #%s", file, target, u.Fragment)
			}
		}
	}
}

// anchors are the fragments that headings get.
func anchors(text string) (names []string) {
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		names = append(names, strings.ReplaceAll(unanchored.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return names
}

var goProgram = regexp.MustCompile("(?ms)^```go\n(package .*?)^```$")

// Every whole program in a document builds, in a module of its own.
func TestProgramsInDocumentsBuild(t *testing.T) {
	for _, file := range files(t) {
		if path.Ext(file) != ".md" || file == tutorial { // which is played as a whole
			continue
		}
		for _, program := range goProgram.FindAllStringSubmatch(read(t, file), -1) {
			dir := application(t, program[1])
			if formatted := run(t, dir, "gofmt", "-l", "."); formatted != "" {
				t.Errorf("%s: a program is not formatted", file)
			}
		}
	}
}

var goSnippet = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Every part of a program in a document stands in a test too, and is run there.
func TestSnippetsInDocumentsAreOfTests(t *testing.T) {
	tested := ""
	for _, file := range files(t) {
		if strings.HasSuffix(file, "_test.go") {
			tested += "\n" + read(t, file)
		}
	}
	for _, file := range files(t) {
		if path.Ext(file) != ".md" {
			continue
		}
		for _, snippet := range goSnippet.FindAllStringSubmatch(read(t, file), -1) {
			if !strings.HasPrefix(snippet[1], "package ") && !hasBlock(tested, snippet[1]) {
				t.Errorf("%s: no test has\n%s", file, snippet[1])
			}
		}
	}
}

// hasBlock reports whether the lines stand in the text, however far to the right.
func hasBlock(text, block string) bool {
	for indent := range 4 {
		moved := ""
		for line := range strings.Lines(block) {
			if line != "\n" {
				line = strings.Repeat("\t", indent) + line
			}
			moved += line
		}
		if strings.Contains(text, "\n"+moved) {
			return true
		}
	}
	return false
}

// What runs before a change lands is what the README tells a newcomer to run.
func TestCIRunIsReadmeCommand(t *testing.T) {
	readme, ci := read(t, "README.md"), read(t, ".ci/run")
	for _, command := range []string{"go run ./cmd/vedfolnir serve --demo", "make test"} {
		if !regexp.MustCompile("(?m)^" + regexp.QuoteMeta(command) + "( +#.*)?$").MatchString(readme) {
			t.Errorf("README.md has no line %q", command)
		}
	}
	if !strings.Contains(ci, "\nmake test\n") || !strings.Contains(ci, "\nmake lint\n") {
		t.Error(".ci/run does not run make lint and make test")
	}
	if info, err := os.Stat(filepath.Join(root, ".ci/run")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf(".ci/run cannot be executed: %v", err)
	}
}

// The README's table of settings has every setting once, with its default, and
// each variable sets the setting that it stands beside.
func TestReadmeConfigurationTable(t *testing.T) {
	manager, err := session.New(memstore.New(), nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	settings := flatten(t, manager.Config())
	if len(settings) == 0 {
		t.Fatal("a configuration marshals to nothing")
	}

	documented := map[string]bool{}
	for _, row := range tables(read(t, "README.md")) {
		if row.heading[0] != "Variable" {
			continue
		}
		variable, name, standard := strings.Trim(row.cells[0], "`"), strings.Trim(row.cells[1], "`"), strings.Trim(row.cells[2], "`")
		if documented[name] {
			t.Errorf("README.md:%d: %s stands there twice", row.line, name)
		}
		documented[name] = true
		if settings[name] != standard {
			t.Errorf("README.md:%d: the default of %s is %q, not %q", row.line, name, settings[name], standard)
		}
		config, warnings, err := session.ConfigFromEnv([]string{variable + "=" + another(standard)})
		if err != nil || len(warnings) > 0 {
			t.Errorf("README.md:%d: %s: %v %v", row.line, variable, warnings, err)
		} else if got := flatten(t, config)[name]; got != another(standard) {
			t.Errorf("README.md:%d: %s=%s makes %s %q", row.line, variable, another(standard), name, got)
		}
	}
	for name := range settings {
		if !documented[name] {
			t.Errorf("README.md does not have %s in its table of settings", name)
		}
	}
}

// The README's table of presets has every preset, with the code's values.
func TestReadmePresetTable(t *testing.T) {
	documented := map[string]bool{}
	for _, row := range tables(read(t, "README.md")) {
		if row.heading[0] != "Preset" {
			continue
		}
		preset := strings.Trim(row.cells[0], "`")
		documented[preset] = true
		config, warnings, err := session.ConfigFromEnv([]string{"SESSION_PRESET=" + preset})
		if err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
		manager, err := session.New(memstore.New(), nil, config)
		if err != nil {
			t.Fatal(err)
		}
		defer manager.Close()
		settings := flatten(t, manager.Config())
		for i, name := range row.heading[1:] {
			if name, value := strings.Trim(name, "`"), strings.Trim(row.cells[i+1], "`"); settings[name] != value {
				t.Errorf("README.md:%d: %s of %s is %q, not %q", row.line, name, preset, settings[name], value)
			}
		}
	}
	for _, s := range session.Settings() {
		if s.Path != "security.preset" {
			continue
		}
		for _, preset := range []string{"aal1", "aal2", "aal3"} {
			if !documented[preset] || !strings.Contains(s.Help, preset) {
				t.Errorf("README.md or the setting's help does not have %s", preset)
			}
		}
		return
	}
	t.Error("there is no setting security.preset")
}

// The tables of signals and answers are the policy's.
func TestOperationsSuspicionTable(t *testing.T) {
	var documented, want []string
	for _, row := range tables(read(t, "docs/operations.md")) {
		switch row.heading[0] {
		case "signal":
			documented = append(documented, strings.Trim(row.cells[0], "`")+" "+row.cells[1])
		case "from a score of":
			documented = append(documented, row.cells[0]+" "+row.cells[1])
		}
	}
	for _, s := range suspicion.Signals() {
		want = append(want, fmt.Sprintf("%s %d", s, s.Weight()))
	}
	for answer, from := range map[suspicion.Answer]string{
		suspicion.Note: fmt.Sprint(suspicion.DefaultNoteScore), suspicion.StepUp: fmt.Sprint(suspicion.DefaultStepUpScore), suspicion.End: "never",
	} {
		want = append(want, fmt.Sprintf("`SESSION_SUSPICION_%s_SCORE`, %s `%s`", strings.ToUpper(answer.String()), from, answer))
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("docs/operations.md has\n%q, the policy is\n%q", documented, want)
	}
}

var flagTable = regexp.MustCompile(`(?m)^\| Flag \|.*\n\|---.*\n((?:\|.*\n)+)`)

// The table of the program's flags is what the program says of itself.
// go test ./test -run TestOperationsFlagTable -update writes it anew.
func TestOperationsFlagTable(t *testing.T) {
	var settings []struct{ Flag, Variable, Default, Help string }
	if err := json.Unmarshal([]byte(run(t, root, "go", "run", "./cmd/vedfolnir", "config", "show", "--json")), &settings); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, s := range settings {
		if s.Flag == "" {
			continue // it is in the README's table
		}
		standard, help := s.Default, strings.ReplaceAll(s.Help, "${default}", s.Default)
		if standard != "" {
			standard = "`" + standard + "`"
			help = strings.TrimSuffix(help, " Default: "+s.Default+".")
		}
		fmt.Fprintf(&want, "| `--%s` | `%s` | %s | %s |\n", s.Flag, s.Variable, standard, help)
	}
	const document = "docs/operations.md"
	text := read(t, document)
	found := flagTable.FindStringSubmatchIndex(text)
	if found == nil || want.Len() == 0 {
		t.Fatalf("%s has no table of flags, or the program none", document)
	}
	if text[found[2]:found[3]] == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has\n%s\nthe program says\n%s\n-update writes it", document, text[found[2]:found[3]], want.String())
	}
	if err := os.WriteFile(filepath.Join(root, document), []byte(text[:found[2]]+want.String()+text[found[3]:]), 0o644); err != nil {
		t.Fatal(err)
	}
}

// another value that is as good as the given one.
func another(value string) string {
	switch value {
	case "true":
		return "false"
	case "oldest":
		return "idlest"
	case "none":
		return "aal3"
	case "refuse":
		return "allow"
	}
	var n int
	fmt.Sscan(value, &n)
	return fmt.Sprint(n + 1)
}

func flatten(t *testing.T, c session.Config) map[string]string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&groups); err != nil {
		t.Fatal(err)
	}
	flat := map[string]string{}
	for group, settings := range groups {
		for name, value := range settings {
			flat[group+"."+name] = fmt.Sprint(value)
		}
	}
	return flat
}
