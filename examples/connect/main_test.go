package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/vedfolnir/session/sessionhttp"
	"github.com/vedfolnir/session/sessiontest"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestClickThrough(t *testing.T) {
	h, mux := newApp()
	tab := sessiontest.NewClient(t, h.Wrap(mux))
	if got := tab.Open("/").Want(303).Header.Get("Location"); got != "/login" {
		t.Errorf("signed out, the page leads to %q", got)
	}
	tab.Open("/login").Want(200)
	tab.Post("/notes.v1.Notes/Read", struct{}{}).Want(401)
	tab.PostForm("/login", url.Values{"username": {"alex"}, "password": {"wrong"}}).Want(401)
	tab.SignIn("alex")
	if body := tab.Open("/").Want(200).Body; !strings.Contains(body, ">alex</span> acts as <strong data-session-platform>My Pixelfed<") {
		t.Errorf("the page:\n%s", body)
	}

	if got := tab.Post("/notes.v1.Notes/Keep", "x").Want(400).Field("code"); got != "failed_precondition" {
		t.Errorf("unstated: %v", got)
	}
	tab.Acting("11").Post("/notes.v1.Notes/Keep", "buy film").Want(200)
	other := tab.Events("")
	other.Await("state")
	tab.SwitchPlatform("12")
	other.Await("platform_switched")
	if got := tab.Post("/notes.v1.Notes/Read", struct{}{}).Want(200).Body; got != `""` {
		t.Errorf("the note on My Mastodon is %s", got)
	}
	if got := tab.Acting("11").Post("/notes.v1.Notes/Read", struct{}{}).Want(200).Body; got != `"buy film"` {
		t.Errorf("the note on My Pixelfed is %s", got)
	}

	tab.SignOut()
	other.Await("ended")
	if got := tab.Post("/notes.v1.Notes/Read", struct{}{}).Want(401).Field("code"); got != "unauthenticated" {
		t.Errorf("signed out: %v", got)
	}
	if got := tab.SignIn("sam").Post("/notes.v1.Notes/Read", struct{}{}).Want(403).Field("code"); got != "permission_denied" {
		t.Errorf("without a platform: %v", got)
	}
}

// What is refused before Connect is asked, its clients understand too.
func TestConnectsOwnClientAndStream(t *testing.T) {
	h, mux := newApp()
	mux.Handle("/notes.v1.Notes/Follow", connect.NewServerStreamHandler("/notes.v1.Notes/Follow",
		func(ctx context.Context, _ *connect.Request[nothing], s *connect.ServerStream[text]) error {
			if err := sessionhttp.CheckPlatform(ctx); err != nil {
				return refuse(err)
			}
			for _, note := range []string{"one", "two"} {
				if err := s.Send(wrapperspb.String(note)); err != nil {
					return err
				}
			}
			return nil
		}))
	tab := sessiontest.NewClient(t, h.Wrap(mux))
	follow := connect.NewClient[nothing, text](&http.Client{Transport: browser{tab}}, tab.URL+"/notes.v1.Notes/Follow")
	notes := func(platform string) (got string, err error) {
		request := connect.NewRequest(&nothing{})
		request.Header().Set("X-Platform-Id", platform)
		stream, err := follow.CallServerStream(t.Context(), request)
		if err != nil {
			return "", err
		}
		defer stream.Close()
		for stream.Receive() {
			got += stream.Msg().GetValue() + " "
		}
		return got, stream.Err()
	}
	if _, err := notes(""); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("signed out: %v", err)
	}
	tab.SignIn("alex")
	if _, err := notes("99"); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("as another's platform: %v", err)
	}
	if got, err := notes("11"); got != "one two " || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAPanicIsAnswered(t *testing.T) {
	h, mux := newApp()
	mux.Handle("/notes.v1.Notes/Panic", connect.NewUnaryHandler("/notes.v1.Notes/Panic",
		func(context.Context, *connect.Request[nothing]) (*connect.Response[text], error) { panic("boom") }))
	tab := sessiontest.NewClient(t, h.Wrap(mux)).SignIn("alex")
	tab.Post("/notes.v1.Notes/Panic", struct{}{}).Want(500)
	tab.Open("/").Want(200)
}

// browser sends what Connect's client asks as the tab would, with its cookies and
// its token.
type browser struct{ tab *sessiontest.Client }

func (b browser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-CSRFToken", b.tab.CSRFToken())
	answer := b.tab.Do(r)
	return &http.Response{
		StatusCode: answer.Status, Header: answer.Header, Body: io.NopCloser(strings.NewReader(answer.Body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}
