package testservers

import (
	"io"
	"os"
	"testing"
)

// Printed returns what do writes to the standard output: for an example that needs
// a server, which a test can have and an example cannot. The test must not be
// parallel.
func Printed(t *testing.T, do func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = w
	defer func() { os.Stdout = stdout }()
	do()
	w.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
