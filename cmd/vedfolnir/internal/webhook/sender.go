package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

const (
	// sendTimeout is how long a receiver may take for all of it.
	sendTimeout = 10 * time.Second
	// answerMost is how many bytes of an answer are read, and thrown away.
	answerMost = 4 << 10
)

// Sender sends to one receiver. It is safe for concurrent use.
type Sender struct {
	to      config.Webhook
	version string // of this program
	client  *http.Client
}

// NewSender returns a sender. Close it.
func NewSender(to config.Webhook, version string) *Sender {
	dialer := &net.Dialer{Timeout: sendTimeout / 2, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return allowed(to.Network, at.Addr())
	}}
	return &Sender{to, version, &http.Client{
		Timeout: sendTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: sendTimeout / 2, MaxResponseHeaderBytes: 16 << 10,
			DisableCompression: true, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives connections back.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// StatusError is an answer other than 200 to 299.
type StatusError struct {
	Status     int
	RetryAfter time.Duration // 0: it was not said
}

func (e *StatusError) Error() string {
	if e.Status/100 == 3 {
		return fmt.Sprintf("it answered with a redirect (%d), which is not followed", e.Status)
	}
	return fmt.Sprintf("it answered %d %s", e.Status, http.StatusText(e.Status))
}

// Send returns nil once the receiver has taken the message. The error does not hold
// the receiver's address, which may hold a secret.
func (s *Sender) Send(ctx context.Context, m directory.Message, now time.Time) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.URL, bytes.NewReader(m.Body))
	if err != nil {
		return withoutURL(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Vedfolnir/" + s.version},
		"Webhook-Id": {m.ID}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {Sign(s.to.Secrets, m.ID, now, m.Body)},
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	_, err = io.CopyN(io.Discard, answer.Body, answerMost)
	if answer.StatusCode/100 != 2 {
		return &StatusError{answer.StatusCode, retryAfter(answer.Header)}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("its answer ended early: %w", err)
	}
	return nil
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter is a number of seconds; a date is left to the usual pace.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int(longestPause/time.Second))) * time.Second
}
