package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/sessionhttp"
)

// attempt is what has to be known of a request that tries to prove who somebody is.
type attempt struct {
	request *http.Request
	user    session.UserID // whose name was given, once that is known
}

type attemptKey struct{}

func withAttempt(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), attemptKey{}, &attempt{request: r})))
	})
}

// attemptOf a request that came through withAttempt, as all do.
func attemptOf(ctx context.Context) *attempt { return ctx.Value(attemptKey{}).(*attempt) }

// tries notes whose name was given.
func tries(ctx context.Context, user session.UserID) {
	if user != directory.Nobody {
		attemptOf(ctx).user = user
	}
}

func triedAs(ctx context.Context) session.UserID { return attemptOf(ctx).user }

// prove is the one way to prove who somebody is: whatever checks a secret that could
// be guessed does so in here. It takes an attempt out of the buckets before the
// check, so that many at once get no further, and puts it back unless that failed by
// what was given: what was right, and is refused for another reason, and what
// could not be checked, are no failures. If a bucket is empty, nothing is checked,
// and the error is a RateLimitedError.
func (a *App) prove(ctx context.Context, buckets []directory.Bucket, check func() error) error {
	wait, err := a.people.Attempt(ctx, a.manager.Now(), buckets...)
	if err != nil {
		return unavailable(err)
	}
	if wait > 0 {
		return &sessionhttp.RateLimitedError{RetryAfter: wait}
	}
	err = check()
	if !sessionhttp.ProblemOf(err).FailedAttempt() {
		if err := a.people.Forgive(context.WithoutCancel(ctx), buckets...); err != nil {
			a.log.WarnContext(ctx, "an attempt that was no failure stays counted", "error", err)
		}
	}
	return err
}

// bucketsOf are what an attempt to sign in is taken from. On a device that the
// person has signed in with before that is a bucket of the device's own, whatever
// strangers have used up; else the name's, whether or not there is such a person,
// and the address's. (A name and an e-mail address have a bucket each: one for both
// would tell which belong together.)
func (a *App) bucketsOf(ctx context.Context, login string, user session.UserID) []directory.Bucket {
	return a.bucketsFor(ctx, "name", strings.ToLower(strings.TrimSpace(login)), user)
}

// bucketsFor is bucketsOf for what says in another way who somebody is.
func (a *App) bucketsFor(ctx context.Context, kind, of string, user session.UserID) []directory.Bucket {
	if device, known := a.sessions.KnownDevice(attemptOf(ctx).request, user); known {
		return []directory.Bucket{a.bucket("device", device, a.limits.Account)}
	}
	return append(a.addressBucket(ctx), a.bucket(kind, of, a.limits.Account))
}

// addressBucket is that of whoever asks.
func (a *App) addressBucket(ctx context.Context) []directory.Bucket {
	return []directory.Bucket{a.bucket("address", a.from(ctx), a.limits.Address)}
}

// from is where whoever asks is: an address, or the /64 network of an IPv6 address, in
// which one machine may take any.
func (a *App) from(ctx context.Context) string {
	from := a.sessions.Client(attemptOf(ctx).request).IPAddress
	if ip, err := netip.ParseAddr(from); err == nil && ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			from = network.String()
		}
	}
	return from
}

// bucket has a name that tells nothing of what it is made of: people type passwords
// where their name belongs.
func (a *App) bucket(kind, of string, perHour int) directory.Bucket {
	mac := hmac.New(sha256.New, a.limits.key)
	mac.Write([]byte(kind + "\x00" + of))
	return directory.Bucket{Name: base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), PerHour: perHour}
}

// limits of attempts, each so many an hour.
type limits struct {
	Account, Address int
	key              []byte // a new one in use begins with full buckets
}
