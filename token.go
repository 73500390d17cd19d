package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// ID is a session's handle: 16 bits of shard (a hash of the user) and 112 random
// bits. It names a session and opens nothing, so it is safe to show, list and
// log. Its text is 32 lower-case hexadecimal digits, in the order of its bytes.
type ID [16]byte

func newID(user UserID) (ID, error) {
	id := ID{}
	if _, err := io.ReadFull(rand.Reader, id[2:]); err != nil {
		return ID{}, fmt.Errorf("session: make handle: %w", err)
	}
	shard := shardOf(user)
	copy(id[:2], shard[:])
	return id, nil
}

func shardOf(user UserID) [2]byte {
	sum := sha256.Sum256([]byte(user))
	return [2]byte(sum[:2])
}

// ParseID reads a handle's text, or returns [ErrMalformed].
func ParseID(s string) (ID, error) {
	var id ID
	return id, id.UnmarshalText([]byte(s))
}

// IsZero reports whether id is the zero value, which no session has.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// AppendText appends the handle's text.
func (id ID) AppendText(dst []byte) ([]byte, error) { return hex.AppendEncode(dst, id[:]), nil }

// MarshalText writes the handle's text.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText accepts exactly the text of MarshalText.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(id) {
		return ErrMalformed
	}
	for i := range id {
		hi, lo := unhex(text[2*i]), unhex(text[2*i+1])
		if hi > 15 || lo > 15 {
			return ErrMalformed
		}
		id[i] = hi<<4 | lo
	}
	return nil
}

// unhex knows lower-case digits only: one handle has one text.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// SecretHash is SHA-256 of a token's secret: all that a store ever holds of it.
// The zero value stands for "none".
type SecretHash [sha256.Size]byte

func (h SecretHash) equal(other SecretHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}

// LogValue redacts the hash.
func (h SecretHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// Token is what the cookie holds: a handle and a 256-bit secret. It prints,
// logs and marshals as "[redacted]"; only [Token.Reveal] gives its text.
type Token struct {
	id     ID
	secret [32]byte
}

const (
	redacted = "[redacted]"
	// TokenLength is the length of every token's text in bytes.
	TokenLength = 2*16 + 1 + 43
)

// strict, so that one secret has one text.
var secretText = base64.RawURLEncoding.Strict()

func newToken(id ID) (Token, error) {
	t := Token{id: id}
	if _, err := io.ReadFull(rand.Reader, t.secret[:]); err != nil {
		return Token{}, fmt.Errorf("session: make token: %w", err)
	}
	return t, nil
}

// ParseToken reads a token's text, or returns [ErrMalformed]. It does not
// allocate.
func ParseToken(s string) (Token, error) {
	var t Token
	var buf [TokenLength]byte
	if len(s) != TokenLength || s[32] != '.' {
		return Token{}, ErrMalformed
	}
	copy(buf[:], s)
	if err := t.id.UnmarshalText(buf[:32]); err != nil {
		return Token{}, err
	}
	if n, err := secretText.Decode(t.secret[:], buf[33:]); err != nil || n != len(t.secret) {
		return Token{}, ErrMalformed
	}
	return t, nil
}

// ID returns the handle in front of the secret.
func (t Token) ID() ID { return t.id }

// Reveal returns the token's text, which opens the session: it belongs in the
// Set-Cookie header and nowhere else.
func (t Token) Reveal() string {
	return t.id.String() + "." + secretText.EncodeToString(t.secret[:])
}

func (t Token) hash() SecretHash { return sha256.Sum256(t.secret[:]) }

func (t Token) String() string { return redacted }

// Format redacts the token for every verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue redacts the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts the token, in JSON too.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }
