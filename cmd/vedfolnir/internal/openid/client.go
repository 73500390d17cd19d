package openid

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// maxAnswer is how much of an answer is read, in bytes; more is an error.
const maxAnswer = 1 << 20

// newClient returns one that is bounded in time and size, follows no redirect, and
// waits for a gap since its last request.
func newClient(timeout, gap time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		Transport:     &bounded{next: http.DefaultTransport, gap: gap},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded is a transport that bounds what is read, and how often it is asked.
type bounded struct {
	next http.RoundTripper
	gap  time.Duration

	mu   sync.Mutex
	free time.Time // when the next request may go
}

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.wait(r); err != nil {
		return nil, err
	}
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if answer.ContentLength > maxAnswer {
		answer.Body.Close()
		return nil, fmt.Errorf("the answer has %d bytes, more than %d", answer.ContentLength, maxAnswer)
	}
	answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	return answer, nil
}

func (b *bounded) wait(r *http.Request) error {
	b.mu.Lock()
	now := time.Now()
	at := now
	if b.free.After(now) {
		at = b.free
	}
	b.free = at.Add(b.gap)
	b.mu.Unlock()
	if at == now {
		return nil
	}
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// Secret of a client. It cannot be printed.
type Secret struct{ text string }

// NewSecret returns the text as a secret.
func NewSecret(text string) Secret { return Secret{text} }

// Empty reports whether there is none.
func (s Secret) Empty() bool { return s.text == "" }

// Reveal returns the secret itself, to be sent to the provider.
func (s Secret) Reveal() string { return s.text }

// String redacts it.
func (Secret) String() string { return "[redacted]" }

// GoString redacts it.
func (s Secret) GoString() string { return s.String() }

// LogValue redacts it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText redacts it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
