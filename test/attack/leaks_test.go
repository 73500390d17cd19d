package attack

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leaks come last: they search what was said and stored in all attacks before.
var leaks = []attack{{
	"a search for secrets", "reads every log line, every command's output, the database with its journal, a backup, and what operators are shown",
	"no token, no password and no key is in any of them", searchForSecrets,
}}

func searchForSecrets(t *testing.T, w *world) {
	v := w.victim(t) // the newest secret is in no file that was closed long ago
	v.get("/api/sessions")
	keys, err := os.ReadFile(filepath.Join(w.folder, "vedfolnir.keys"))
	if err != nil {
		t.Fatal(err)
	}
	for key := range strings.FieldsSeq(string(keys)) {
		if len(key) > 30 {
			w.secret.add("a key", strings.TrimRight(key, "="))
		}
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	w.command(t, "", "backup", backup)
	for _, args := range [][]string{
		{"session", "list", "--json"},
		{"user", "list", "--json"},
		{"platform", "list", v.who.name, "--json"},
		{"audit", "tail", "-n", "10000", "--json"},
		{"config", "show"},
		{"config", "show", "--json"},
		{"doctor", "--json"},
	} {
		w.try(args...)
	}
	searched := 0
	search := func(where string, content []byte) {
		searched++
		w.secret.mu.Lock()
		defer w.secret.mu.Unlock()
		for secret, kind := range w.secret.kind {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds %s", where, kind)
			}
		}
	}
	search("the output", []byte(w.out.String()))
	files := []string{backup}
	err = filepath.WalkDir(w.folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(path, ".pem") && !strings.HasSuffix(path, ".keys") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		search(filepath.Base(path), content)
	}
	// The search would find something: the names are there, and so are the secrets.
	if log := w.out.String(); !strings.Contains(log, v.who.name) || len(log) < 10_000 {
		t.Errorf("%d bytes of output do not tell of the last victim", len(log))
	}
	if len(w.secret.kind) < 20 || searched < 4 {
		t.Errorf("only %d secrets were searched for in %d places", len(w.secret.kind), searched)
	}
}
