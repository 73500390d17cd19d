package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// promiseLists are the documents whose tables end in a column of tests.
var promiseLists = []string{"docs/promises.md", "docs/lessons.md", "docs/security.md"}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// Every promise names at least one test that exists, or says that it is open.
func TestPromises(t *testing.T) {
	tests := findTests(t)
	for _, document := range promiseLists {
		t.Run(path.Base(document), func(t *testing.T) {
			rows, open := 0, 0
			numbered := map[string]int{}
			for _, row := range tables(read(t, document)) {
				if row.heading[len(row.heading)-1] != "Tests" {
					t.Errorf("%s:%d: the table's last column is %q, so that no test holds it: call it Tests", document, row.line, row.heading[len(row.heading)-1])
					continue
				}
				rows++
				if number := row.cells[0]; number != "" && number[0] <= '9' && document != "docs/security.md" {
					if before, ok := numbered[number]; ok {
						t.Errorf("%s:%d: %s stands in line %d already", document, row.line, number, before)
					}
					numbered[number] = row.line
				}
				cell := row.cells[len(row.cells)-1]
				names := codeSpan.FindAllStringSubmatch(cell, -1)
				switch {
				case strings.HasPrefix(cell, "open"):
					open++
				case strings.HasPrefix(cell, "not applicable: "):
				case len(names) == 0:
					t.Errorf("%s:%d: names no test, and does not say \"open\"", document, row.line)
				}
				for _, name := range names {
					if problem := tests.find(name[1]); problem != "" {
						t.Errorf("%s:%d: `%s`: %s", document, row.line, name[1], problem)
					}
				}
			}
			if rows == 0 {
				t.Errorf("%s has no table whose last column is \"Tests\"", document)
			}
			t.Logf("%d promises, %d of them open", rows, open)
		})
	}
}

var countOfSecurity = regexp.MustCompile(`Of these (\d+) lines (\d+) are proven, (\d+) are open, and (\d+) do not apply`)

// What the security page says of itself at its top is what its tables hold.
func TestPromisesOfSecurityAreCounted(t *testing.T) {
	const document = "docs/security.md"
	text := read(t, document)
	said := countOfSecurity.FindStringSubmatch(text)
	if said == nil {
		t.Fatalf("%s does not say how many of its lines are proven, open and not applicable", document)
	}
	all, proven, open, not := 0, 0, 0, 0
	for _, row := range tables(text) {
		if row.heading[len(row.heading)-1] != "Tests" {
			continue
		}
		all++
		switch cell := row.cells[len(row.cells)-1]; {
		case strings.HasPrefix(cell, "open"):
			open++
			if len(cell) < len("open: why") {
				t.Errorf("%s:%d: say why it is open", document, row.line)
			}
		case strings.HasPrefix(cell, "not applicable"):
			not++
		default:
			proven++
		}
	}
	if want := fmt.Sprintf("Of these %d lines %d are proven, %d are open, and %d do not apply", all, proven, open, not); said[0] != want {
		t.Errorf("%s says %q; its tables say %q", document, said[0], want)
	}
	if first := strings.Index(text, "\n|"); strings.Index(text, said[0]) > first {
		t.Errorf("%s says it below its first table", document)
	}
}

type tableRow struct {
	line           int
	heading, cells []string
}

// tables returns the rows of every table in a text, without headings and rules.
func tables(text string) (rows []tableRow) {
	var heading []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			heading = nil
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|"))
		}
		switch {
		case heading == nil:
			heading = cells
		case strings.Trim(cells[0], "-: ") == "" && strings.Contains(cells[0], "--"):
		default:
			rows = append(rows, tableRow{i + 1, heading, cells})
		}
	}
	return rows
}

// testSet knows the Go tests by folder, and the text of the script tests.
type testSet struct {
	functions map[string]map[string]bool // folder → name
	literals  map[string]map[string]bool // folder → strings, spaces as underscores
	scripts   map[string]string          // path → text
}

// find says what is wrong with a name. Names are "sqlitestore.TestX/subtest",
// with the folder before the dot ("session" is the root), or the title of a test
// of scripts ("web: title", "e2e: title", "examples: title") or of a suite that others run
// ("storetest: title", "bustest: title").
func (s testSet) find(name string) (problem string) {
	if folder, title, ok := strings.Cut(name, ": "); ok {
		return s.findTitle(folder, title)
	}
	name, sub, _ := strings.Cut(name, "/Test")
	if sub != "" { // the slash was one of the folder's
		name += "/Test" + sub
	}
	folder, function, ok := cutLast(name, ".")
	if !ok {
		return `give the folder too: "session.TestX"`
	}
	if folder == "session" {
		folder = "."
	}
	parts := strings.Split(function, "/")
	if !s.functions[folder][parts[0]] {
		return "there is no such test in " + folder
	}
	for _, part := range parts[1:] {
		if !s.literals[folder][part] {
			return "nothing in " + folder + " is called " + part
		}
	}
	return ""
}

func (s testSet) findTitle(folder, title string) (problem string) {
	switch folder {
	case "storetest", "bustest":
		if !s.literals[folder][strings.ReplaceAll(title, " ", "_")] {
			return "nothing in " + folder + " is called so"
		}
		return ""
	case "web":
		folder = "web/test/"
	case "e2e":
		folder = "test/e2e/"
	case "examples":
		folder = "examples/"
	default:
		return "titles are of web, e2e, examples, storetest or bustest"
	}
	for file, text := range s.scripts {
		if !strings.HasPrefix(file, folder) {
			continue
		}
		for _, quote := range []string{"'", `"`, "`"} {
			if strings.Contains(text, quote+title+quote) {
				return ""
			}
		}
	}
	return "no test in " + folder + " has this title"
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

var (
	testFunction = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)`)
	scriptTest   = regexp.MustCompile(`\.test\.(tsx?|mjs|js)$`)
)

func findTests(t *testing.T) testSet {
	t.Helper()
	s := testSet{map[string]map[string]bool{}, map[string]map[string]bool{}, map[string]string{}}
	for _, file := range files(t) {
		folder := path.Dir(file)
		if scriptTest.MatchString(file) {
			s.scripts[file] = read(t, file)
			continue
		}
		if !strings.HasSuffix(file, ".go") || strings.Contains(file, "testdata/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, read(t, file), parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.functions[folder] == nil {
			s.functions[folder], s.literals[folder] = map[string]bool{}, map[string]bool{}
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				if node.Recv == nil && testFunction.MatchString(node.Name.Name) && strings.HasSuffix(file, "_test.go") {
					s.functions[folder][node.Name.Name] = true
				}
			case *ast.BasicLit:
				if text, err := strconv.Unquote(node.Value); node.Kind == token.STRING && err == nil {
					s.literals[folder][strings.ReplaceAll(text, " ", "_")] = true
				}
			}
			return true
		})
	}
	return s
}

// The checks above are only as good as this one.
func TestPromisesNoticeAMissingTest(t *testing.T) {
	tests := findTests(t)
	for name, there := range map[string]bool{
		"test.TestPromises":                      true,
		"test.TestConsumerModuleGraph/root":      true,
		"test.TestConsumerModuleGraph/no_such":   false,
		"test.TestWhichIsNotThere":               false,
		"memstore.TestPromises":                  false,
		"TestPromises":                           false,
		"web: a title that no script test has":   false,
		"web: should initialize correctly":       true,
		"storetest: may be called twice":         true,
		"storetest: is nothing that is promised": false,
		"other: a folder that has no tests":      false,
		"cmd/vedfolnir.TestWhichIsNotThere":      false,
		"cmd/vedfolnir/internal/x.TestIsNowhere": false,
	} {
		if problem := tests.find(name); (problem == "") != there {
			t.Errorf("%s: %q", name, problem)
		}
	}
}
