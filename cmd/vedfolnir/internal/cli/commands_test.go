package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func commands(t *testing.T) []*kong.Node {
	t.Helper()
	var p program
	parser, err := kong.New(&p, kong.Name("vedfolnir"), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(false)
}

// name of a command as it is typed: without its arguments.
func name(n *kong.Node) string {
	words := strings.Fields(n.FullPath())
	for i, word := range words {
		if strings.HasPrefix(word, "<") || strings.HasPrefix(word, "[") {
			return strings.Join(words[:i], " ")
		}
	}
	return strings.Join(words, " ")
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, n := range commands(t) {
		if n.Help == "" {
			t.Errorf("%s does not say what it is for", name(n))
		}
		if !strings.Contains(n.Detail, "Example") || !strings.Contains(n.Detail, "\n  "+name(n)) {
			t.Errorf("the help of %s has no example of it:\n%s", name(n), n.Detail)
		}
	}
}

// A row of the documented table names commands as "user add", "list", which is "user
// list", or each by itself.
func TestOperationsNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Command | |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]bool{}
	for row := range strings.Lines(table) {
		noun := ""
		for _, quoted := range regexp.MustCompile("`([a-z -]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			if before, _, ok := strings.Cut(quoted[1], " "); ok {
				noun, documented["vedfolnir "+quoted[1]] = before+" ", true
			} else {
				documented["vedfolnir "+noun+quoted[1]] = true
			}
		}
	}
	for _, n := range commands(t) {
		if !documented[name(n)] {
			t.Errorf("docs/operations.md does not have %s", name(n))
		}
		delete(documented, name(n))
	}
	for extra := range documented {
		t.Errorf("docs/operations.md has %s, and there is no such command", extra)
	}
}

func TestEveryCommandThatListsWritesJSON(t *testing.T) {
	for _, n := range commands(t) {
		json := false
		for _, f := range n.Flags {
			json = json || f.Name == "json"
		}
		switch n.Name {
		case "list", "show", "tail", "doctor":
			if !json {
				t.Errorf("%s has no --json", name(n))
			}
		}
	}
}

// Each command is run by a script, and each one that can be mistaken is mistaken
// there too. (What is wrong with serve is tested on the whole program.)
func TestEveryCommandHasAScript(t *testing.T) {
	var scripts strings.Builder
	files, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	for _, n := range commands(t) {
		if n.Name == "serve" {
			continue
		}
		if !regexp.MustCompile(`(?m)^(\[.*\] )?exec ` + name(n) + `\b`).MatchString(scripts.String()) {
			t.Errorf("no script runs %s", name(n))
		}
		if !regexp.MustCompile(`(?m)^exits [1-4] ` + name(n) + `\b`).MatchString(scripts.String()) {
			t.Errorf("no script runs %s mistakenly", name(n))
		}
	}
}
