//go:build !linux && !darwin

package cli

// Elsewhere these are not asked for.
func openFiles() (n uint64, ok bool) { return 0, false }

func diskOf(string) (free uint64, network string, ok bool) { return 0, "", false }
