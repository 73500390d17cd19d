package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/sessionhttp"
)

// who may ask for a route.
type who int

const (
	everybody     who = iota // and all get the same: no cookie is looked at
	visitor                  // signed in or not
	acting                   // who is signed in, or an operator who acts as them
	person                   // who is signed in, themself
	administrator            // who is one just now
	// machine is another server, which comes with no cookie and from no page, and signs
	// what it sends: the route itself checks that, and nothing else does.
	machine
)

// route is one thing that the server serves beside the session handler's own.
type route struct {
	method  string // GET shows, and answers HEAD too; any other changes something
	pattern string // of http.ServeMux; for everybody it is a path
	who     who
	serve   http.HandlerFunc
}

// table is everything that the server serves beside the session handler's own.
// What a route's method and who may ask for it demand, the router adds.
func (a *App) table() []route {
	routes := []route{
		{"GET", "/livez", everybody, a.live},
		{"GET", "/readyz", everybody, a.ready},
		{"GET", "/api/arrival", visitor, a.arrival},
		{"GET", "/{$}", acting, a.home},
		{"POST", "/switch", acting, a.switchPlatform},
		{"POST", "/sessions/{id}/end", person, a.recently(a.endSession)},
		{"POST", "/sessions/end-others", person, a.recently(a.endOthers)},
		{"GET", "/password", person, a.showPassword},
		{"POST", "/password", person, a.changePassword},
		{"GET", passkeysPath, person, a.showPasskeys},
		{"POST", passkeysPath + "/rename", person, a.recently(a.renamePasskey)},
		{"POST", passkeysPath + "/remove", person, a.recently(a.removePasskey)},
		{"POST", "/api/passkeys/options", person, a.recently(a.registerOptions)},
		{"POST", "/api/passkeys", person, a.recently(a.register)},
		{"POST", "/api/passkeys/sign_in/options", visitor, a.signInOptions},
		{"POST", "/api/passkeys/sign_in", visitor, a.signInByPasskey},
		{"POST", "/recovery-codes", person, a.recently(a.makeRecoveryCodes)},
		{"GET", recoverPath, visitor, a.showRecover},
		{"POST", recoverPath, visitor, a.recover},
		{"GET", safetyPath, person, a.showSafety},
		{"POST", safetyPath + "/seen/{id}", person, a.seen},
		{"GET", "/api/safety", person, a.safety},
		{"POST", "/api/safety/seen/{id}", person, a.safetySeen},
		{"GET", exportPath, person, a.recently(a.export)},
		{"GET", "/api/admin/metrics", administrator, a.showMetrics},
		{"POST", "/api/admin/impersonate/{id}", administrator, a.recently(a.actAsByAPI)},
		{"GET", peoplePath, administrator, a.showPeople},
		{"POST", peoplePath + "/{id}/act-as", administrator, a.recently(a.actAsByForm)},
	}
	for _, path := range a.pages.Assets().Paths() {
		routes = append(routes, route{"GET", path, everybody, a.pages.Assets().ServeHTTP})
	}
	if a.provider != nil {
		routes = append(routes,
			route{"POST", "/openid/sign-in", visitor, a.signInThere},
			route{"POST", "/openid/prove", person, a.proveThere},
			route{"POST", "/openid/link", person, a.recently(a.linkThere)},
			route{"POST", "/openid/unlink", person, a.recently(a.unlink)},
			route{"GET", config.OpenIDCallbackPath, visitor, a.back}, // and makes a session: see there
			route{"POST", config.OpenIDLogoutPath, machine, a.signedOutThere})
	}
	if a.first != nil {
		routes = append(routes,
			route{"GET", firstStartPath, visitor, a.showFirstStart},
			route{"POST", firstStartPath, visitor, a.makeFirst})
	}
	return routes
}

// router serves the routes of a table: those for everybody and for machines by their
// path, and all others behind the session handler.
type router struct {
	fixed map[string]route
	pages *http.ServeMux
}

// newRouter gives each route the checks that it needs: the session handler refuses
// what comes from another origin, and here the token is demanded of all that is
// not a GET. A route that would be without them is an error.
func (a *App) newRouter(routes []route) (router, error) {
	r := router{map[string]route{}, http.NewServeMux()}
	own := a.sessions.Routes()
	for _, route := range routes {
		name := route.method + " " + route.pattern
		changes := route.method != http.MethodGet
		taken := func(o sessionhttp.Route) bool { return o.Path == route.pattern && o.Method == route.method }
		switch {
		case slices.Contains([]string{"", http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect}, route.method):
			return r, fmt.Errorf("server: route %q: declare GET for what shows, and POST, PUT, PATCH or DELETE for what changes something", name)
		case slices.ContainsFunc(own, taken):
			return r, fmt.Errorf("server: route %q is the session handler's own", name)
		case route.who != everybody && route.who != machine:
			h := http.Handler(route.serve)
			if route.who == administrator {
				h = a.requireAdmin(h)
			}
			if route.who >= person {
				h = a.sessions.RequireOwner(h)
			}
			if changes {
				h = a.sessions.RequireToken(h)
			}
			if route.who >= acting { // first: whose session has ended is told so, and not that their page is old
				h = a.sessions.RequireSession(h)
			}
			r.pages.Handle(name, h)
		case strings.ContainsAny(route.pattern, "{}") || r.fixed[route.pattern].serve != nil:
			return r, fmt.Errorf("server: route %q is behind no session: it has to have a path of its own", name)
		case changes && route.who == everybody:
			return r, fmt.Errorf("server: route %q is for everybody: it has to be a GET, for nobody's origin or token is looked at", name)
		case route.who == machine:
			if route.method != http.MethodPost {
				return r, fmt.Errorf("server: route %q is for machines: it has to be a POST", name)
			}
			route.serve = fromMachine(route.serve)
			r.fixed[route.pattern] = route
		default:
			r.fixed[route.pattern] = route
		}
	}
	r.pages.HandleFunc("/", a.nothingHere)
	return r, nil
}

// requireAdmin asks the directory: a role that was taken away counts at once.
func (a *App) requireAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.mustBeAdmin(r); err != nil {
			a.sessions.Error(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// maxMachine is how much a machine may send, in bytes.
const maxMachine = 64 << 10

// fromMachine has a route see of a machine what it sends, and nothing that a browser
// could have added: a cookie opens nothing here.
func fromMachine(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		r.Body = http.MaxBytesReader(w, r.Body, maxMachine)
		w.Header().Set("Cache-Control", "no-store")
		next(w, r)
	}
}

// handler returns what serves the routes. It is no ServeMux at the outside, which
// would redirect unclean paths of the API.
func (r router) handler(sessions *sessionhttp.Handler) http.Handler {
	pages := sessions.Wrap(r.pages)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fixed, there := r.fixed[req.URL.Path]
		switch {
		case !there:
			pages.ServeHTTP(w, req)
		case req.Method == fixed.method, req.Method == http.MethodHead && fixed.method == http.MethodGet:
			fixed.serve(w, req)
		case fixed.method == http.MethodGet:
			w.Header().Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "this can only be looked at\n")
		default:
			w.Header().Set("Allow", fixed.method)
			plain(w, http.StatusMethodNotAllowed, "this is for machines\n")
		}
	})
}
