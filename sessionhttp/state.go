package sessionhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vedfolnir/session"
)

// stateParts are the pieces of a session_state answer that never change.
type stateParts struct{ sync string }

func newStateParts(c session.Config) stateParts {
	return stateParts{fmt.Sprintf(`,"session_type":"integrated","sync":{"enabled":%t,"check_interval_seconds":%v,"heartbeat_interval_seconds":%v,"warning_threshold_seconds":%v,"server_time":"`,
		!c.Features.NoCrossTabSync, c.Sync.CheckInterval.Seconds(), c.Sync.HeartbeatInterval.Seconds(), c.Timeout.WarningThreshold.Seconds())}
}

// append writes the body of GET /api/session_state.
func (p stateParts) append(dst []byte, c *session.Context, now time.Time) []byte {
	dst = append(dst, `{"success":true,`...)
	dst = c.AppendClientView(dst)
	dst = append(dst, p.sync...)
	dst = now.AppendFormat(dst, serverTime)
	dst = append(dst, `"},"timestamp":"`...)
	dst = now.AppendFormat(dst, time.RFC3339)
	return append(dst, `"}`...)
}

// buffers of answers, so that the way most requests go allocates only what
// net/http itself does.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// serveState is GET /api/session_state without the table's detours.
func (h *Handler) serveState(w http.ResponseWriter, r *http.Request) {
	c, err := h.authenticate(r)
	if err == nil && c.Session.Guest {
		err = errSessionRequired
	}
	if err == nil && len(r.Header["X-Platform-Id"]) > 0 {
		_, err = actAs(r, &c)
	}
	if err != nil {
		h.Error(w, r, err)
		return
	}
	h.writeState(w, r, &c)
}

// getState serves HEAD.
func (h *Handler) getState(w http.ResponseWriter, c *call) error {
	h.writeState(w, c.r, c.session)
	return nil
}

func (h *Handler) writeState(w http.ResponseWriter, r *http.Request, c *session.Context) {
	header := w.Header()
	tag := etag(c)
	header["Etag"] = []string{tag}
	if given := r.Header["If-None-Match"]; len(given) > 0 && matches(given, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = append(h.state.append((*buf)[:0], c, h.m.Now()), '\n')
	header["Content-Type"] = jsonType
	header["Content-Length"] = []string{strconv.Itoa(len(*buf))}
	w.Write(*buf)
}

// etag is the handle and the stamp: what a client that has it would see anew.
func etag(c *session.Context) string {
	var buf [96]byte
	tag := append(buf[:0], '"')
	tag, _ = c.Session.ID.AppendText(tag)
	tag = c.Stamp().Append(append(tag, '.'))
	return string(append(tag, '"'))
}

// matches implements If-None-Match (RFC 9110, 13.1.2), which compares weakly.
func matches(given []string, tag string) bool {
	for _, line := range given {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == tag || candidate == "*" {
				return true
			}
		}
	}
	return false
}
