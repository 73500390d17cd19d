package sessionhttp_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
)

// A whole application: the package serves sign-in, sign-out, the JSON API and the
// browser client, and the application its pages.
func Example() {
	manager, err := session.New(memstore.New(), exampleDirectory, session.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	h, err := sessionhttp.New(manager, sessionhttp.Config{
		Login: func(ctx context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
			if c.Username != "alex" || c.Password != "correct horse" { // ask your own table, for a hash
				return session.CreateRequest{}, sessionhttp.ErrBadCredentials
			}
			return session.CreateRequest{UserID: "1"}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /queue", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := session.FromContext(r.Context())
		fmt.Fprintf(w, "%s acts as %s", c.User().Username, c.Platform().Name)
	})))
	server := h.Wrap(mux) // http.ListenAndServe("127.0.0.1:8080", h.Wrap(mux))

	browser := newBrowser(server)
	fmt.Println(browser.get("/queue"))
	fmt.Println(browser.post("/login", `{"username":"alex","password":"correct horse"}`))
	fmt.Println(browser.get("/queue"))
	// Output:
	// 303 /login?next=%2Fqueue
	// 200
	// 200 alex acts as My Pixelfed
}

// A route that posts in a platform's name has to be told which by the request
// itself. The common mistake is RequirePlatform: it follows the session, and a tab
// that has not heard of a switch yet then posts as something it does not show.
func ExampleHandler_RequireStatedPlatform() {
	h, end := exampleHandler()
	defer end()
	publish := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "published as %s", session.FromContext(r.Context()).Platform().Name)
	})
	mux := http.NewServeMux()
	mux.Handle("POST /mistake", h.RequirePlatform(publish))
	mux.Handle("POST /publish", h.RequireStatedPlatform(publish))

	// Two tabs show My Pixelfed (11); in one of them the person switches.
	browser := newBrowser(h.Wrap(mux)).signIn(h, "1")
	browser.post("/api/switch_platform/12", "")

	fmt.Println("the other tab:", browser.post("/mistake", ""))
	fmt.Println("the other tab:", browser.post("/publish", ""))
	fmt.Println("the other tab:", browser.post("/publish", "", "X-Platform-Id", "11"))
	// Output:
	// the other tab: 200 published as My Mastodon
	// the other tab: 409 PLATFORM_UNSTATED
	// the other tab: 200 published as My Pixelfed
}

// An application that has its own way of signing in calls SignIn once it knows who
// that is: here after a provider's callback.
func ExampleHandler_SignIn() {
	h, end := exampleHandler()
	defer end()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		c, err := h.SignIn(w, r, "1") // whom the provider named
		if err != nil {
			h.Error(w, r, err) // 503 if the store is down, 409 at the limit of sessions
			return
		}
		fmt.Fprintf(w, "welcome, %s", c.User().Username)
	})
	browser := newBrowser(h.Wrap(mux))
	fmt.Println(browser.get("/callback"))
	fmt.Println(browser.cookie)
	// Output:
	// 200 welcome, alex
	// __Host-vedfolnir
}

// After a change of password the other sessions end and this one gets a new token.
func ExampleHandler_Rotate() {
	h, end := exampleHandler()
	defer end()
	mux := http.NewServeMux()
	mux.Handle("POST /password", h.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The application has checked the old password and stored the new one.
		c, err := h.Rotate(w, r)
		if err == nil {
			_, err = h.Manager().RevokeOthers(r.Context(), c.Session.UserID, c.Session.ID, session.CredentialChanged, string(c.Session.UserID))
		}
		if err != nil {
			h.Error(w, r, err)
		}
	})))
	served := h.Wrap(mux)
	desk, phone := newBrowser(served).signIn(h, "1"), newBrowser(served).signIn(h, "1")
	fmt.Println("the desk's change:", desk.post("/password", ""))
	fmt.Println("the desk:", desk.get("/api/csrf"))
	fmt.Println("the phone:", phone.get("/api/session_state"))
	// Output:
	// the desk's change: 200
	// the desk: 200
	// the phone: 401 SESSION_ENDED
}

// What is sensitive asks for a proof of who it is that is not too old, and then is done.
// (The browser client asks in a dialog, and sends the request again.)
func ExampleHandler_RequireRecent() {
	clock := sessiontest.NewClock()
	m, err := session.New(memstore.New(), exampleDirectory, session.Config{Logger: slog.New(slog.DiscardHandler), Now: clock.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	h, err := sessionhttp.New(m, sessionhttp.Config{Login: func(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
		if c.Username != "alex" || c.Password != "correct horse" {
			return session.CreateRequest{}, sessionhttp.ErrBadCredentials
		}
		return session.CreateRequest{UserID: "1"}, nil
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("POST /pay", h.RequireRecent(10*time.Minute, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "paid")
	})))
	desk := newBrowser(h.Wrap(mux)).signIn(h, "1")
	clock.Advance(time.Hour)
	fmt.Println(desk.post("/pay", ""))
	fmt.Println(desk.post("/api/session/reauth", `{"password":"wrong"}`))
	fmt.Println(desk.post("/api/session/reauth", `{"password":"correct horse"}`))
	fmt.Println(desk.post("/pay", ""))
	// Output:
	// 403 REAUTH_REQUIRED
	// 401 INVALID_CREDENTIALS
	// 200
	// 200 paid
}

// A page follows its session with the two lines of Head, and a plain form carries
// the token in a field.
func ExampleHandler_Head() {
	h, end := exampleHandler()
	defer end()
	page := template.Must(template.New("").Parse(`<!doctype html>{{.Head}}
<form method="post" action="/logout"><input type="hidden" name="csrf_token" value="{{.Token}}"><button>Sign out</button></form>`))
	served := h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, map[string]any{"Head": h.Head(w, r), "Token": h.CSRFToken(w, r)})
	}))
	answer := newBrowser(served).get("/")
	fmt.Println(strings.Contains(answer, `<meta name="csrf-token" content="`), strings.Contains(answer, `data-auto defer></script>`))
	// Output: true true
}

// A path that comes from the address bar is followed only if it stays here.
func ExampleSafeNext() {
	fmt.Printf("%q\n", sessionhttp.SafeNext("/queue?page=2"))
	fmt.Printf("%q\n", sessionhttp.SafeNext("https://evil.example/"))
	fmt.Printf("%q\n", sessionhttp.SafeNext("//evil.example/"))
	fmt.Printf("%q\n", sessionhttp.SafeNext(`/\evil.example/`))
	// Output:
	// "/queue?page=2"
	// ""
	// ""
	// ""
}

// A limit of the application's own: the person is told when to try again.
func ExampleRateLimitedError() {
	var err error = &sessionhttp.RateLimitedError{RetryAfter: 90 * time.Second}
	var limited *sessionhttp.RateLimitedError
	fmt.Println(err, errors.As(err, &limited))
	// Output: too many attempts: try again in 1m30s true
}
