package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/vedfolnir/session"
)

// Operator is who did what was done from a command line. What follows a colon
// names one of several: "operator:kim".
const Operator = "operator"

// Provider is who ended a session because its person has signed out at the identity
// provider through which they had signed in.
const Provider = "provider"

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// MarshalText writes hexadecimal digits, and nothing for the zero digest.
func (d Digest) MarshalText() ([]byte, error) {
	if d == (Digest{}) {
		return nil, nil
	}
	return hex.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error { return unhex((*d)[:], text) }

// longest is how many bytes of a text are kept: strangers choose some of them.
const longest = 512

// Clean makes text that comes out of a database, and of JSON, as it went in: valid
// UTF-8, without NUL, not longer than is kept. A store does it to every text of a
// line that others choose.
func Clean(text string) string {
	text = text[:min(len(text), longest)]
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// Salt makes what a hash was made of impossible to guess. It is gone once the
// personal fields were erased.
type Salt [16]byte

// NewSalt returns 128 random bits.
func NewSalt() (s Salt) {
	rand.Read(s[:]) // never fails
	return s
}

// MarshalText writes hexadecimal digits, and nothing for the zero salt.
func (s Salt) MarshalText() ([]byte, error) {
	if s == (Salt{}) {
		return nil, nil
	}
	return hex.AppendEncode(nil, s[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Salt) UnmarshalText(text []byte) error { return unhex((*s)[:], text) }

func unhex(to, text []byte) error {
	clear(to)
	if len(text) != 0 && len(text) != hex.EncodedLen(len(to)) {
		return fmt.Errorf("audit: %d digits, want %d", len(text), hex.EncodedLen(len(to)))
	}
	_, err := hex.Decode(to, text)
	return err
}

// Line is one event, in the order in which they were stored.
type Line struct {
	Seq uint64 // rises without holes
	session.AuditEvent
	RequestID string // the request's in X-Request-Id and in the log; empty: there was none
	Salt      Salt
	Personal  Digest // of the personal fields that were erased; else zero
}

// Result in a word: "done", or "refused" for what was asked and not done.
func (l Line) Result() string {
	if l.Action == "token_replayed" || strings.HasSuffix(l.Action, "_refused") {
		return "refused"
	}
	return "done"
}

// Erased reports whether the personal fields are gone.
func (l Line) Erased() bool { return l.Personal != Digest{} }

// Concerns reports whether the line has something personal of the user.
func (l Line) Concerns(user session.UserID) bool { return l.User == user || l.By == string(user) }

// Erase empties the personal fields: who, from where, with what, as which platform.
// What happened, when, why, in which session and in which request stays, and so
// does an operator who did it. The digest of the line stays what it was.
func (l Line) Erase() Line {
	if l.empty() {
		return l
	}
	l.Personal, l.Salt = l.personal(), Salt{}
	l.User, l.Platform, l.Client, l.By = "", "", session.Client{}, l.openBy()
	return l
}

// person stands in the open part of a line for whoever did it, who is named in the
// personal one.
const person = "person"

// openBy is what may stay of who did it.
func (l Line) openBy() string {
	if l.By == "" || l.By == session.System || l.By == Operator || l.By == Provider || strings.HasPrefix(l.By, Operator+":") {
		return l.By
	}
	return person
}

// empty reports whether the personal fields are gone, and nothing stands in their
// place.
func (l Line) empty() bool {
	return l.Erased() && l.User == "" && l.Platform == "" && l.Client == session.Client{} && l.By == l.openBy()
}

// Digest covers every field; the personal ones by their salted hash.
func (l Line) Digest() Digest {
	w := newWriter("vedfolnir audit line 1")
	w.number(l.Seq)
	w.number(uint64(l.Time.UnixMicro()))
	w.text(l.Action)
	w.bytes(l.Session[:])
	w.text(string(l.Reason))
	w.text(l.openBy())
	w.text(l.RequestID)
	personal := l.Personal
	if !l.empty() { // the fields themselves tell, whatever stands beside them
		personal = l.personal()
	}
	w.bytes(personal[:])
	return w.sum()
}

func (l Line) personal() Digest {
	w := newWriter("vedfolnir audit personal 1")
	w.bytes(l.Salt[:])
	w.text(string(l.User))
	w.text(l.By)
	w.text(string(l.Platform))
	w.text(l.Client.IPAddress)
	w.text(l.Client.UserAgent)
	return w.sum()
}

// next is the link of a line, from the link before it.
func next(before, line Digest) Digest {
	w := newWriter("vedfolnir audit link 1")
	w.bytes(before[:])
	w.bytes(line[:])
	return w.sum()
}

// writer gathers fields, each with its length in front, so that none runs into the
// next.
type writer []byte

func newWriter(purpose string) *writer {
	w := make(writer, 0, 512)
	w.text(purpose)
	return &w
}

func (w *writer) number(n uint64) { *w = binary.BigEndian.AppendUint64(*w, n) }

func (w *writer) bytes(b []byte) {
	w.number(uint64(len(b)))
	*w = append(*w, b...)
}

func (w *writer) text(s string) {
	w.number(uint64(len(s)))
	*w = append(*w, s...)
}

func (w *writer) sum() Digest { return sha256.Sum256(*w) }

type requestKey struct{}

// WithRequestID returns a context for a request: lines of what is done in it have
// its id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID returns that id, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
