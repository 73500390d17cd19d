package main

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mount puts a disk of eight megabytes over the folder.
func mount(t *testing.T, folder string) {
	t.Helper()
	if err := unix.Mount("vedfolnir-test", folder, "tmpfs", 0, "size=8m"); err != nil {
		skip(t, "cannot mount a small disk: "+err.Error())
	}
	t.Cleanup(func() {
		err := unix.EBUSY // while what was killed at the end of the test has files open there
		for patience := time.Now().Add(20 * time.Second); err == unix.EBUSY && time.Now().Before(patience); time.Sleep(5 * time.Millisecond) {
			err, _ = unix.Unmount(folder, 0).(syscall.Errno)
		}
		if err != 0 {
			t.Error(err)
		}
	})
}
