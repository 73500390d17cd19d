package sessionhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/vedfolnir/session"
)

// SignIn gives the browser a session of the user, who has just proved who they
// are, and ends the one it had. Nothing may have been written yet. Errors: those
// of [session.Manager.Create], and [ErrPlainHTTP].
func (h *Handler) SignIn(w http.ResponseWriter, r *http.Request, user session.UserID) (*session.Context, error) {
	return h.SignInWith(w, r, session.CreateRequest{UserID: user})
}

// SignInWith is SignIn with more to say: the platform, how surely they proved it, the
// epoch of sign-ins, limits, and whether the person is to be remembered when the
// browser is closed. Client and Replaces are filled in.
func (h *Handler) SignInWith(w http.ResponseWriter, r *http.Request, req session.CreateRequest) (*session.Context, error) {
	c, _, err := h.signIn(w, r, req)
	return c, err
}

func (h *Handler) signIn(w http.ResponseWriter, r *http.Request, req session.CreateRequest) (*session.Context, session.Token, error) {
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, session.Token{}, ErrPlainHTTP
	}
	req.Client = h.Client(r)
	held, err := h.authenticateOwn(r)
	guest := err == nil && held.Session.Guest
	if err == nil && !guest {
		req.Replaces = held.Session.ID
	}
	c, token, err := h.m.Create(r.Context(), req)
	if err != nil {
		return nil, session.Token{}, err
	}
	if guest {
		h.carryOver(r.Context(), &held, &c)
	}
	if h.config.SignedIn != nil {
		h.config.SignedIn(r, &c)
	}
	h.setCookie(w, r, "", token, c.Session.Persistent)
	h.stopActing(w, r)
	if h.devices != nil {
		h.rememberDevice(w, r, c.Session.UserID)
	}
	return &c, token, nil
}

// Rotate gives the browser a new token for the session it has, after a change of
// password for one. (What they have just proved is noted by [Handler.StepUp], which
// rotates too.) What the old token's other holders see is told at
// [session.Manager.Rotate]. [session.ErrConflict]: another tab did so at the same
// moment, or the session changed again and again, and no cookie was set.
func (h *Handler) Rotate(w http.ResponseWriter, r *http.Request) (*session.Context, error) {
	c, _, err := h.renew(w, r, func(presented session.Token) (session.Context, session.Token, error) {
		return h.m.Rotate(r.Context(), presented)
	})
	return c, err
}

// renew has the browser's token replaced. A switch, say, at the same moment is no reason
// to leave it as it is.
func (h *Handler) renew(w http.ResponseWriter, r *http.Request, replace func(session.Token) (session.Context, session.Token, error)) (*session.Context, session.Token, error) {
	if !h.mayCarryToken(r) {
		h.explainPlainHTTP(r)
		return nil, session.Token{}, ErrPlainHTTP
	}
	presented, err := h.presented(r, suffixOf(session.FromContext(r.Context())))
	if err != nil {
		return nil, session.Token{}, err
	}
	c, token, err := replace(presented)
	for again := 0; again < 2 && errors.Is(err, session.ErrConflict); again++ {
		c, token, err = replace(presented)
	}
	if err != nil {
		return nil, session.Token{}, err
	}
	h.setCookie(w, r, suffixOf(&c), token, c.Session.Persistent)
	return &c, token, nil
}

// SignOut ends the browser's session and clears its cookie, also if the store
// does not answer: the error then says that the session itself could not be ended.
// Without a live session only the cookie goes. An operator who acts as somebody is
// signed out of that alone, and is themself again.
func (h *Handler) SignOut(w http.ResponseWriter, r *http.Request) error {
	c, err := h.authenticate(r)
	if suffixOf(&c) == "" {
		h.setCookie(w, r, "", session.Token{}, false)
	}
	h.stopActing(w, r)
	if err == nil {
		err = h.end(r.Context(), &c, session.SignedOut)
	}
	if err == nil || isSignedOut(err) || errors.Is(err, session.ErrMalformed) {
		return nil // it has ended, by this call or before
	}
	return err
}

type loginProblemKey struct{}

// LoginProblem tells Config.LoginPage and Config.ReauthPage why the form failed; nil:
// it was not sent yet.
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
		door(h.checkLoginToken, h.login, h.formFailed(h.config.LoginPage))(w, r)
	case h.config.LoginPage != nil && shows(r.Method):
		noStore(w.Header())
		h.config.LoginPage.ServeHTTP(w, r)
	default:
		next.ServeHTTP(w, r)
	}
}

// login checks the credentials.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) error {
	given, err := readSignIn(w, r)
	if err != nil {
		return err
	}
	req, err := h.config.Login(r.Context(), given.Credentials)
	if err != nil {
		return err
	}
	if given.platform != "" {
		req.PlatformID = given.platform
	}
	req.Unremembered = req.Unremembered || given.unremembered
	c, err := h.SignInWith(w, r, req)
	if err != nil {
		return err
	}
	if !h.answersJSON(r) {
		seeOther(w, cmp.Or(SafeNext(r.PostForm.Get("next")), h.config.HomePath))
		return nil
	}
	body := append([]byte(`{"success":true,"message":"Signed in",`), c.AppendClientView(nil)...)
	writeJSON(w, 200, json.RawMessage(append(body, '}')))
	return nil
}

// checkLoginToken: a browser that is signed in has been checked by the
// middleware; any other's token is bound to its pre-login cookie.
func (h *Handler) checkLoginToken(r *http.Request) error {
	if session.FromContext(r.Context()).Live() {
		return nil
	}
	id, ok := h.prelogin(r)
	if !ok {
		return errCSRFInvalid
	}
	return h.checkToken(r, subject{'p', id})
}

// signInForm is what was sent to LoginPath.
type signInForm struct {
	Credentials
	platform     session.PlatformID
	unremembered bool // there was a choice, and it was not made
}

// readSignIn reads JSON or a form. Who sends no "remember" offers no choice; a page
// with a checkbox sends a hidden false in front of it, for a browser sends nothing of
// one that is not checked.
func readSignIn(w http.ResponseWriter, r *http.Request) (signInForm, error) {
	var given struct {
		Username string             `json:"username"`
		Password string             `json:"password"`
		Platform session.PlatformID `json:"platform_id"`
		Remember *bool              `json:"remember"`
	}
	if isForm(r) {
		given.Username, given.Password = r.PostForm.Get("username"), r.PostForm.Get("password")
		given.Platform = session.PlatformID(r.PostForm.Get("platform_id"))
		if choice, offered := r.PostForm["remember"]; offered {
			yes := slices.ContainsFunc(choice, checked)
			given.Remember = &yes
		}
	} else {
		body, err := readBody(w, r)
		if err == nil {
			err = (&call{body: body}).decode(&given)
		}
		if err != nil {
			return signInForm{}, err
		}
	}
	c, err := checkCredentials(given.Username, given.Password)
	return signInForm{c, given.Platform, given.Remember != nil && !*given.Remember}, err
}

// checked reports whether a checkbox of that value says yes.
func checked(value string) bool {
	return slices.Contains([]string{"1", "true", "on", "yes"}, strings.ToLower(value))
}

func checkCredentials(username, password string) (Credentials, error) {
	if username = strings.TrimSpace(username); username == "" || password == "" {
		return Credentials{}, &badRequestError{"Give both username and password."}
	}
	if len(username) > 320 || len(password) > 1024 {
		return Credentials{}, ErrBadCredentials
	}
	return Credentials{username, password}, nil
}

// formFailed shows the form's page again to whoever sent it.
func (h *Handler) formFailed(page http.Handler) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if h.answersJSON(r) || page == nil || ProblemOf(err).Status >= 500 {
			h.Error(w, r, err)
			return
		}
		p := h.problem(w, r, err)
		noStore(w.Header())
		retryAfter(w.Header(), p)
		r = r.WithContext(context.WithValue(r.Context(), loginProblemKey{}, &p))
		page.ServeHTTP(&statusWriter{ResponseWriter: w, status: p.Status}, r)
	}
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
	acting := suffixOf(session.FromContext(r.Context())) != ""
	if err := h.SignOut(w, r); err != nil {
		return err
	}
	switch {
	case h.answersJSON(r):
		writeJSON(w, 200, object{"success": true, "message": "Signed out", "timestamp": timestamp(h.m.Now())})
	case acting: // who is themself again
		seeOther(w, h.config.HomePath)
	default:
		seeOther(w, h.config.LoginPath)
	}
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
	t, presented, err := h.token(r, "")
	if err != nil || !presented {
		return nil // a cookie that never opened anything
	}
	err = h.checkToken(r, subject{'s', t.ID()})
	if t, presented, _ := h.token(r, actingSuffix); presented && err != nil {
		err = h.checkToken(r, subject{'s', t.ID()})
	}
	return err
}

// answersJSON: a form gets a page, JSON gets JSON.
func (h *Handler) answersJSON(r *http.Request) bool { return !isForm(r) || h.wantsJSON(r) }

func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
