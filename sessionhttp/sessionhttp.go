package sessionhttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/vedfolnir/session"
)

// Config of a [Handler]. The zero value is safe and right for most: the
// application signs people in itself with [Handler.SignIn].
type Config struct {
	// Login checks what is posted to LoginPath. Nil: the application serves that
	// route itself.
	Login Login
	// LoginPage shows the sign-in form: for GET of LoginPath, and after a form
	// that failed, when [LoginProblem] says why. Used only with Login; nil: the
	// application's own handler gets GET, and failures are plain error pages.
	LoginPage http.Handler
	// Reauth checks what is given to prove anew who somebody is, by POST of
	// /api/session/reauth and of ReauthPath. Nil: name and password, by Login; without
	// that too, the routes are not there.
	Reauth Reauth
	// ReauthOptions says by what a person may prove it. Nil: by a password.
	ReauthOptions func(context.Context, *session.Context) (ReauthOptions, error)
	// ReauthPage shows the form for that to a person whose page asked for it without a
	// script: for GET of ReauthPath, and after a form that failed, when [LoginProblem]
	// says why. Nil: they see an error page.
	ReauthPage http.Handler
	// RecentToEnd is how lately a person must have proved who they are to end sessions
	// other than the one they use, by the API (ASVS 5.0, 7.5.2); 0: however long ago.
	RecentToEnd time.Duration
	// ErrorPage shows a refusal to a person. Nil: a plain page.
	ErrorPage func(http.ResponseWriter, *http.Request, Problem)

	LoginPath  string // "/login"
	LogoutPath string // "/logout"
	ReauthPath string // "/reauth"
	HomePath   string // where a form goes after signing in or out; "/"
	BasePath   string // of the JSON API; "/api"
	ScriptPath string // of the browser client; "/session-sync.js"; ".mjs" and what is loaded on demand are beside it

	// ShareBasePath hands on to the application what is below BasePath and none of
	// ours, and lets it answer for what nobody knows there. An http.ServeMux needs
	// no such word: it can be asked for what it has.
	ShareBasePath bool

	CookieName string // "vedfolnir"; with "__Host-" in front over TLS
	// SameSiteStrict sends the cookie with no navigation from another site: a
	// person who follows a link finds themselves signed out until they reload.
	SameSiteStrict bool
	// TrustedProxies may tell the client's address and protocol in
	// X-Forwarded-For and X-Forwarded-Proto. From anybody else the headers mean
	// nothing.
	TrustedProxies []netip.Prefix
	// DangerouslyAllowPlainHTTP signs people in over plain http on hosts other
	// than loopback: everybody on the way can then take their sessions.
	DangerouslyAllowPlainHTTP bool
	// ContentSecurityPolicy replaces the default, which allows nothing but the
	// origin's own files.
	ContentSecurityPolicy string
	// KnownDevices sets a second cookie at sign-in, which stays when the person signs
	// out: see [Handler.KnownDevice].
	KnownDevices bool
	// SignedIn is told of every sign-in before it is answered, with the request as it
	// came: KnownDevice says whether the browser was known then. What it has stored
	// when it returns is there before anybody holds the session's token.
	SignedIn func(*http.Request, *session.Context)
	// MaxFormBytes bounds a form that carries its CSRF token in a field; 1 MB.
	MaxFormBytes int64
	// MayImpersonate decides whether the operator may act as the person, by
	// [Handler.Impersonate]. It is asked at the beginning, with each request, and every
	// few seconds of a stream: ErrForbidden ends it. Any other error means that it could
	// not tell. Nil: nobody may.
	MayImpersonate func(ctx context.Context, operator, person session.UserID) error
	// GuestSignedIn takes over what the application wants to keep of a guest who has
	// signed in: both sessions are given, of which the guest's has ended by then and
	// the person's is about to be answered. It is called once for each guest, even if
	// two tabs sign in at once. An error does not undo the sign-in: it is logged, with
	// the guest's id, under which the application can still find what there was; and so
	// it can if the process ends in between, when nobody calls again. Nil: nothing is.
	GuestSignedIn func(ctx context.Context, guest, person *session.Context) error
	// Refused is told of every refusal that is answered, to count them. It must not
	// block.
	Refused func(*http.Request, Problem)
	// Logger gets what the client is not told. Default slog.Default().
	Logger *slog.Logger
}

// Login checks credentials. It returns who that is, in UserID, and in SignInEpoch
// what [session.Manager.SignInEpoch] said before the password was compared (0: no
// check); the rest is filled in. It returns [ErrBadCredentials] if name or
// password are wrong, without saying which.
type Login func(ctx context.Context, c Credentials) (session.CreateRequest, error)

// Credentials are what a person typed. They cannot be printed.
type Credentials struct {
	Username string // a name or an e-mail address
	Password string
}

// String redacts the password.
func (c Credentials) String() string { return c.Username + " [redacted]" }

// GoString redacts the password.
func (c Credentials) GoString() string { return c.String() }

// LogValue redacts the password.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Handler serves one manager's sessions. It is safe for concurrent use.
type Handler struct {
	m       *session.Manager
	config  Config
	csrf    csrf
	devices [][]byte // keys; none: nothing is remembered of devices
	origins *http.CrossOriginProtection
	state   stateParts
	streams streams
	headers headers
	hints   hints
}

// New returns a handler, or an error that joins a [session.ConfigError] for every
// mistake.
func New(m *session.Manager, config Config) (*Handler, error) {
	var none error
	if m == nil {
		none = mistake("manager", "is nil: make one with session.New")
	}
	if err := errors.Join(none, config.complete()); err != nil {
		return nil, fmt.Errorf("sessionhttp: configuration:\n%w", err)
	}
	h := &Handler{
		m: m, config: config, csrf: csrf{keys: m.DeriveKeys("csrf")}, origins: http.NewCrossOriginProtection(),
		state: newStateParts(m.Config()), headers: newHeaders(config.ContentSecurityPolicy),
	}
	if config.KnownDevices {
		h.devices = m.DeriveKeys("device")
	}
	return h, nil
}

func mistake(setting, problem string, args ...any) error {
	return &session.ConfigError{Setting: setting, Problem: fmt.Sprintf(problem, args...)}
}

// complete fills in what was left to the defaults, and returns every mistake.
func (c *Config) complete() error {
	errs := c.completePaths()
	if c.Reauth == nil && c.Login != nil {
		c.Reauth = byPassword(c.Login)
	}
	if c.Reauth == nil && (c.ReauthPage != nil || c.ReauthOptions != nil) {
		errs = append(errs, mistake("Reauth", "is missing, and there is a page or options for it: give it, or Login"))
	}
	c.CookieName = cmp.Or(c.CookieName, "vedfolnir")
	if (&http.Cookie{Name: c.CookieName, Value: "x"}).Valid() != nil || strings.HasPrefix(c.CookieName, "__") {
		errs = append(errs, mistake("CookieName", "is %q: give letters, digits and hyphens; the prefix is added over TLS", c.CookieName))
	}
	if c.RecentToEnd < 0 {
		errs = append(errs, mistake("RecentToEnd", "is negative: leave it 0 to ask for no proof"))
	}
	c.MaxFormBytes = cmp.Or(c.MaxFormBytes, 1<<20)
	if c.MaxFormBytes < 0 {
		errs = append(errs, mistake("MaxFormBytes", "is negative: leave it 0 for 1 MB"))
	}
	if strings.ContainsAny(c.ContentSecurityPolicy, "\r\n") {
		errs = append(errs, mistake("ContentSecurityPolicy", "has a line break: write it in one line"))
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.TrustedProxies = normal(c.TrustedProxies)
	return errors.Join(errs...)
}

func (c *Config) completePaths() (errs []error) {
	for _, p := range []struct {
		name, standard string
		path           *string
		root           bool // may be "/"
	}{
		{"LoginPath", "/login", &c.LoginPath, true},
		{"LogoutPath", "/logout", &c.LogoutPath, false},
		{"ReauthPath", "/reauth", &c.ReauthPath, false},
		{"HomePath", "/", &c.HomePath, true},
		{"BasePath", "/api", &c.BasePath, false},
		{"ScriptPath", "/session-sync.js", &c.ScriptPath, false},
	} {
		*p.path = cmp.Or(*p.path, p.standard)
		if !(p.root && *p.path == "/") && (SafeNext(*p.path) == "" || strings.HasSuffix(*p.path, "/") || strings.ContainsAny(*p.path, "?#{}")) {
			errs = append(errs, mistake(p.name, "is %q: give a path that begins with one / and does not end with one", *p.path))
		}
	}
	if c.LoginPath == c.LogoutPath {
		errs = append(errs, mistake("LogoutPath", "is LoginPath, %q: give each its own", c.LoginPath))
	}
	if c.ReauthPath == c.LoginPath || c.ReauthPath == c.LogoutPath {
		errs = append(errs, mistake("ReauthPath", "is %q, which is another path too: give each its own", c.ReauthPath))
	}
	return errs
}

// Manager returns the manager that the handler serves.
func (h *Handler) Manager() *session.Manager { return h.m }

// Wrap serves the JSON API, the event stream, the browser client and, with
// Config.Login, sign-in and sign-out, and puts next behind the middleware. It adds
// the security headers to every answer, and turns a panic into a 500. What is below
// Config.BasePath and none of ours is 404, unless next is an http.ServeMux that has
// a route for it, or Config.ShareBasePath says that next may.
func (h *Handler) Wrap(next http.Handler) http.Handler {
	app := h.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case h.config.LoginPath:
			h.serveLogin(w, r, next)
		case h.config.LogoutPath:
			h.serveLogout(w, r, next)
		case h.config.ReauthPath:
			h.serveReauth(w, r, next)
		default:
			next.ServeHTTP(w, r)
		}
	}))
	api, scripts := h.API(), h.scripts()
	return h.SecureHeaders(h.recoverPanics(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case h.uncleanAPI(path):
			noStore(w.Header())
			vary(w.Header())
			h.writeProblem(w, h.problem(w, r, errNotFound), nil)
		case h.isAPI(r) && !h.isApplications(next, r):
			api.ServeHTTP(w, r)
		case scripts.serves(path):
			scripts.ServeHTTP(w, r)
		default:
			app.ServeHTTP(w, r)
		}
	})))
}

// uncleanAPI reports whether a path is in the API only once it is cleaned, which
// the application's ServeMux would do by a redirect.
func (h *Handler) uncleanAPI(p string) bool {
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return false
	}
	clean := path.Clean(p)
	return clean != p && (clean == h.config.BasePath || strings.HasPrefix(clean, h.config.BasePath+"/"))
}

// isApplications reports whether a path below the API's is none of ours, and the
// application has a route of its own for it, or may have one. Only a ServeMux can
// be asked.
func (h *Handler) isApplications(next http.Handler, r *http.Request) bool {
	if methods, _ := apiTable.find(strings.TrimPrefix(r.URL.EscapedPath(), h.config.BasePath)); methods != nil {
		return false
	}
	if h.config.ShareBasePath {
		return true
	}
	mux, ok := next.(*http.ServeMux)
	if !ok {
		return false
	}
	_, pattern := mux.Handler(r)
	slash := strings.IndexByte(pattern, '/') // a method and a host may stand before it
	return slash >= 0 && strings.HasPrefix(pattern[slash:], h.config.BasePath+"/")
}

// Head returns what a page's head needs to follow the session: the script tag of
// the browser client and the CSRF token. For somebody signed out it may set the
// pre-login cookie, so call it before the body is written.
func (h *Handler) Head(w http.ResponseWriter, r *http.Request) template.HTML {
	return template.HTML(`<meta name="csrf-token" content="` + h.CSRFToken(w, r) + `">` + "\n" +
		`<script src="` + template.HTMLEscapeString(h.ScriptURL()) + `" data-auto defer></script>`)
}

// SafeNext returns next if it is a path on this origin, with its query, and ""
// otherwise: //host, /\host and anything a browser would read so is refused.
func SafeNext(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || len(next) > 2048 {
		return ""
	}
	for _, c := range next {
		if c <= ' ' || c == '\\' || c == 0x7f {
			return "" // browsers drop some of these and read others as a slash
		}
	}
	return next
}
