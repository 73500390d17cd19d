package session

import (
	"crypto/sha256"
	"log/slog"

	"github.com/vedfolnir/session/internal/handle"
)

// ID is a session's handle: 16 bits of shard (a hash of the user) and 112 random
// bits. It names a session and opens nothing, so it is safe to show, list and
// log. Its text is 32 lower-case hexadecimal digits, in the order of its bytes.
type ID [16]byte

// ParseID reads a handle's text, or returns [ErrMalformed].
func ParseID(s string) (ID, error) {
	var id ID
	return id, id.UnmarshalText([]byte(s))
}

// IsZero reports whether id is the zero value, which no session has.
func (id ID) IsZero() bool { return id == ID{} }

// String is the handle's text.
func (id ID) String() string { return string(handle.Append(nil, id)) }

// AppendText appends the handle's text.
func (id ID) AppendText(dst []byte) ([]byte, error) { return handle.Append(dst, id), nil }

// MarshalText writes the handle's text.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText accepts exactly the text of MarshalText.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := handle.Parse(text)
	if err == nil {
		*id = parsed
	}
	return err
}

// SecretHash is SHA-256 of a token's secret: all that a store ever holds of it.
// The zero value stands for "none".
type SecretHash [sha256.Size]byte

// LogValue redacts the hash.
func (h SecretHash) LogValue() slog.Value { return redacted{}.LogValue() }

type redacted = handle.Redacted

// Token is what the cookie holds: a handle and a 256-bit secret. It prints,
// logs and marshals as "[redacted]"; only [Token.Reveal] gives its text.
type Token struct {
	redacted
	id     ID
	secret [32]byte
}

// newToken opens a session that is yet to be made.
func newToken(user UserID) (Token, error) {
	id, err := handle.New(string(user))
	if err != nil {
		return Token{}, err
	}
	return ID(id).newToken()
}

func (id ID) newToken() (Token, error) {
	secret, err := handle.NewSecret()
	return Token{id: id, secret: secret}, err
}

// ParseToken reads a token's text, or returns [ErrMalformed]. It does not
// allocate.
func ParseToken(s string) (Token, error) {
	id, secret, err := handle.ParseToken(s)
	return Token{id: id, secret: secret}, err
}

// ID returns the handle in front of the secret.
func (t Token) ID() ID { return t.id }

// Reveal returns the token's text, which opens the session: it belongs in the
// Set-Cookie header and nowhere else.
func (t Token) Reveal() string { return handle.Token(t.id, t.secret) }

func (t Token) hash() SecretHash { return sha256.Sum256(t.secret[:]) }
