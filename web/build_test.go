package main

import (
	"bytes"
	"os"
	"testing"
)

func TestCommittedScriptsAreBuiltFromTheSources(t *testing.T) {
	scripts, err := buildAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bundles {
		t.Run(b.output, func(t *testing.T) {
			got, err := os.ReadFile(b.output)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, scripts[b.output]) {
				t.Error("differs from what the sources build; run go generate in web/")
			}
		})
	}
}
