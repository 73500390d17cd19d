package sessionhttp

import (
	"cmp"
	"net/http"
	"time"

	"github.com/vedfolnir/session"
)

// WhySignedOut says why whoever sent r, a request that came through the
// middleware, is not signed in: for a page that lets them in again. It is told to
// the holder of the ended session's token alone. Nil: they are signed in, or never
// were.
func (h *Handler) WhySignedOut(r *http.Request) *Problem {
	refusal := CheckSession(r.Context())
	if refusal == nil || refusal == errSessionRequired || !isSignedOut(refusal) {
		return nil
	}
	p := problemAt(refusal, h.m.Now())
	return &p
}

// endedProblem says why a session has ended, when, and from which device.
func endedProblem(e *session.EndedError, now time.Time) Problem {
	p := Problem{Status: 401, Code: "SESSION_ENDED", Reason: string(e.Reason), EndedAt: e.At, Device: e.Device}
	if e.Reason.Expired() {
		p.Code = "SESSION_EXPIRED"
	}
	p.Message = endedMessage(e, when(e.At, now))
	if e.Reason != session.SignedOut && e.Reason != session.UserDisabled {
		p.Message += " Please sign in again."
	}
	return p
}

// endedMessage is for the person. when begins with a space, or is empty.
func endedMessage(e *session.EndedError, when string) string {
	switch e.Reason {
	case session.IdleTimeout:
		return "Your session expired" + when + ", after a long time without activity."
	case session.LifetimeOver, session.AbsoluteTimeout:
		return "Your session expired" + when + ": it had lasted as long as one may."
	case session.SignedOut:
		return "You have signed out."
	case session.RevokedByUser:
		return "You ended this session from " + deviceOr(e, "another device") + when + "."
	case session.EvictedByLimit:
		return "You signed in on " + deviceOr(e, "another device") + when + ", and this session made way."
	case session.TokenReplayed:
		return "An old copy of this session was used somewhere" + when + ", so it was ended to protect you."
	case session.UserDisabled:
		return "This account can no longer be used."
	case session.CredentialChanged:
		return "Your password was changed" + when + "."
	}
	return "This session was ended" + when + "."
}

func deviceOr(e *session.EndedError, unknown string) string { return cmp.Or(e.Device, unknown) }

// when says it in UTC: the server knows no other zone of the person's.
func when(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.UTC().Format(time.DateOnly) == now.UTC().Format(time.DateOnly):
		return at.UTC().Format(" today at 15:04 UTC")
	}
	return at.UTC().Format(" on 2 January at 15:04 UTC")
}

// ending is what a refusal says of an ended session beside the reason.
func (p Problem) ending() object {
	extra := object{}
	if !p.EndedAt.IsZero() {
		extra["ended_at"] = timestamp(p.EndedAt)
	}
	if p.Device != "" {
		extra["ended_from"] = p.Device
	}
	return extra
}
