// Command connect is a small service on Connect: each platform of a person has a note.
package main

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"sync"

	"connectrpc.com/connect"
	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

//go:embed page.html
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

var people = map[string]session.Person{
	"alex": {User: session.User{ID: "1", Username: "alex"}, Platforms: []session.Platform{{ID: "11", Name: "My Pixelfed", IsDefault: true}, {ID: "12", Name: "My Mastodon"}}},
	"sam":  {User: session.User{ID: "2", Username: "sam"}},
}

func login(_ context.Context, c sessionhttp.Credentials) (session.CreateRequest, error) {
	if p, ok := people[c.Username]; ok && c.Password == "vedfolnir-demo" {
		return session.CreateRequest{UserID: p.User.ID}, nil
	}
	return session.CreateRequest{}, sessionhttp.ErrBadCredentials
}

// What a service of your own has in its .proto, and generates.
type (
	nothing = emptypb.Empty
	text    = wrapperspb.StringValue
)

// codes are Connect's words for what a request is refused with.
var codes = map[int]connect.Code{
	http.StatusUnauthorized: connect.CodeUnauthenticated, http.StatusForbidden: connect.CodePermissionDenied,
	http.StatusConflict: connect.CodeFailedPrecondition, http.StatusServiceUnavailable: connect.CodeUnavailable,
}

func refuse(err error) error {
	p := sessionhttp.ProblemOf(err)
	code, known := codes[p.Status]
	if !known {
		code = connect.CodeInternal
	}
	return connect.NewError(code, errors.New(p.Message))
}

// board keeps the last note of each platform.
type board struct{ notes sync.Map }

func (b *board) read(ctx context.Context, _ *connect.Request[nothing]) (*connect.Response[text], error) {
	if err := sessionhttp.CheckPlatform(ctx); err != nil {
		return nil, refuse(err)
	}
	note, _ := b.notes.Load(session.FromContext(ctx).Platform().ID)
	kept, _ := note.(string)
	return connect.NewResponse(wrapperspb.String(kept)), nil
}

func (b *board) keep(ctx context.Context, r *connect.Request[text]) (*connect.Response[nothing], error) {
	if err := sessionhttp.CheckStatedPlatform(ctx); err != nil {
		return nil, refuse(err)
	}
	b.notes.Store(session.FromContext(ctx).Platform().ID, r.Msg.GetValue())
	return connect.NewResponse(&nothing{}), nil
}

func newApp() (*sessionhttp.Handler, *http.ServeMux) {
	m, err := session.New(memstore.New(), session.StaticDirectory{people["alex"], people["sam"]}, session.Config{})
	h, mistakes := sessionhttp.New(m, sessionhttp.Config{Login: login})
	if err := errors.Join(err, mistakes); err != nil {
		log.Fatal(err)
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, map[string]any{"Head": h.Head(w, r), "Token": h.CSRFToken(w, r), "Session": session.FromContext(r.Context())})
	})
	var b board
	mux := http.NewServeMux()
	mux.Handle("GET /login", show)
	mux.Handle("GET /{$}", h.RequireSession(show))
	mux.Handle("/notes.v1.Notes/Read", connect.NewUnaryHandler("/notes.v1.Notes/Read", b.read))
	mux.Handle("/notes.v1.Notes/Keep", connect.NewUnaryHandler("/notes.v1.Notes/Keep", b.keep))
	return h, mux
}

func main() {
	h, mux := newApp()
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", h.Wrap(mux)))
}
