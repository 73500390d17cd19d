package sessionhttp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/vedfolnir/session"
)

// visit is what the middleware found out about one request.
type visit struct {
	handler  *Handler
	request  *http.Request // as it came
	refusal  error         // why there is no live session
	prelogin [16]byte      // of the pre-login cookie, once it was asked for
}

type visitKey struct{}

// visitOf returns the visit of the request that ctx belongs to; one that did not
// come through the middleware has no session.
func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{refusal: errSessionRequired}
}

// authenticate finds the live session of r, or says why there is none: that of the
// browser, or the one in which an operator acts as somebody.
func (h *Handler) authenticate(r *http.Request) (session.Context, error) {
	own, err := h.authenticateOwn(r)
	if err != nil {
		return own, err
	}
	return h.acting(r, own)
}

// authenticateOwn finds the browser's; what an operator acts in is none. What may
// change something needs more than the grace of an outage.
func (h *Handler) authenticateOwn(r *http.Request) (session.Context, error) {
	token, err := h.presented(r, "")
	if err != nil {
		return session.Context{}, err
	}
	inGrace := isUnsafe(r.Method) && h.m.InGrace()
	c, err := h.m.Authenticate(r.Context(), token, h.Client(r))
	switch {
	case err == nil && isUnsafe(r.Method) && (inGrace || h.m.InGrace()):
		return session.Context{}, session.ErrUnavailable
	case err == nil && c.Session.Impersonator != "":
		return session.Context{}, session.ErrNotFound
	}
	return c, err
}

// isSignedOut reports whether err says that nobody is signed in. Nothing else is
// taken for that: not a store that does not answer, not a manager that is closing,
// not a cookie that makes no sense.
func isSignedOut(err error) bool {
	_, ended := session.Ended(err)
	return ended || err == errSessionRequired || errors.Is(err, session.ErrNotFound)
}

// mayPass lets people past a refusal of their cookie who are about to be rid of
// it: by signing in over a broken one, or by signing out while the store is down.
func (h *Handler) mayPass(r *http.Request, refusal error) bool {
	switch {
	case h.config.Login == nil:
		return false
	case r.URL.Path == h.config.LoginPath:
		return errors.Is(refusal, session.ErrMalformed)
	}
	return r.URL.Path == h.config.LogoutPath && r.Method == http.MethodPost && refusal != errTwoCookies
}

// Middleware finds the request's session, checks origin, CSRF token and stated
// platform, notes activity, and hands on. A request without a live session is
// handed on too: [session.FromContext] then returns nil. It is refused here only
// if the store does not answer or the cookie makes no sense, which is not the
// same.
func (h *Handler) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := h.enter(w, r)
		if err != nil {
			h.Error(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *Handler) enter(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	vary(w.Header())
	if err := h.checkOrigin(r); err != nil {
		return r, err
	}
	c, refusal := h.authenticate(r)
	if refusal != errSessionRequired {
		noStore(w.Header())
	}
	if refusal != nil && !isSignedOut(refusal) && !h.mayPass(r, refusal) {
		return r, refusal
	}
	v := &visit{handler: h, request: r, refusal: refusal}
	ctx := context.WithValue(r.Context(), visitKey{}, v)
	if isForm(r) {
		if err := parseForm(r, http.MaxBytesReader(w, r.Body, h.config.MaxFormBytes)); err != nil {
			return r, formError(err)
		}
	}
	if refusal != nil {
		return r.WithContext(ctx), nil
	}
	if suffixOf(&c) == "" {
		h.stopActing(w, r)
	}
	acting, err := h.admit(r, c)
	if err != nil { // whose request is refused is known
		return r.WithContext(session.NewContext(ctx, &c)), err
	}
	return r.WithContext(session.NewContext(ctx, acting)), nil
}

// parseForm leaves the body to be read again: the application may pass it on.
func parseForm(r *http.Request, body io.Reader) error {
	form, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(form))
	err = r.ParseForm()
	r.Body = io.NopCloser(bytes.NewReader(form))
	return err
}

func formError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return &badRequestError{"The form could not be read."}
}

// admit checks a request of a live session and notes what it does.
func (h *Handler) admit(r *http.Request, c session.Context) (*session.Context, error) {
	if isUnsafe(r.Method) {
		if err := h.checkTokenOf(r, &c); err != nil {
			return nil, err
		}
	}
	acting := &c
	if !h.signsIn(r) { // there platform_id is the next person's
		var err error
		if acting, err = actAs(r, &c); err != nil {
			return nil, err
		}
	}
	if (isUnsafe(r.Method) || isNavigation(r)) && !h.m.InGrace() { // when activity cannot be stored
		touched, err := h.touch(r.Context(), *acting)
		if err != nil {
			return nil, err
		}
		acting = &touched
	}
	return acting, nil
}

// signsIn reports whether r asks for another session, by the package's own route.
func (h *Handler) signsIn(r *http.Request) bool {
	return h.config.Login != nil && r.Method == http.MethodPost && r.URL.Path == h.config.LoginPath
}

// actAs applies the platform that the request states, if it does.
func actAs(r *http.Request, c *session.Context) (*session.Context, error) {
	stated := ""
	for _, all := range [...][]string{r.Header["X-Platform-Id"], r.PostForm["platform_id"]} {
		for _, one := range all {
			if stated != "" && one != "" && one != stated {
				return nil, &badRequestError{"The request states two platforms."}
			}
			stated = cmp.Or(stated, one)
		}
	}
	if stated == "" {
		return c, nil
	}
	acting, err := c.ActAs(session.PlatformID(stated))
	if err != nil {
		return nil, errForeignPlatform
	}
	return acting, nil
}

// isNavigation reports whether a person opened a page. Browsers say so; older ones
// are judged by what they accept.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header.Get("Sec-Purpose") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		// A frame may reload by itself.
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "" || dest == "document")
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (h *Handler) isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, h.config.BasePath+"/") || r.URL.Path == h.config.BasePath
}

// RequireSession refuses a request without a live session: 401 that tells why, or
// for a page a redirect to sign-in.
func (h *Handler) RequireSession(next http.Handler) http.Handler {
	return h.require(next, CheckSession)
}

// RequirePlatform refuses, beyond RequireSession, a request that acts as no
// platform. It follows the session's active one: for routes that only show.
func (h *Handler) RequirePlatform(next http.Handler) http.Handler {
	return h.require(next, CheckPlatform)
}

// RequireStatedPlatform refuses, beyond RequireSession, a request that does not
// itself say as which platform it acts: for routes that post or delete, so that a
// tab which has not heard of a switch yet acts as what it shows.
func (h *Handler) RequireStatedPlatform(next http.Handler) http.Handler {
	return h.require(next, CheckStatedPlatform)
}

func (h *Handler) require(next http.Handler, check func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := check(r.Context()); err != nil {
			h.Error(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// CheckSession returns why [Handler.RequireSession] refuses the request that ctx
// belongs to, or nil if it does not: for a router whose middleware is not that of
// net/http. [Handler.Error] answers it, and [ProblemOf] says what it means.
func CheckSession(ctx context.Context) error {
	if !session.FromContext(ctx).SignedIn() {
		return cmp.Or(visitOf(ctx).refusal, errSessionRequired) // the session may have been taken from ctx
	}
	return nil
}

// CheckPlatform is CheckSession for [Handler.RequirePlatform].
func CheckPlatform(ctx context.Context) error {
	if err := CheckSession(ctx); err != nil {
		return err
	}
	if session.FromContext(ctx).Platform().ID == "" {
		return errPlatformRequired
	}
	return nil
}

// CheckStatedPlatform is CheckSession for [Handler.RequireStatedPlatform].
func CheckStatedPlatform(ctx context.Context) error {
	if err := CheckSession(ctx); err != nil {
		return err
	}
	if !session.FromContext(ctx).Stated() {
		return errPlatformUnstated
	}
	return nil
}
