package cli

import (
	"testing"

	"golang.org/x/sys/unix"
)

// NETWORK_DISK is told of what a network file system says of itself: none can be mounted
// in a test.
func TestNetworkFileSystemsAreKnown(t *testing.T) {
	for kind, want := range map[int64]string{
		unix.NFS_SUPER_MAGIC: "NFS", 0xff534d42: "SMB", unix.V9FS_MAGIC: "9p",
		unix.EXT4_SUPER_MAGIC: "", unix.TMPFS_MAGIC: "", unix.OVERLAYFS_SUPER_MAGIC: "",
	} {
		if got := networkKind(&unix.Statfs_t{Type: kind}); got != want {
			t.Errorf("%#x is %q, want %q", kind, got, want)
		}
	}
}
