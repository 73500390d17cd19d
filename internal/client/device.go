package client

import (
	"strconv"
	"strings"
)

// Device describes a user agent for a person: "Firefox on Linux".
func Device(userAgent string) string {
	browser, platform := describeAgent(userAgent)
	switch {
	case browser == "" && platform == "":
		return "Unknown device"
	case browser == "":
		return "A program on " + platform
	case platform == "":
		return browser
	}
	return browser + " on " + platform
}

// describeAgent looks for names in the order in which they hide each other: every
// browser claims to be an older one too.
func describeAgent(userAgent string) (browser, platform string) {
	for _, b := range [...][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
		{"python-requests/", "Python"},
		{"Go-http-client/", "Go program"},
	} {
		if strings.Contains(userAgent, b[0]) {
			browser = b[1]
			break
		}
	}
	for _, p := range [...][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"Linux", "Linux"},
	} {
		if strings.Contains(userAgent, p[0]) {
			platform = p[1]
			break
		}
	}
	return browser, platform
}

// OlderThan reports whether the same browser was newer before: browsers update
// themselves, and go back by another installation only.
func (c Info) OlderThan(before string) bool {
	was, is := majorVersion(before), majorVersion(c.UserAgent)
	a, _ := describeAgent(before)
	b, _ := describeAgent(c.UserAgent)
	return a == b && is > 0 && is < was
}

// majorVersion of the browser; 0: it says none.
func majorVersion(userAgent string) int {
	for _, name := range [...]string{"Edg/", "EdgA/", "EdgiOS/", "OPR/", "Vivaldi/", "SamsungBrowser/", "Firefox/", "FxiOS/", "CriOS/", "Chrome/", "Version/", "curl/"} {
		_, version, found := strings.Cut(userAgent, name)
		if !found {
			continue
		}
		end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(version)
		}
		n, _ := strconv.Atoi(version[:end]) // 0, if it is none
		return n
	}
	return 0
}
