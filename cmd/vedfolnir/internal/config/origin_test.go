package config_test

import (
	"strings"
	"testing"
)

func TestTheOriginIsWhatBrowsersCallIt(t *testing.T) {
	for given, want := range map[string]string{
		"https://accounts.example.org":      "https://accounts.example.org",
		"https://Accounts.Example.org/":     "https://accounts.example.org",
		"https://accounts.example.org:443":  "https://accounts.example.org",
		"https://accounts.example.org:8443": "https://accounts.example.org:8443",
		"http://localhost:8080":             "http://localhost:8080",
		"http://localhost:80/":              "http://localhost",
	} {
		t.Chdir(t.TempDir())
		s, err := load(t, nil, "--origin="+given)
		if err != nil || s.Origin != want {
			t.Errorf("%s: %q, %v; want %q", given, s.Origin, err, want)
		}
	}
	for given, says := range map[string]string{
		"accounts.example.org":            "such as https://",
		"https://":                        "such as https://",
		"https://kim@example.org":         "such as https://",
		"https://example.org/app":         "such as https://",
		"https://example.org?x":           "such as https://",
		"https://192.0.2.1":               "a name and not to an address",
		"http://127.0.0.1:8080":           "a name and not to an address",
		"https://[2001:db8::1]":           "a name and not to an address",
		"http://accounts.example.org":     "over https:// only",
		"ftp://accounts.example.org":      "over https:// only",
		"https://münchen.example":         "no host's name",
		"https://a..example":              "no host's name",
		"https://under_score.example.org": "no host's name",
	} {
		t.Chdir(t.TempDir())
		if _, err := load(t, nil, "--origin="+given); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", given, err, says)
		}
	}
}
