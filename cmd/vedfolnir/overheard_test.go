package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/cli"
)

// program is main, with what it says kept in the folder $OVERHEARD too if there is one:
// make test looks for secrets in it.
func program() {
	t := cli.Terminal{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Version: version()}
	if folder := os.Getenv("OVERHEARD"); folder != "" {
		file, err := os.CreateTemp(folder, "vedfolnir-*")
		if err != nil {
			panic(err)
		}
		t.Stdout = io.MultiWriter(os.Stdout, file)
		if !term.IsTerminal(int(os.Stderr.Fd())) { // at a terminal it writes for a person
			t.Stderr = io.MultiWriter(os.Stderr, file)
		}
	}
	os.Exit(cli.Run(os.Args[1:], t))
}
