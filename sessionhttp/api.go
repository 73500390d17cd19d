package sessionhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// maxBody bounds the body of a call of the API.
const maxBody = 64 << 10

// call is one request of the API.
type call struct {
	r       *http.Request
	session *session.Context // nil: signed out
	refusal error            // why
	param   string           // the last segment of a route that ends in "/"
	body    []byte
}

// apiTable is the API, relative to its base path.
var apiTable = newTable(
	reads("/csrf", (*Handler).getCSRF).signedOut(),
	reads("/session_state", (*Handler).getState),
	reads("/user_platforms", (*Handler).getPlatforms),
	reads("/sessions", (*Handler).getSessions),
	changes("DELETE", "/sessions/{handle}", (*Handler).deleteSession).ending(),
	changes("POST", "/sessions/revoke_others", (*Handler).revokeOthers).ending(),
	reads("/session/security", (*Handler).getSecurity),
	reads("/session/events", (*Handler).getEvents),
	asks("/session/validate", (*Handler).validate).signedOut(),
	changes("POST", "/session/cleanup", (*Handler).cleanup),
	changes("POST", "/session/refresh", (*Handler).refresh),
	changes("POST", "/session/heartbeat", (*Handler).heartbeat).unattended(),
	changes("POST", "/session/reauth/options", (*Handler).reauthOptions),
	changes("POST", "/session/reauth", (*Handler).reauth),
	changes("POST", "/switch_platform/{id}", (*Handler).switchPlatform),
)

// API serves the JSON API below Config.BasePath. It needs no middleware around it.
// Nothing in it ever redirects.
func (h *Handler) API() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		noStore(header)
		vary(header)
		path := strings.TrimPrefix(r.URL.EscapedPath(), h.config.BasePath)
		if path == "/session_state" && r.Method == http.MethodGet {
			h.serveState(w, r) // the way most requests go
			return
		}
		methods, param := apiTable.find(path)
		if methods == nil {
			h.Error(w, r, errNotFound)
			return
		}
		e, ok := methods[r.Method]
		if !ok && r.Method == http.MethodHead {
			e, ok = methods[http.MethodGet]
		}
		if !ok {
			header.Set("Allow", allowed(methods))
			h.Error(w, r, errMethod)
			return
		}
		c := &call{r: r, param: param}
		err := h.prepare(w, c, e)
		if err == nil {
			err = e.serve(h, w, c)
		}
		if err != nil {
			h.Error(w, c.r, err) // whose request it is may be known by now
		}
	})
}

// prepare checks a call in the order: origin, session, platform, token, proof, body.
func (h *Handler) prepare(w http.ResponseWriter, c *call, e endpoint) error {
	if err := h.checkOrigin(c.r); err != nil {
		return err
	}
	found, err := h.authenticate(c.r)
	if err == nil && found.Session.Guest { // who is nobody here, but has a token
		c.r = c.r.WithContext(session.NewContext(c.r.Context(), &found))
		err = errSessionRequired
	}
	if err != nil {
		c.refusal = err
		if !e.public || !isSignedOut(err) {
			return err
		}
	} else {
		c.session = &found
		c.r = c.r.WithContext(session.NewContext(c.r.Context(), c.session))
		if _, err := actAs(c.r, c.session); err != nil {
			return err
		}
		if e.changes {
			if err := h.checkTokenOf(c.r, c.session); err != nil {
				return err
			}
		}
		if e.ends && c.session.Session.Impersonator != "" {
			return ErrForbidden
		}
		if e.ends && h.config.RecentToEnd > 0 {
			if err := h.requireProof(c.r.Context(), c.r, assurance.Required{MaxAge: h.config.RecentToEnd}); err != nil {
				return err
			}
		}
	}
	if isUnsafe(c.r.Method) {
		if c.body, err = readBody(w, c.r); err != nil {
			return err
		}
	}
	if e.act && c.session != nil {
		touched, err := h.touch(c.r.Context(), *c.session)
		if err != nil {
			return err
		}
		c.session = &touched
	}
	return nil
}

// readBody demands JSON or nothing. An empty body with the type of JSON is what
// the specification's own snippets send.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Type") != "" && !isJSON(r) {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case err != nil:
		return nil, &badRequestError{"The request's body ended early."}
	case len(body) == 0:
		return nil, nil
	case !isJSON(r):
		return nil, errMediaType
	case !json.Valid(body):
		return nil, &badRequestError{"The request's body is not valid JSON."}
	}
	return body, nil
}

// decode reads the body into a struct; an empty body leaves it zero.
func (c *call) decode(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return &badRequestError{"The request's JSON has a field of the wrong type."}
	}
	return nil
}

type object = map[string]any

func (h *Handler) getCSRF(w http.ResponseWriter, c *call) error {
	writeJSON(w, 200, object{"success": true, "csrf_token": h.CSRFToken(w, c.r)})
	return nil
}

func (h *Handler) getPlatforms(w http.ResponseWriter, c *call) error {
	person, err := h.m.Person(c.r.Context(), *c.session)
	if err != nil {
		return err
	}
	list := []object{}
	var current any
	for _, p := range person.Platforms {
		active := p.ID == c.session.Session.PlatformID
		if active {
			current = object{"id": p.ID, "name": p.Name}
		}
		entry := platformObject(p)
		entry["is_default"], entry["is_current"], entry["last_used"] = p.IsDefault, active, nil
		if !p.LastUsed.IsZero() {
			entry["last_used"] = timestamp(p.LastUsed)
		}
		list = append(list, entry)
	}
	writeJSON(w, 200, object{"success": true, "platforms": list, "current_platform": current})
	return nil
}

func platformObject(p session.Platform) object {
	return object{"id": p.ID, "name": p.Name, "platform_type": p.Type, "instance_url": p.InstanceURL, "username": p.Username}
}

func (h *Handler) switchPlatform(w http.ResponseWriter, c *call) error {
	switched, err := h.m.SwitchPlatform(c.r.Context(), c.session.Session.ID, session.PlatformID(c.param))
	if err != nil {
		return err
	}
	p := switched.Platform()
	writeJSON(w, 200, object{
		"success": true, "platform": platformObject(p),
		"message": fmt.Sprintf("Successfully switched to %s (%s)", p.Name, title(p.Type)),
	})
	return nil
}

// title writes "mastodon" as the specification shows it: "Mastodon".
func title(kind string) string {
	first, size := utf8.DecodeRuneInString(kind)
	if size == 0 {
		return kind
	}
	return string(unicode.ToTitle(first)) + kind[size:]
}

// validate answers as specified also when the session is not valid; both flags
// then say so, for the cookie and the row are one session.
func (h *Handler) validate(w http.ResponseWriter, c *call) error {
	if c.refusal == nil {
		writeJSON(w, 200, object{
			"success": true, "valid": true, "database_session_valid": true, "flask_session_valid": true,
			"timestamp": timestamp(h.m.Now()),
		})
		return nil
	}
	p := h.problem(w, c.r, c.refusal)
	_, tokenIsGood := session.Ended(c.refusal)
	h.writeProblem(w, p, object{"valid": false, "database_session_valid": false, "flask_session_valid": tokenIsGood})
	return nil
}

func (h *Handler) cleanup(w http.ResponseWriter, c *call) error {
	n, err := h.m.CleanupUser(c.r.Context(), c.session.Session.UserID)
	if err != nil {
		return err
	}
	writeJSON(w, 200, object{"success": true, "cleaned_sessions": n, "message": fmt.Sprintf("Cleaned up %d expired sessions", n)})
	return nil
}

func (h *Handler) refresh(w http.ResponseWriter, c *call) error {
	refreshed, err := h.m.Refresh(c.r.Context(), *c.session)
	if errors.Is(err, session.ErrConflict) {
		// Another tab did something at the same moment; staying signed in is still
		// what the person wants.
		var now session.Context
		if now, err = h.m.Get(c.r.Context(), c.session.Session.ID); err == nil {
			refreshed, err = h.m.Refresh(c.r.Context(), now)
		}
	}
	if err != nil {
		return err
	}
	writeJSON(w, 200, object{"success": true, "message": "Session refreshed", "expires_at": timestamp(refreshed.Deadlines().Expiry())})
	return nil
}

func (h *Handler) heartbeat(w http.ResponseWriter, c *call) error {
	var beat struct{ Active bool }
	if err := c.decode(&beat); err != nil {
		return err
	}
	now := *c.session
	if beat.Active {
		var err error
		if now, err = h.touch(c.r.Context(), now); err != nil {
			return err
		}
	}
	writeJSON(w, 200, object{
		"success": true, "active": true, "server_time": h.m.Now().Format(serverTime),
		"expires_at": timestamp(now.Deadlines().Expiry()), "idle_expires_at": timestamp(now.Deadlines().Idle),
	})
	return nil
}

// serverTime is a layout with milliseconds: a client corrects its clock by it.
const serverTime = "2006-01-02T15:04:05.000Z07:00"

func (h *Handler) getSessions(w http.ResponseWriter, c *call) error {
	sessions, err := h.m.List(c.r.Context(), c.session.Session.UserID)
	if err != nil {
		return err
	}
	list := []object{}
	for _, s := range sessions {
		var platform any
		for _, p := range c.session.Platforms() {
			if p.ID == s.PlatformID {
				platform = object{"id": p.ID, "name": p.Name}
			}
		}
		entry := object{
			"session_id": s.ID, "is_current": s.ID == c.session.Session.ID,
			"created_at": timestamp(s.CreatedAt), "last_activity": timestamp(s.LastActivity),
			"expires_at": timestamp(h.m.Policy().Deadlines(s.Session).Expiry()),
			"ip_address": s.Client.IPAddress, "user_agent": s.Client.UserAgent, "device": s.Client.Device(),
			"platform": platform, "remembered": s.Persistent,
		}
		if s.Impersonator != "" {
			entry["impersonator"] = s.Impersonator
		}
		list = append(list, entry)
	}
	writeJSON(w, 200, object{"success": true, "sessions": list})
	return nil
}

// deleteSession answers for another's session exactly as for one that never was.
func (h *Handler) deleteSession(w http.ResponseWriter, c *call) error {
	if _, err := session.ParseID(c.param); err != nil {
		return &badRequestError{"This is no session's id."}
	}
	if err := h.EndOwn(c.r, c.session, c.param); err != nil {
		return err
	}
	writeJSON(w, 200, object{"success": true})
	return nil
}

func (h *Handler) revokeOthers(w http.ResponseWriter, c *call) error {
	n, err := h.EndOthers(c.r, c.session)
	if err != nil {
		return err
	}
	writeJSON(w, 200, object{"success": true, "revoked": n})
	return nil
}

func (h *Handler) getSecurity(w http.ResponseWriter, c *call) error {
	info, err := h.m.SecurityInfo(c.r.Context(), c.session.Session.ID, h.Client(c.r))
	if err != nil {
		return err
	}
	writeJSON(w, 200, struct {
		Success bool `json:"success"`
		session.SecurityInfo
	}{true, info})
	return nil
}

// EndOthers ends all sessions of the person of c but c itself, and returns how many. It
// is a page's own way to what the API does, and asks for no recent proof: put
// [Handler.RequireRecent] in front. The errors are those of
// [session.Manager.RevokeOthers].
func (h *Handler) EndOthers(r *http.Request, c *session.Context) (int, error) {
	return h.m.RevokeOthers(r.Context(), c.Session.UserID, c.Session.ID, session.RevokedByUser, c.Session.Actor())
}

// EndOwn ends one live session of the person of c, named by its handle's text, and asks
// for no recent proof either. Any other handle, also one of somebody else, is one and
// the same error, which [Handler.Error] answers with 404.
func (h *Handler) EndOwn(r *http.Request, c *session.Context, handle string) error {
	id, err := session.ParseID(handle)
	if err != nil {
		return errNoSuchSession
	}
	mine, err := h.m.Validate(r.Context(), id, c.Session.UserID)
	if err != nil {
		return err
	}
	if !mine {
		return errNoSuchSession
	}
	err = h.m.Revoke(r.Context(), id, session.RevokedByUser, c.Session.Actor())
	if _, before := session.Ended(err); before || errors.Is(err, session.ErrNotFound) {
		return errNoSuchSession
	}
	return err
}
