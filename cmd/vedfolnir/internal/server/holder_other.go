//go:build !linux

package server

// holder cannot be found out here.
func holder(int) string { return "" }
