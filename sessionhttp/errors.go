package sessionhttp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// The sentinels that an application's own [Login] may return, and ErrForbidden whatever
// else decides for it.
var (
	// ErrBadCredentials: name or password is wrong; which is not said.
	ErrBadCredentials = errors.New("name or password is wrong")
	// ErrForbidden: the person may not do this.
	ErrForbidden = errors.New("not allowed")
)

// RateLimitedError refuses for now: a [Login] or [Reauth] that limits attempts returns
// it, and 429 says when to come back, after a second at least.
type RateLimitedError struct{ RetryAfter time.Duration }

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("too many attempts: try again in %v", e.RetryAfter.Round(time.Second))
}

// What only this package refuses with.
var (
	errSessionRequired  = errors.New("no session cookie")
	errCSRFInvalid      = errors.New("the CSRF token is missing or wrong")
	errCSRFStale        = errors.New("the CSRF token is of another login")
	errCrossOrigin      = errors.New("the request comes from another origin")
	errPlatformRequired = errors.New("the session has no active platform")
	errPlatformUnstated = errors.New("the request does not state its platform")
	errForeignPlatform  = errors.New("the stated platform is not the user's")
	errNoSuchSession    = errors.New("no such session of this user")
	errNotFound         = errors.New("no such route")
	errMethod           = errors.New("method not allowed")
	errMediaType        = errors.New("the body is not JSON")
	errTooManyStreams   = &RateLimitedError{10 * time.Second}
)

type badRequestError struct{ message string }

func (e *badRequestError) Error() string { return e.message }

// Problem is a refusal as the client is told it.
type Problem struct {
	Status     int
	Code       string        // error_code of the contract
	Reason     string        // why
	Message    string        // for a person
	RetryAfter time.Duration // 0: it is not said
	RequestID  string

	// Required is what the person has to prove, if that is the problem.
	Required assurance.Required

	EndedAt time.Time // when the session ended; zero: not known, or not the problem
	Device  string    // of the same person, from which it was ended or that took its place; empty: not known
}

// FailedAttempt reports whether somebody tried to sign in with what was wrong. It
// is the one definition: whoever limits attempts counts these. A person whose
// password was right and who was refused all the same, at the limit of sessions,
// has failed at nothing.
func (p Problem) FailedAttempt() bool { return p.Code == "INVALID_CREDENTIALS" }

// ProblemOf is the one table that maps errors to answers. What it does not know is
// a 500 that tells nothing. The RequestID is left empty.
func ProblemOf(err error) Problem { return problemAt(err, time.Time{}) }

// problemAt can say "today", if now is not zero.
func problemAt(err error, now time.Time) Problem {
	var ended *session.EndedError
	var limited *RateLimitedError
	var switches *session.SwitchLimitError
	var bad *badRequestError
	var reauth *assurance.Error
	var tooLarge *http.MaxBytesError
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case errors.As(err, &ended):
		return endedProblem(ended, now)
	case is(session.ErrUnavailable):
		return Problem{Status: 503, Code: "UNAVAILABLE", Reason: "store_unavailable", Message: "The service cannot be reached just now. Please try again in a moment; you are not signed out.", RetryAfter: time.Second}
	case is(errSessionRequired):
		return Problem{Status: 401, Code: "SESSION_REQUIRED", Reason: "no_session", Message: "Please sign in."}
	case is(session.ErrNotFound):
		return Problem{Status: 401, Code: "SESSION_INVALID", Reason: "unknown", Message: "Your session is not known here. Please sign in again."}
	case is(ErrBadCredentials), is(session.ErrUnknownUser):
		return Problem{Status: 401, Code: "INVALID_CREDENTIALS", Reason: "invalid_credentials", Message: "Name or password is wrong."}
	case is(errTwoCookies), is(session.ErrMalformed):
		return Problem{Status: 400, Code: "BAD_REQUEST", Reason: "malformed_cookie", Message: "The session cookie is malformed. Clear this site's cookies and sign in again."}
	case errors.As(err, &bad):
		return Problem{Status: 400, Code: "BAD_REQUEST", Reason: "malformed_request", Message: bad.message}
	case is(ErrPlainHTTP):
		return Problem{Status: 400, Code: "BAD_REQUEST", Reason: "plain_http", Message: "Signing in needs https here."}
	case is(errCrossOrigin):
		return Problem{Status: 403, Code: "CROSS_ORIGIN", Reason: "cross_origin", Message: "This request came from another site and was refused."}
	case is(errCSRFInvalid):
		return Problem{Status: 403, Code: "CSRF_INVALID", Reason: "csrf_invalid", Message: "The page is missing its security token. Reload it and try again."}
	case is(errCSRFStale):
		return Problem{Status: 403, Code: "CSRF_STALE", Reason: "csrf_stale", Message: "The page is from before you signed in. Reload it and try again."}
	case is(errForeignPlatform):
		return Problem{Status: 403, Code: "PLATFORM_FORBIDDEN", Reason: "platform_forbidden", Message: "The platform this page shows is not yours (any more). Reload the page."}
	case is(errPlatformRequired):
		return Problem{Status: 403, Code: "PLATFORM_REQUIRED", Reason: "platform_required", Message: "Choose a platform first."}
	case errors.As(err, &reauth):
		return Problem{Status: 403, Code: "REAUTH_REQUIRED", Reason: reauth.Reason, Message: "Please confirm that it is you, and try again.", Required: reauth.Required}
	case is(ErrForbidden):
		return Problem{Status: 403, Code: "FORBIDDEN", Reason: "forbidden", Message: "You may not do this."}
	case is(session.ErrPlatform):
		return Problem{Status: 404, Code: "PLATFORM_NOT_FOUND", Reason: "platform_not_found", Message: "There is no such platform among yours."}
	case is(errNoSuchSession):
		return Problem{Status: 404, Code: "SESSION_NOT_FOUND", Reason: "session_not_found", Message: "There is no such session among yours."}
	case is(errNotFound):
		return Problem{Status: 404, Code: "NOT_FOUND", Reason: "not_found", Message: "There is nothing here."}
	case is(errMethod):
		return Problem{Status: 405, Code: "METHOD_NOT_ALLOWED", Reason: "method_not_allowed", Message: "This cannot be done here; see Allow."}
	case is(errPlatformUnstated):
		return Problem{Status: 409, Code: "PLATFORM_UNSTATED", Reason: "platform_unstated", Message: "The request has to say for which platform it is, in X-Platform-Id or platform_id. Reload the page."}
	case is(session.ErrLimit):
		return Problem{Status: 409, Code: "LIMIT_REACHED", Reason: "limit_reached", Message: "You are signed in on as many devices as allowed. Sign out on one of them first."}
	case is(session.ErrConflict):
		return Problem{Status: 409, Code: "CONFLICT", Reason: "conflict", Message: "Something changed at the same moment. Please try again."}
	case errors.As(err, &tooLarge):
		return Problem{Status: 413, Code: "TOO_LARGE", Reason: "too_large", Message: fmt.Sprintf("The request is larger than %d bytes.", tooLarge.Limit)}
	case is(errMediaType):
		return Problem{Status: 415, Code: "UNSUPPORTED_MEDIA_TYPE", Reason: "unsupported_media_type", Message: "Send JSON, with Content-Type: application/json."}
	case errors.As(err, &switches):
		return Problem{Status: 429, Code: "RATE_LIMITED", Reason: "rate_limited", Message: "You have switched platforms very often. Please wait a little.", RetryAfter: max(switches.RetryAfter, time.Second)}
	case errors.As(err, &limited):
		wait := max(limited.RetryAfter, time.Second)
		return Problem{Status: 429, Code: "RATE_LIMITED", Reason: "rate_limited", Message: "Too many attempts. Please try again in " + inWords(wait) + ".", RetryAfter: wait}
	case is(session.ErrClosed):
		return Problem{Status: 503, Code: "UNAVAILABLE", Reason: "closing", Message: "The service is being restarted. You are not signed out.", RetryAfter: time.Second}
	}
	return Problem{Status: 500, Code: "INTERNAL", Reason: "internal", Message: "Something went wrong here. It has been noted."}
}

// inWords rounds up: who waits that long has waited long enough.
func inWords(d time.Duration) string {
	n, unit := (d+time.Second-1)/time.Second, "second"
	if n >= 100 {
		n, unit = (d+time.Minute-1)/time.Minute, "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprint(int64(n), " ", unit)
}

// Error answers with the refusal that err stands for: JSON, or a page, or for a
// page that needs a session a redirect to sign-in. A request that was cancelled is
// answered too, for the client may still be there, but it is no failure to log.
func (h *Handler) Error(w http.ResponseWriter, r *http.Request, err error) {
	p := h.problem(w, r, err)
	gone := p.Status == 503 && errors.Is(r.Context().Err(), context.Canceled)
	if p.Status >= 500 && !gone {
		h.config.Logger.ErrorContext(r.Context(), "sessionhttp: request failed", "error", err, "request_id", p.RequestID, "method", r.Method, "path", r.URL.Path)
	}
	header := w.Header()
	noStore(header)
	for _, name := range [...]string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		header.Del(name) // of the answer that was not to be
	}
	retryAfter(header, p)
	switch {
	case h.wantsJSON(r):
		h.writeProblem(w, p, nil)
	case p.Status == 401 && p.Code != "INVALID_CREDENTIALS" && r.URL.Path != h.config.LoginPath:
		h.redirectToLogin(w, r)
	case p.Code == "REAUTH_REQUIRED" && h.config.ReauthPage != nil:
		h.redirectToReauth(w, r)
	case h.config.ErrorPage != nil:
		h.config.ErrorPage(w, r, p)
	default:
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(p.Status)
		fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><title>%d</title><h1>%s</h1><p>Request %s</p></html>\n", p.Status, html.EscapeString(p.Message), p.RequestID)
	}
}

func retryAfter(header http.Header, p Problem) {
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
}

// redirectToLogin keeps the way back, if it is one that can be repeated.
func (h *Handler) redirectToLogin(w http.ResponseWriter, r *http.Request) {
	back := ""
	if shows(r.Method) {
		back = r.URL.RequestURI()
	}
	seeOther(w, h.leadingBack(h.config.LoginPath, back))
}

// leadingBack is the path of a form that leads there afterwards, if that is not where
// it leads anyhow.
func (h *Handler) leadingBack(form, there string) string {
	if next := SafeNext(there); next != "" && next != h.config.HomePath {
		form += "?next=" + url.QueryEscape(next)
	}
	return form
}

// writeProblem sends the JSON of the contract, with extra members in front.
func (h *Handler) writeProblem(w http.ResponseWriter, p Problem, extra map[string]any) {
	body := map[string]any{
		"success": false, "error": p.Message, "error_code": p.Code, "reason": p.Reason,
		"request_id": p.RequestID, "timestamp": timestamp(h.m.Now()),
	}
	if p.Code == "REAUTH_REQUIRED" {
		body["required"] = object{"max_age_seconds": max(0, math.Ceil(p.Required.MaxAge.Seconds())), "level": max(assurance.OneFactor, p.Required.Level)}
	}
	maps.Copy(body, p.ending())
	maps.Copy(body, extra)
	writeJSON(w, p.Status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // every body here is made of strings, numbers and times
	}
	header := w.Header()
	header["Content-Type"] = jsonType
	header.Set("Content-Length", strconv.Itoa(len(encoded)+1))
	w.WriteHeader(status)
	w.Write(append(encoded, '\n'))
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// wantsJSON: the API always, and whoever sends JSON or asks for it.
func (h *Handler) wantsJSON(r *http.Request) bool {
	return h.isAPI(r) || isJSON(r) ||
		strings.Contains(r.Header.Get("Accept"), "application/json") ||
		r.Header.Get("X-Requested-With") == "XMLHttpRequest"
}

// problem is what err means to whoever asked.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, err error) Problem {
	p := problemAt(err, h.m.Now())
	p.RequestID = requestID(w)
	if c := session.FromContext(r.Context()); c.SignedIn() && p.asksForMore() {
		h.m.Refused(r.Context(), c.Session.ID)
	}
	if h.config.Refused != nil {
		h.config.Refused(r, p)
	}
	return p
}

// asksForMore reports whether a request of a person's own pages would hardly be
// refused like this: without its token, or for what is not theirs. What another site
// can make a browser send is not among it, nor what an old tab sends.
func (p Problem) asksForMore() bool {
	switch p.Code {
	case "CSRF_INVALID", "PLATFORM_FORBIDDEN", "FORBIDDEN", "PLATFORM_NOT_FOUND", "SESSION_NOT_FOUND":
		return true
	}
	return false
}

// requestID returns the answer's, and makes one for the first who asks.
func requestID(w http.ResponseWriter) string {
	id := w.Header().Get("X-Request-Id")
	if id == "" {
		id = rand.Text()
		w.Header().Set("X-Request-Id", id)
	}
	return id
}

// recoverPanics lets the process live; the connection's own panic passes.
func (h *Handler) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			h.Error(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}()
		next.ServeHTTP(w, r)
	})
}
