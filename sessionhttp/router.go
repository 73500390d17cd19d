package sessionhttp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Route is one route that the package serves itself, as [Handler.Routes] lists it.
type Route struct {
	// Method of the request; GET answers HEAD too. Any other is 405.
	Method string
	// Path is a pattern of [http.ServeMux]: "/api/sessions/{handle}".
	Path string
	// Changes: it changes something, so that a request from another origin, or
	// without the CSRF token of its login, is refused.
	Changes bool
	// Public: it is served without a session too.
	Public bool
}

// Routes lists every route that [Handler.Wrap] serves beside the application's
// own, in no order: for tests that go through all of them.
func (h *Handler) Routes() (list []Route) {
	for _, e := range apiTable.all {
		list = append(list, Route{e.method, h.config.BasePath + e.path, e.changes, e.public})
	}
	for path := range h.scripts() {
		list = append(list, Route{Method: http.MethodGet, Path: path, Public: true})
	}
	if h.config.ReauthPage != nil {
		list = append(list, Route{Method: http.MethodGet, Path: h.config.ReauthPath}, Route{http.MethodPost, h.config.ReauthPath, true, false})
	}
	if h.config.Login == nil {
		return list
	}
	if h.config.LoginPage != nil {
		list = append(list, Route{Method: http.MethodGet, Path: h.config.LoginPath, Public: true})
	}
	return append(list,
		Route{http.MethodPost, h.config.LoginPath, true, true},
		Route{http.MethodPost, h.config.LogoutPath, true, true})
}

// endpoint is one method of one route of the API. It is made by reads, asks and
// changes alone, so that none that changes something is without its checks.
type endpoint struct {
	method  string
	path    string // below the base path; the last segment may be a {name}
	serve   func(*Handler, http.ResponseWriter, *call) error
	changes bool // needs the CSRF token, and always a session
	public  bool // also without a session
	act     bool // is something a person does
	ends    bool // ends other sessions: see Config.RecentToEnd
}

// reads declares a route that only shows.
func reads(path string, serve func(*Handler, http.ResponseWriter, *call) error) endpoint {
	return endpoint{method: http.MethodGet, path: path, serve: serve}
}

// asks declares a POST that changes nothing and needs no token, as the
// specification has it. From another origin it is refused all the same.
func asks(path string, serve func(*Handler, http.ResponseWriter, *call) error) endpoint {
	return endpoint{method: http.MethodPost, path: path, serve: serve}
}

// changes declares a route by which a person changes something.
func changes(method, path string, serve func(*Handler, http.ResponseWriter, *call) error) endpoint {
	return endpoint{method: method, path: path, serve: serve, changes: true, act: true}
}

// signedOut serves it without a session too.
func (e endpoint) signedOut() endpoint { e.public = true; return e }

// ending ends other sessions.
func (e endpoint) ending() endpoint { e.ends = true; return e }

// unattended: a page does it by itself, so that it is no activity.
func (e endpoint) unattended() endpoint { e.act = false; return e }

// table finds endpoints by path.
type table struct {
	all    []endpoint
	byPath map[string]map[string]endpoint // a key that ends in "/" takes one more segment
}

// newTable panics if a route is declared in a way that would leave it without its
// checks, or twice: the program does not start then.
func newTable(endpoints ...endpoint) table {
	t := table{all: endpoints, byPath: map[string]map[string]endpoint{}}
	for _, e := range endpoints {
		key, name, _ := strings.Cut(e.path, "{")
		switch {
		case !strings.HasPrefix(e.path, "/") || (name == "") != !strings.HasSuffix(key, "/") || strings.Count(e.path, "{") > 1:
			panic(fmt.Sprintf("sessionhttp: %s is no path, with or without a last {segment}", e.path))
		case e.changes && !isUnsafe(e.method):
			panic(fmt.Sprintf("sessionhttp: %s %s changes something, and browsers send %s without being asked", e.method, e.path, e.method))
		case e.changes && e.public:
			panic(fmt.Sprintf("sessionhttp: %s %s changes something for people of whom nothing is known", e.method, e.path))
		case t.byPath[key][e.method].serve != nil:
			panic(fmt.Sprintf("sessionhttp: %s %s is declared twice", e.method, e.path))
		case t.byPath[key] == nil:
			t.byPath[key] = map[string]endpoint{}
		}
		t.byPath[key][e.method] = e
	}
	return t
}

// find the endpoints of a path below the base path.
func (t table) find(path string) (methods map[string]endpoint, param string) {
	if methods = t.byPath[path]; methods != nil && !strings.HasSuffix(path, "/") {
		return methods, ""
	}
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 || slash == len(path)-1 {
		return nil, ""
	}
	param, err := url.PathUnescape(path[slash+1:])
	if err != nil {
		return nil, ""
	}
	return t.byPath[path[:slash+1]], param
}

func allowed(methods map[string]endpoint) string {
	var names []string
	for name := range methods {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// door is a form's target that changes something, for somebody signed out too: it
// cannot be made without a check of the token. Where it came from the middleware
// has checked.
func door(check func(*http.Request) error, serve func(http.ResponseWriter, *http.Request) error, failed func(http.ResponseWriter, *http.Request, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := check(r)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			failed(w, r, err)
		}
	}
}

// RequireToken refuses an unsafe request without the CSRF token of its login, or,
// from somebody signed out, of the browser that [Handler.CSRFToken] made it for:
// for forms that need no session, such as an application's own sign-in. Behind a
// session the middleware has asked for it already.
func (h *Handler) RequireToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUnsafe(r.Method) {
			if err := h.checkLoginToken(r); err != nil {
				h.Error(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
