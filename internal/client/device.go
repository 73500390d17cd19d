package client

import "strings"

// agentFamily leaves the version out: browsers update themselves while a session
// lives.
func agentFamily(userAgent string) string {
	browser, platform := describeAgent(userAgent)
	return browser + " " + platform
}

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
