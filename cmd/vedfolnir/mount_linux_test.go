package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mount puts a disk of eight megabytes over the folder.
func mount(t *testing.T, folder string) {
	t.Helper()
	if err := unix.Mount("vedfolnir-test", folder, "tmpfs", 0, "size=8m"); err != nil {
		skip(t, "cannot mount a small disk: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
}
