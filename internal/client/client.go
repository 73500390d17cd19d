// Package client makes something of what a client says of itself: a name of its
// device for people, a fingerprint that tells whether it changed without keeping
// what it was, and a form of it that every database takes.
package client

import "strings"

// Info is what a request tells of the program that sent it.
type Info struct {
	UserAgent string
	IPAddress string
	Language  string // Accept-Language
}

// Storable keeps what a stranger sent within what every database takes: valid
// UTF-8 without NUL, and not endless. It is a copy: some servers use the memory of
// a request again.
func (c Info) Storable() Info {
	for _, s := range []*string{&c.UserAgent, &c.IPAddress, &c.Language} {
		if len(*s) > 512 {
			*s = (*s)[:512]
		}
		*s = strings.Clone(strings.ReplaceAll(strings.ToValidUTF8(*s, ""), "\x00", ""))
	}
	return c
}
