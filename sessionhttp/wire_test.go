package sessionhttp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

// serverTimeout is what every stream here outlives.
const serverTimeout = time.Second

// protocols: HTTP/2 without TLS too, which needs no more than the pipe.
var protocols = func() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}()

// wire is a server in a bubble of synctest, where time passes when everybody waits,
// and connections are pipes without a buffer.
type wire struct {
	t       *testing.T
	manager *session.Manager
	store   *fragile
	context session.Context
	token   session.Token
	accept  chan net.Conn
}

func newWire(t *testing.T, config session.Config) *wire {
	t.Helper()
	w := &wire{t: t, store: &fragile{Store: memstore.New()}, accept: make(chan net.Conn)}
	config.Logger = quietLogger
	var err error
	if w.manager, err = session.New(w.store, contractPeople, config); err != nil {
		t.Fatal(err)
	}
	h, err := sessionhttp.New(w.manager, sessionhttp.Config{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	if w.context, w.token, err = w.manager.Create(t.Context(), session.CreateRequest{UserID: "123"}); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h.Wrap(http.NotFoundHandler()), ReadTimeout: serverTimeout, WriteTimeout: serverTimeout, Protocols: protocols}
	go server.Serve(w)
	t.Cleanup(func() {
		w.manager.Close()
		server.Close()
		synctest.Wait()
	})
	return w
}

// Accept implements net.Listener.
func (w *wire) Accept() (net.Conn, error) {
	if c, ok := <-w.accept; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (w *wire) Close() error   { close(w.accept); return nil }
func (w *wire) Addr() net.Addr { return &net.IPAddr{} }

// open asks for the stream and returns the connection, of which nothing was read.
func (w *wire) open(query string, headers ...string) net.Conn {
	w.t.Helper()
	return w.ask("GET", query, headers...)
}

func (w *wire) ask(method, query string, headers ...string) net.Conn {
	w.t.Helper()
	client, server := net.Pipe()
	w.t.Cleanup(func() { client.Close() })
	w.accept <- server
	request := method + " /api/session/events" + query + " HTTP/1.1\r\nHost: localhost\r\nCookie: vedfolnir=" + w.token.Reveal() + "\r\n"
	for i := 0; i < len(headers); i += 2 {
		request += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := io.WriteString(client, request+"\r\n"); err != nil {
		w.t.Fatal(err)
	}
	return client
}

// reader reads a stream line by line.
type reader struct {
	t      *testing.T
	header http.Header
	lines  *bufio.Reader
}

func (w *wire) read(query string, headers ...string) *reader {
	w.t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(w.open(query, headers...)), nil)
	if err != nil || answer.StatusCode != 200 {
		w.t.Fatalf("%+v, %v", answer, err)
	}
	return &reader{w.t, answer.Header, bufio.NewReader(answer.Body)}
}

// block reads up to an empty line.
func (r *reader) block() (text string) {
	r.t.Helper()
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			r.t.Fatalf("the stream ended after %q: %v", text, err)
		}
		if text += line; line == "\n" {
			return text
		}
	}
}

func (r *reader) ended() bool {
	_, err := r.lines.ReadByte()
	return err == io.EOF
}

func (w *wire) subscriptions() int {
	w.t.Helper()
	synctest.Wait()
	m, err := w.manager.Metrics(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Sessions.Subscriptions
}

// Every event, byte for byte, and to the instant.
func TestTheStreamOnTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{Timeout: session.Timeout{IdleTimeout: time.Hour, ActivityWriteInterval: time.Minute}})
		id, start := w.context.Session.ID, time.Now() // midnight of 2000-01-01
		r := w.read("")
		if r.header.Get("Content-Type") != "text/event-stream" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Vary") != "Cookie" || r.header.Get("X-Accel-Buffering") != "no" || r.header.Get("Content-Length") != "" {
			t.Errorf("%v", r.header)
		}
		wantBlock := func(want string) {
			t.Helper()
			if got := r.block(); got != want {
				t.Errorf("%q\nwant\n%q", got, want)
			}
		}
		state := func(platform string, version int, now string) string {
			return fmt.Sprintf(`{"success":true,"user":{"id":123,"username":"alex","email":"alex@example.com"},"platform":%s,"session":{"session_id":"%s","created_at":"2000-01-01T00:00:00Z","last_activity":"2000-01-01T00:00:00Z","expires_at":"2000-01-03T00:00:00Z","idle_expires_at":"2000-01-01T01:01:00Z","version":%d},"stamp":"946684800.%d.1","session_type":"integrated","sync":{"enabled":true,"check_interval_seconds":2,"heartbeat_interval_seconds":30,"warning_threshold_seconds":900,"server_time":"2000-01-01T%s.000Z"},"timestamp":"2000-01-01T%[5]sZ"}`, platform, id, version, version, now)
		}
		const pixelfed = `{"id":456,"name":"My Pixelfed","type":"pixelfed","instance_url":"https://pixelfed.social","is_default":true}`
		const mastodon = `{"id":789,"name":"My Mastodon","type":"mastodon","instance_url":"https://mastodon.social","is_default":false}`
		wantBlock("event: heartbeat\ndata: {}\n\n")
		wantBlock("event: state\nid: 946684800.1.1\ndata: " + state(pixelfed, 1, "00:00:00") + "\n\n")
		wantBlock("event: heartbeat\ndata: {}\n\n")
		if waited := time.Since(start); waited != 15*time.Second {
			t.Errorf("the first heartbeat after %v", waited)
		}
		if _, err := w.manager.SwitchPlatform(t.Context(), id, "789"); err != nil {
			t.Fatal(err)
		}
		wantBlock("event: platform_switched\nid: 946684800.2.1\ndata: " + state(mastodon, 2, "00:00:15") + "\n\n")
		if _, _, err := w.manager.Create(t.Context(), session.CreateRequest{UserID: "123"}); err != nil {
			t.Fatal(err)
		}
		wantBlock("event: sessions_changed\nid: 946684800.2.2\ndata: {\"rev\":2,\"stamp\":\"946684800.2.2\"}\n\n")
		beats := func() (block string) {
			for block = r.block(); block == "event: heartbeat\ndata: {}\n\n"; {
				block = r.block()
			}
			return block
		}
		if got := beats(); got != "event: expiring\ndata: {\"seconds_left\":900,\"can_extend\":true,\"expires_at\":\"2000-01-01T01:01:00Z\"}\n\n" || time.Since(start) != 46*time.Minute {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		if got := beats(); got != fmt.Sprintf("event: ended\ndata: {\"ended_at\":\"2000-01-01T01:01:00Z\",\"error\":\"Your session expired today at 01:01 UTC, after a long time without activity. Please sign in again.\",\"error_code\":\"SESSION_EXPIRED\",\"reason\":\"idle_timeout\",\"session_id\":\"%s\"}\n\n", id) || time.Since(start) != 61*time.Minute {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		if !r.ended() || w.subscriptions() != 0 {
			t.Error("the stream goes on after the end")
		}
	})
}

func TestTheStreamOutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		start := time.Now()
		r := w.read("")
		r.block()
		r.block()
		<-time.After(5 * serverTimeout)
		if _, err := w.manager.SwitchPlatform(t.Context(), w.context.Session.ID, "789"); err != nil {
			t.Fatal(err)
		}
		if got := r.block(); !strings.HasPrefix(got, "event: platform_switched\n") || time.Since(start) != 5*serverTimeout {
			t.Errorf("%q after %v", got, time.Since(start))
		}
	})
}

// HTTP/2 resets a stream whose deadline passes, also while nothing is written.
func TestTheStreamOverHTTP2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		var http2 http.Protocols
		http2.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: &http2, DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			w.accept <- server
			return client, nil
		}}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost/api/session/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cookie", "vedfolnir="+w.token.Reveal())
		answer, err := transport.RoundTrip(request)
		if err != nil || answer.ProtoMajor != 2 {
			t.Fatalf("%+v, %v", answer, err)
		}
		defer answer.Body.Close()
		r := &reader{t, answer.Header, bufio.NewReader(answer.Body)}
		r.block()
		r.block()
		for range 10 {
			if got := r.block(); got != "event: heartbeat\ndata: {}\n\n" {
				t.Errorf("%q", got)
			}
		}
		if err := w.manager.Revoke(t.Context(), w.context.Session.ID, session.SignedOut, "123"); err != nil {
			t.Fatal(err)
		}
		if got := r.block(); !strings.HasPrefix(got, "event: ended\n") || !r.ended() {
			t.Errorf("%q", got)
		}
	})
}

// HEAD asks what there is and stays for none of it.
func TestTheHeadOfAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		answer, err := http.ReadResponse(bufio.NewReader(w.ask("HEAD", "")), &http.Request{Method: "HEAD"})
		if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || w.subscriptions() != 0 {
			t.Errorf("%+v, %v, %d subscriptions", answer, err, w.subscriptions())
		}
	})
}

// The reader is told its state unless it has it already, of this very session.
func TestWhatAReaderHasSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		stamp, handle := "946684800.1.1", w.context.Session.ID.String()
		for _, test := range []struct {
			name, query, header string
			told                bool
		}{
			{"nothing", "", "", true},
			{"by the header", "", stamp, false},
			{"by the address", "?last_event_id=" + stamp, "", false},
			{"by the address, with the handle", "?last_event_id=" + handle + "." + stamp, "", false},
			{"an older state", "", "946684800.0.1", true},
			{"a newer state: this store has lost history", "", "946684801.1.1", true},
			{"of another session", "?last_event_id=" + strings.Repeat("0", 32) + "." + stamp, "", true},
			{"the header is newer than the address", "?last_event_id=" + handle + ".946684800.0.1", stamp, false},
			{"nonsense", "?last_event_id=%00%ff", "", true},
			{"almost a stamp", "", stamp + ".1", true},
		} {
			headers := []string{}
			if test.header != "" {
				headers = []string{"Last-Event-ID", test.header}
			}
			r := w.read(test.query, headers...)
			r.block()
			if told := strings.HasPrefix(r.block(), "event: state\n"); told != test.told {
				t.Errorf("%s: told is %v", test.name, told)
			}
		}
	})
}

// A reader that does not read is dropped at the deadline of the first write that it
// leaves waiting, and holds nothing up.
func TestAReaderThatDoesNotReadIsDroppedAfterTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		w.open("")
		awake := w.read("")
		awake.block()
		if awake.block(); w.subscriptions() != 2 {
			t.Errorf("%d subscriptions", w.subscriptions())
		}
		if _, err := w.manager.SwitchPlatform(t.Context(), w.context.Session.ID, "789"); err != nil {
			t.Fatal(err)
		}
		if got := awake.block(); !strings.HasPrefix(got, "event: platform_switched\n") {
			t.Errorf("%q", got)
		}
		<-time.After(10*time.Second - 1)
		if n := w.subscriptions(); n != 2 {
			t.Errorf("%d subscriptions a moment before", n)
		}
		<-time.After(time.Second)
		if n := w.subscriptions(); n != 1 {
			t.Errorf("%d subscriptions after the deadline", n)
		}
	})
}

// A store that does not answer ends no stream and tells nobody that they are signed
// out; what happened meanwhile is told afterwards.
func TestLesson37_TheStreamOutlivesAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, noLease)
		r := w.read("")
		r.block()
		r.block()
		w.store.down.Store(true)
		if err := w.manager.DirectoryChanged(t.Context(), "123"); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if got := r.block(); got != "event: heartbeat\ndata: {}\n\n" {
				t.Errorf("%q", got)
			}
		}
		w.store.mend()
		if got := r.block(); !strings.HasPrefix(got, "event: sessions_changed\n") {
			t.Errorf("%q", got)
		}
		if err := w.manager.Revoke(t.Context(), w.context.Session.ID, session.RevokedByAdmin, "kim"); err != nil {
			t.Fatal(err)
		}
		if got := r.block(); !strings.Contains(got, `"error_code":"SESSION_ENDED","reason":"revoked_by_admin"`) || !r.ended() {
			t.Errorf("%q", got)
		}
	})
}

// A manager that closes lets its streams go at once, spread out.
func TestStreamsEndWhenTheManagerCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		r := w.read("")
		r.block()
		r.block()
		start := time.Now()
		go w.manager.Close()
		got := r.block()
		var after int
		if n, err := fmt.Sscanf(got, "retry: %d\n\n", &after); n != 1 || err != nil || after < 200 || after >= 1000 {
			t.Errorf("%q", got)
		}
		if !r.ended() || time.Since(start) > time.Second {
			t.Errorf("still open after %v", time.Since(start))
		}
	})
}

// What becomes of one person is told to nobody else, and a stream is no activity.
func TestAStreamTellsOfItsOwnPersonAndIsNoActivity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		r := w.read("")
		r.block()
		r.block()
		for _, user := range []session.UserID{"124", "124"} {
			if _, _, err := w.manager.Create(t.Context(), session.CreateRequest{UserID: user}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.manager.RevokeUser(t.Context(), "124", session.RevokedByAdmin, "kim"); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			if got := r.block(); got != "event: heartbeat\ndata: {}\n\n" {
				t.Errorf("%q", got)
			}
		}
		now, err := w.manager.Get(t.Context(), w.context.Session.ID)
		if err != nil || !now.Session.LastActivity.Equal(w.context.Session.LastActivity) {
			t.Errorf("%v, %v", now.Session.LastActivity, err)
		}
	})
}

// A place that a stream held is free when its reader has gone.
func TestAStreamThatClosesMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t, session.Config{})
		var open []net.Conn
		for range 32 {
			c := w.open("")
			go io.Copy(io.Discard, c)
			open = append(open, c)
		}
		synctest.Wait()
		refused := func() bool {
			answer, err := http.ReadResponse(bufio.NewReader(w.open("")), nil)
			if err != nil {
				t.Fatal(err)
			}
			return answer.StatusCode == 429 && answer.Header.Get("Retry-After") == "10"
		}
		if !refused() {
			t.Error("a 33rd stream is served")
		}
		open[0].Close()
		if w.subscriptions() != 31 || refused() {
			t.Error("the place of one that has gone is not free")
		}
	})
}
