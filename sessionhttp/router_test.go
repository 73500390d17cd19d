package sessionhttp

import (
	"net/http"
	"testing"
)

// A route that would be without its checks is no route: the program does not start.
func TestARouteThatChangesSomethingCannotBeDeclaredWithoutItsChecks(t *testing.T) {
	nothing := func(*Handler, http.ResponseWriter, *call) error { return nil }
	for name, declare := range map[string]func() table{
		"a GET that changes":                 func() table { return newTable(changes("GET", "/a", nothing)) },
		"a HEAD that changes":                func() table { return newTable(changes("HEAD", "/a", nothing)) },
		"an OPTIONS that changes":            func() table { return newTable(changes("OPTIONS", "/a", nothing)) },
		"a change for people signed out":     func() table { return newTable(changes("POST", "/a", nothing).signedOut()) },
		"one route twice":                    func() table { return newTable(reads("/a", nothing), reads("/a", nothing)) },
		"a change where another one is":      func() table { return newTable(changes("PUT", "/a/{b}", nothing), changes("PUT", "/a/{c}", nothing)) },
		"a path that begins with nothing":    func() table { return newTable(reads("a", nothing)) },
		"a segment that stands by itself":    func() table { return newTable(reads("/a{b}", nothing)) },
		"two segments":                       func() table { return newTable(reads("/{a}/{b}", nothing)) },
		"a path that takes a segment namely": func() table { return newTable(reads("/a/", nothing)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was taken")
				}
			}()
			declare()
		})
	}
	for _, e := range apiTable.all {
		if isUnsafe(e.method) && !e.changes && e.path != "/session/validate" {
			t.Errorf("%s %s needs no token: only what the specification says so of may", e.method, e.path)
		}
	}
}
