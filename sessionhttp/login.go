package sessionhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/vedfolnir/session"
)

// SignIn gives the browser a session of the user, who has just proved who they
// are, and ends the one it had. Nothing may have been written yet. Errors: those
// of [session.Manager.Create], and [ErrPlainHTTP].
func (h *Handler) SignIn(w http.ResponseWriter, r *http.Request, user session.UserID) (*session.Context, error) {
	return h.SignInWith(w, r, session.CreateRequest{UserID: user})
}

// SignInWith is SignIn with more to say: the platform, and the epoch of sign-ins.
// Client and Replaces are filled in.
func (h *Handler) SignInWith(w http.ResponseWriter, r *http.Request, req session.CreateRequest) (*session.Context, error) {
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, ErrPlainHTTP
	}
	req.Client = h.Client(r)
	if held, err := h.authenticate(r); err == nil {
		req.Replaces = held.Session.ID
	}
	c, token, err := h.m.Create(r.Context(), req)
	if err != nil {
		return nil, err
	}
	if h.config.SignedIn != nil {
		h.config.SignedIn(r, &c)
	}
	h.setCookie(w, r, token)
	if h.devices != nil {
		h.rememberDevice(w, r, c.Session.UserID)
	}
	return &c, nil
}

// Rotate gives the browser a new token for the session it has: after a change of
// password, or another proof of who the person is. What the old token's other
// holders see is told at [session.Manager.Rotate]. [session.ErrConflict]: another
// tab did so at the same moment, and no cookie was set.
func (h *Handler) Rotate(w http.ResponseWriter, r *http.Request) (*session.Context, error) {
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, ErrPlainHTTP
	}
	presented, err := h.presented(r)
	if err != nil {
		return nil, err
	}
	c, token, err := h.m.Rotate(r.Context(), presented)
	if err != nil {
		return nil, err
	}
	h.setCookie(w, r, token)
	return &c, nil
}

// SignOut ends the browser's session and clears its cookie, also if the store
// does not answer: the error then says that the session itself could not be ended.
// Without a live session only the cookie goes.
func (h *Handler) SignOut(w http.ResponseWriter, r *http.Request) error {
	c, err := h.authenticate(r)
	h.setCookie(w, r, session.Token{})
	if err == nil {
		err = h.m.Revoke(r.Context(), c.Session.ID, session.SignedOut, string(c.Session.UserID))
	}
	if err == nil || isSignedOut(err) || errors.Is(err, session.ErrMalformed) {
		return nil // it has ended, by this call or before
	}
	return err
}

type loginProblemKey struct{}

// LoginProblem tells Config.LoginPage why the form failed; nil: it was not sent
// yet.
func LoginProblem(ctx context.Context) *Problem {
	p, _ := ctx.Value(loginProblemKey{}).(*Problem)
	return p
}

// serveLogin serves LoginPath, if the package was given Login.
func (h *Handler) serveLogin(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case h.config.Login == nil:
		next.ServeHTTP(w, r)
	case r.Method == http.MethodPost:
		door(h.checkLoginToken, h.login, h.loginFailed)(w, r)
	case h.config.LoginPage != nil && shows(r.Method):
		noStore(w.Header())
		h.config.LoginPage.ServeHTTP(w, r)
	default:
		next.ServeHTTP(w, r)
	}
}

// login checks the credentials.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	given, platform, err := readCredentials(w, r)
	if err != nil {
		return err
	}
	req, err := h.config.Login(r.Context(), given)
	if err != nil {
		return err
	}
	if platform != "" {
		req.PlatformID = platform
	}
	c, err := h.SignInWith(w, r, req)
	if err != nil {
		return err
	}
	if !h.answersJSON(r) {
		seeOther(w, firstOf(SafeNext(r.PostForm.Get("next")), h.config.HomePath))
		return nil
	}
	body := append([]byte(`{"success":true,"message":"Signed in",`), c.AppendClientView(nil)...)
	writeJSON(w, 200, json.RawMessage(append(body, '}')))
	return nil
}

// checkLoginToken: a browser that is signed in has been checked by the
// middleware; any other's token is bound to its pre-login cookie.
func (h *Handler) checkLoginToken(r *http.Request) error {
	if session.FromContext(r.Context()).SignedIn() {
		return nil
	}
	id, ok := h.prelogin(r)
	if !ok {
		return errCSRFInvalid
	}
	return h.checkToken(r, subject{'p', id})
}

// readCredentials reads JSON or a form.
func readCredentials(w http.ResponseWriter, r *http.Request) (Credentials, session.PlatformID, error) {
	if isForm(r) {
		return checkCredentials(r.PostForm.Get("username"), r.PostForm.Get("password"), session.PlatformID(r.PostForm.Get("platform_id")))
	}
	body, err := readBody(w, r)
	if err != nil {
		return Credentials{}, "", err
	}
	var given struct {
		Username string             `json:"username"`
		Password string             `json:"password"`
		Platform session.PlatformID `json:"platform_id"`
	}
	if err := (&call{body: body}).decode(&given); err != nil {
		return Credentials{}, "", err
	}
	return checkCredentials(given.Username, given.Password, given.Platform)
}

func checkCredentials(username, password string, platform session.PlatformID) (Credentials, session.PlatformID, error) {
	if username = strings.TrimSpace(username); username == "" || password == "" {
		return Credentials{}, "", &badRequestError{"Give both username and password."}
	}
	if len(username) > 320 || len(password) > 1024 {
		return Credentials{}, "", ErrBadCredentials
	}
	return Credentials{username, password}, platform, nil
}

// loginFailed shows the form again to whoever sent it.
func (h *Handler) loginFailed(w http.ResponseWriter, r *http.Request, err error) {
	if h.answersJSON(r) || h.config.LoginPage == nil || ProblemOf(err).Status >= 500 {
		h.Error(w, r, err)
		return
	}
	p := h.problem(w, r, err)
	noStore(w.Header())
	retryAfter(w.Header(), p)
	r = r.WithContext(context.WithValue(r.Context(), loginProblemKey{}, &p))
	h.config.LoginPage.ServeHTTP(&statusWriter{ResponseWriter: w, status: p.Status}, r)
}

// statusWriter gives the page that shows a problem the problem's status.
type statusWriter struct {
	http.ResponseWriter
	status int
	done   bool
}

func (w *statusWriter) WriteHeader(int) {
	if !w.done {
		w.done = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.WriteHeader(w.status)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// serveLogout serves POST of LogoutPath, if the package was given Login. GET has
// no effect: another site could cause it.
func (h *Handler) serveLogout(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if h.config.Login == nil {
		next.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.Error(w, r, errMethod)
		return
	}
	door(h.checkLogoutToken, h.logout, h.Error)(w, r)
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	if err := h.SignOut(w, r); err != nil {
		return err
	}
	if !h.answersJSON(r) {
		seeOther(w, h.config.LoginPath)
		return nil
	}
	writeJSON(w, 200, object{"success": true, "message": "Signed out", "timestamp": timestamp(h.m.Now())})
	return nil
}

// checkLogoutToken: a live session has been checked by the middleware, and without
// one there is nothing to protect. Where the store could not say which of the two
// it is, the token has to be that of the cookie's handle, which needs no store.
func (h *Handler) checkLogoutToken(r *http.Request) error {
	refusal := visitOf(r.Context()).refusal
	if refusal == nil || isSignedOut(refusal) {
		return nil
	}
	t, presented, err := h.token(r)
	if err != nil || !presented {
		return nil // a cookie that never opened anything
	}
	return h.checkToken(r, subject{'s', t.ID()})
}

// answersJSON: a form gets a page, JSON gets JSON.
func (h *Handler) answersJSON(r *http.Request) bool { return !isForm(r) || h.wantsJSON(r) }

func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
