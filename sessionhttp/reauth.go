package sessionhttp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/assurance"
)

// Reauth checks what somebody gives to prove anew who they are, in the session that
// they have. It answers as a [Login] does, with who that is and, in Level, how
// surely; the rest is not looked at unless that is another person. It returns
// [ErrBadCredentials] if what was given proves nothing.
type Reauth func(ctx context.Context, c *session.Context, given ReauthProof) (session.CreateRequest, error)

// ReauthProof is what somebody gives: name and password, or a passkey's answer. It
// cannot be printed.
type ReauthProof struct {
	Credentials                 // the Username is the person's own if they gave none
	Passkey     json.RawMessage // an AuthenticationResponseJSON of W3C WebAuthn; nil: none
}

// String redacts it all but the name.
func (p ReauthProof) String() string { return p.Credentials.String() }

// GoString redacts it as String does.
func (p ReauthProof) GoString() string { return p.String() }

// LogValue redacts it as String does.
func (p ReauthProof) LogValue() slog.Value { return p.Credentials.LogValue() }

// ReauthOptions say how a person may prove anew who they are.
type ReauthOptions struct {
	Methods []string        // "password", "passkey", the best first
	Passkey json.RawMessage // a PublicKeyCredentialRequestOptionsJSON of W3C WebAuthn; nil: no passkey
}

// RequireRecent refuses, beyond RequireSession, whoever has not proved within age who
// they are: 403 REAUTH_REQUIRED, for which the browser client opens a dialog and then
// tries once more, or for a page a redirect to Config.ReauthPath. It asks the store
// each time. An age of 0 or less lets nobody through.
func (h *Handler) RequireRecent(age time.Duration, next http.Handler) http.Handler {
	return h.require(next, func(ctx context.Context) error { return CheckRecent(ctx, age) })
}

// RequireLevel refuses in the same way whoever has not proved at that level who they
// are.
func (h *Handler) RequireLevel(level session.Level, next http.Handler) http.Handler {
	return h.require(next, func(ctx context.Context) error { return CheckLevel(ctx, level) })
}

// CheckRecent is [CheckSession] for [Handler.RequireRecent].
func CheckRecent(ctx context.Context, age time.Duration) error {
	if age <= 0 {
		age = -1
	}
	return checkProof(ctx, assurance.Required{MaxAge: age})
}

// CheckLevel is [CheckSession] for [Handler.RequireLevel].
func CheckLevel(ctx context.Context, level session.Level) error {
	return checkProof(ctx, assurance.Required{Level: level})
}

func checkProof(ctx context.Context, need assurance.Required) error {
	v := visitOf(ctx)
	if v.handler == nil { // a session there may be did not come with a token
		return errSessionRequired
	}
	return v.handler.requireProof(ctx, v.request, need)
}

func (h *Handler) requireProof(ctx context.Context, r *http.Request, need assurance.Required) error {
	if err := CheckOwner(ctx); err != nil { // an operator cannot prove to be the person
		return err
	}
	token, err := h.presented(r, "")
	if err != nil {
		return err
	}
	return h.m.Require(ctx, token, need)
}

// StepUp notes that whoever req names has just proved who they are, with req.Level.
// If it is their session, that goes on with a new token, and no other comes of it. If
// it is another person's, they get a session of their own, as by SignInWith, and this
// one ends. Nothing may have been written yet. Errors: those of
// [session.Manager.StepUp] and SignInWith.
func (h *Handler) StepUp(w http.ResponseWriter, r *http.Request, req session.CreateRequest) (*session.Context, error) {
	c, _, err := h.stepUp(w, r, req)
	return c, err
}

func (h *Handler) stepUp(w http.ResponseWriter, r *http.Request, req session.CreateRequest) (*session.Context, session.Token, error) {
	held, err := h.authenticate(r)
	if err == nil && held.Session.Impersonator != "" {
		err = ErrForbidden
	}
	if err != nil {
		return nil, session.Token{}, err
	}
	if held.Session.UserID != req.UserID {
		req.Unremembered = req.Unremembered || !held.Session.Persistent // nobody was asked
		return h.signIn(w, r, req)
	}
	return h.renew(w, r, func(presented session.Token) (session.Context, session.Token, error) {
		return h.m.StepUp(r.Context(), presented, req.UserID, req.Level, h.Client(r))
	})
}

// byPassword has Login check who somebody is.
func byPassword(login Login) Reauth {
	return func(ctx context.Context, _ *session.Context, given ReauthProof) (session.CreateRequest, error) {
		if given.Passkey != nil {
			return session.CreateRequest{}, &badRequestError{"Give a password: passkeys are not known here."}
		}
		return login(ctx, given.Credentials)
	}
}

// proveAnew has the application check what was given, and notes what it came to.
func (h *Handler) proveAnew(w http.ResponseWriter, r *http.Request, c *session.Context, given ReauthProof) (*session.Context, session.Token, error) {
	if err := CheckOwner(r.Context()); err != nil {
		return nil, session.Token{}, err
	}
	if given.Passkey == nil {
		var err error
		if given.Credentials, err = checkCredentials(cmp.Or(given.Username, c.User().Username), given.Password); err != nil {
			return nil, session.Token{}, err
		}
	}
	req, err := h.config.Reauth(r.Context(), c, given)
	if err != nil {
		return nil, session.Token{}, err
	}
	return h.stepUp(w, r, req)
}

// reauthOptions tells a dialog what to offer.
func (h *Handler) reauthOptions(w http.ResponseWriter, c *call) error {
	if h.config.Reauth == nil {
		return errNotFound
	}
	if err := CheckOwner(c.r.Context()); err != nil {
		return err
	}
	options := ReauthOptions{Methods: []string{"password"}}
	if h.config.ReauthOptions != nil {
		var err error
		if options, err = h.config.ReauthOptions(c.r.Context(), c.session); err != nil {
			return err
		}
	}
	body := object{"success": true, "username": c.session.User().Username, "methods": options.Methods}
	if options.Passkey != nil {
		body["passkey"] = options.Passkey
	}
	writeJSON(w, 200, body)
	return nil
}

// reauth answers with the session as it is now, which is another one for another
// person.
func (h *Handler) reauth(w http.ResponseWriter, c *call) error {
	if h.config.Reauth == nil {
		return errNotFound
	}
	var given struct {
		Username, Password string
		Passkey            json.RawMessage
	}
	if err := c.decode(&given); err != nil {
		return err
	}
	now, token, err := h.proveAnew(w, c.r, c.session, ReauthProof{Credentials{given.Username, given.Password}, orNone(given.Passkey)})
	if err != nil {
		return err
	}
	proof, err := h.m.Proof(c.r.Context(), token)
	if err != nil {
		return err
	}
	body := append([]byte(`{"success":true,"message":"Confirmed",`), now.AppendClientView(nil)...)
	body = fmt.Appendf(body, `,"authenticated_at":%q,"level":%d}`, timestamp(proof.At), proof.Level)
	writeJSON(w, 200, json.RawMessage(body))
	return nil
}

// orNone takes null, and an empty field of a form, for what was not given.
func orNone(given json.RawMessage) json.RawMessage {
	if len(given) == 0 || string(given) == "null" {
		return nil
	}
	return given
}

// serveReauth serves ReauthPath, if the package was given a page for it.
func (h *Handler) serveReauth(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if h.config.ReauthPage == nil || r.Method != http.MethodPost && !shows(r.Method) {
		next.ServeHTTP(w, r)
		return
	}
	serve := h.config.ReauthPage
	if r.Method == http.MethodPost { // whose token the middleware has checked
		serve = door(func(r *http.Request) error { return CheckSession(r.Context()) }, h.reauthForm, h.formFailed(h.config.ReauthPage))
	}
	noStore(w.Header())
	h.RequireSession(serve).ServeHTTP(w, r)
}

// reauthForm leads back to where the proof was asked for.
func (h *Handler) reauthForm(w http.ResponseWriter, r *http.Request) error {
	given := ReauthProof{Credentials{r.PostFormValue("username"), r.PostFormValue("password")}, orNone(json.RawMessage(r.PostFormValue("passkey")))}
	if given.Passkey != nil && !json.Valid(given.Passkey) {
		return &badRequestError{"The passkey's answer is not valid JSON."}
	}
	if _, _, err := h.proveAnew(w, r, session.FromContext(r.Context()), given); err != nil {
		return err
	}
	seeOther(w, cmp.Or(SafeNext(r.PostFormValue("next")), h.config.HomePath))
	return nil
}

// redirectToReauth keeps the way back: to the page that was asked for, or the one
// whose form was sent, which then has to be filled in again.
func (h *Handler) redirectToReauth(w http.ResponseWriter, r *http.Request) {
	back := ""
	if shows(r.Method) {
		back = r.URL.RequestURI()
	} else if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
		back = from.RequestURI()
	}
	seeOther(w, h.leadingBack(h.config.ReauthPath, back))
}
