//go:build !linux

package main

import "testing"

func mount(t *testing.T, _ string) { t.Skip("only on Linux") }
