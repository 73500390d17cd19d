package main

import (
	"bytes"
	"os"
	"testing"
)

func TestCommittedScriptsAreBuiltFromTheSources(t *testing.T) {
	for _, b := range bundles {
		t.Run(b.output, func(t *testing.T) {
			want, err := build(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(b.output)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("differs from what the sources build; run go generate in web/")
			}
		})
	}
}
