// Package handle makes sessions' handles and tokens, and reads and writes their
// texts. One handle, and one token, has exactly one text.
package handle

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

const (
	// Length of a handle's text in bytes: lower-case hexadecimal.
	Length = 2 * 16
	// TokenLength is that of a token's: the handle, a dot, and the secret in
	// base64url.
	TokenLength = Length + 1 + 43
)

// ErrMalformed is of a text that no handle, token or stamp has.
var ErrMalformed = errors.New("malformed token or handle")

// New makes a handle: the user's shard and 112 random bits.
func New(user string) (id [16]byte, err error) {
	if _, err := io.ReadFull(rand.Reader, id[2:]); err != nil {
		return [16]byte{}, fmt.Errorf("session: make handle: %w", err)
	}
	shard := Shard(user)
	copy(id[:2], shard[:])
	return id, nil
}

// NewSecret makes 256 random bits.
func NewSecret() (secret [32]byte, err error) {
	if _, err := io.ReadFull(rand.Reader, secret[:]); err != nil {
		return [32]byte{}, fmt.Errorf("session: make token: %w", err)
	}
	return secret, nil
}

// Shard is what all handles of the user begin with.
func Shard(user string) [2]byte {
	sum := sha256.Sum256([]byte(user))
	return [2]byte(sum[:2])
}

// Append a handle's text.
func Append(dst []byte, id [16]byte) []byte { return hex.AppendEncode(dst, id[:]) }

// Parse reads a handle's text.
func Parse(text []byte) (id [16]byte, err error) {
	if len(text) != Length {
		return id, ErrMalformed
	}
	for i := range id {
		hi, lo := unhex(text[2*i]), unhex(text[2*i+1])
		if hi > 15 || lo > 15 {
			return [16]byte{}, ErrMalformed
		}
		id[i] = hi<<4 | lo
	}
	return id, nil
}

// unhex knows lower-case digits only.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// strict, so that one secret has one text.
var secretText = base64.RawURLEncoding.Strict()

// Token is a token's text.
func Token(id [16]byte, secret [32]byte) string {
	return string(secretText.AppendEncode(append(Append(make([]byte, 0, TokenLength), id), '.'), secret[:]))
}

// ParseToken reads a token's text. It does not allocate.
func ParseToken(s string) (id [16]byte, secret [32]byte, err error) {
	var buf [TokenLength]byte
	if len(s) != TokenLength || s[Length] != '.' {
		return id, secret, ErrMalformed
	}
	copy(buf[:], s)
	if id, err = Parse(buf[:Length]); err != nil {
		return id, secret, err
	}
	if n, err := secretText.Decode(secret[:], buf[Length+1:]); err != nil || n != len(secret) {
		return [16]byte{}, [32]byte{}, ErrMalformed
	}
	return id, secret, nil
}

// TextOrNone is the handle's text; empty for the zero one, which names nothing.
func TextOrNone(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return string(Append(nil, id))
}
