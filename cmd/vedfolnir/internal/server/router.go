package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/vedfolnir/session/sessionhttp"
)

// who may ask for a route.
type who int

const (
	everybody     who = iota // and all get the same: no cookie is looked at
	visitor                  // signed in or not
	person                   // who is signed in
	administrator            // who is one just now
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
		{"GET", "/{$}", person, a.home},
		{"POST", "/switch", person, a.switchPlatform},
		{"POST", "/sessions/{id}/end", person, a.endSession},
		{"POST", "/sessions/end-others", person, a.endOthers},
		{"GET", "/password", person, a.showPassword},
		{"POST", "/password", person, a.changePassword},
		{"GET", safetyPath, person, a.showSafety},
		{"POST", safetyPath + "/seen/{id}", person, a.seen},
		{"GET", "/api/safety", person, a.safety},
		{"POST", "/api/safety/seen/{id}", person, a.safetySeen},
		{"GET", exportPath, person, a.export},
		{"GET", "/api/admin/metrics", administrator, a.showMetrics},
	}
	for _, path := range a.pages.Assets().Paths() {
		routes = append(routes, route{"GET", path, everybody, a.pages.Assets().ServeHTTP})
	}
	if a.first != nil {
		routes = append(routes,
			route{"GET", firstStartPath, visitor, a.showFirstStart},
			route{"POST", firstStartPath, visitor, a.makeFirst})
	}
	return routes
}

// router serves the routes of a table: those for everybody by their path, and all
// others behind the session handler.
type router struct {
	fixed map[string]http.HandlerFunc
	pages *http.ServeMux
}

// newRouter gives each route the checks that it needs: the session handler refuses
// what comes from another origin, and here the token is demanded of all that is
// not a GET. A route that would be without them is an error.
func (a *App) newRouter(routes []route) (router, error) {
	r := router{map[string]http.HandlerFunc{}, http.NewServeMux()}
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
		case route.who != everybody:
			h := http.Handler(route.serve)
			if route.who == administrator {
				h = a.requireAdmin(h)
			}
			if route.who >= person {
				h = a.sessions.RequireSession(h)
			}
			if changes {
				h = a.sessions.RequireToken(h)
			}
			r.pages.Handle(name, h)
		case changes || strings.ContainsAny(route.pattern, "{}") || r.fixed[route.pattern] != nil:
			return r, fmt.Errorf("server: route %q is for everybody: it has to be a GET of a path of its own, for nobody's origin or token is looked at", name)
		default:
			r.fixed[route.pattern] = route.serve
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

// handler returns what serves the routes. It is no ServeMux at the outside, which
// would redirect unclean paths of the API.
func (r router) handler(sessions *sessionhttp.Handler) http.Handler {
	pages := sessions.Wrap(r.pages)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fixed := r.fixed[req.URL.Path]
		switch {
		case fixed == nil:
			pages.ServeHTTP(w, req)
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			plain(w, http.StatusMethodNotAllowed, "this can only be looked at\n")
		default:
			fixed(w, req)
		}
	})
}
