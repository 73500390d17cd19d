//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// openFiles is how many files a process may open.
func openFiles() (n uint64, ok bool) {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	// Go raises the soft limit to the hard one when it starts.
	return limit.Cur, true
}

// diskOf returns the free bytes of a folder's file system, and its kind if that is
// reached over a network.
func diskOf(folder string) (free uint64, network string, ok bool) {
	var stat unix.Statfs_t
	if unix.Statfs(folder, &stat) != nil {
		return 0, "", false
	}
	return stat.Bavail * uint64(stat.Bsize), networkKind(&stat), true
}
