package cli

import "golang.org/x/sys/unix"

func networkKind(stat *unix.Statfs_t) string {
	if stat.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(stat.Fstypename[:])
}
