package sessionhttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessiontest"
)

func TestStreamTellsWhatBecomesOfTheSession(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	events := c.Events("")

	first := events.Await("state")
	if state := c.State(); len(first.Data) != len(strings.TrimSpace(state.Body)) || !strings.HasPrefix(first.Data, `{"success":true,"user":{"id":123,`) {
		t.Errorf("%s\nis not the state\n%s", first.Data, state.Body)
	}
	if first.ID != c.State().Field("stamp") {
		t.Errorf("id %q", first.ID)
	}
	c.SwitchPlatform("789")
	switched := events.Await("platform_switched")
	if !strings.Contains(switched.Data, `"name":"My Mastodon"`) || switched.ID != c.State().Field("stamp") {
		t.Errorf("%+v", switched)
	}
	c.Another().SignIn("alex")
	changed := events.Await("sessions_changed")
	var news struct {
		Rev   int
		Stamp string
	}
	if err := json.Unmarshal([]byte(changed.Data), &news); err != nil || news.Stamp != changed.ID || news.Rev == 0 {
		t.Errorf("%+v, %v", changed, err)
	}
	handle := c.State().Field("session.session_id").(string)
	c.SignOut()
	if ended := events.Await("ended"); ended.ID != "" {
		t.Errorf("%+v", ended)
	} else {
		wantShape(t, ended.Data, `{"session_id":"`+handle+`","error":"You have signed out.","error_code":"SESSION_ENDED","reason":"signed_out","ended_at":"TIME"}`)
	}
	if e, ok := events.Next(); ok {
		t.Errorf("after the end: %+v", e)
	}
}

func TestStreamWarnsAndTellsOfAnExpiry(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	k.clock.Advance(24*time.Hour - 10*time.Minute) // and a minute of grace
	events := c.Events("")
	if e := events.Await("expiring"); e.Data != `{"seconds_left":660,"can_extend":true,"expires_at":"2025-01-12T10:01:00Z"}` || e.ID != "" {
		t.Errorf("%+v", e)
	}
	k.clock.Advance(11 * time.Minute)
	if _, err := k.manager.EnforceTimeouts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := events.Await("ended"); !strings.Contains(e.Data, `"error_code":"SESSION_EXPIRED","reason":"idle_timeout"`) {
		t.Errorf("%+v", e)
	}
}

func TestStreamTellsNothingTwice(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	c.State()
	stamp := c.State().Field("stamp").(string)
	events := c.Events(stamp)
	c.SwitchPlatform("789")
	if e, ok := events.Next(); !ok || e.ID == stamp {
		t.Errorf("%+v", e)
	}
	if e, ok := c.Events("1.1.1").Next(); !ok || e.Kind != "state" {
		t.Errorf("to a reader of something else: %+v", e)
	}
}

func TestStreamNeedsASessionAndTheFeature(t *testing.T) {
	off := newContract(t, session.Config{Features: session.Features{NoCrossTabSync: true}})
	c := sessiontest.NewClient(t, off.served).SignIn("alex")
	c.Get("/api/session/events").Want(404)
	if c.State().Field("sync.enabled") != false {
		t.Error("SESSION_FEATURE_CROSS_TAB_SYNC=false, and the client is told to follow")
	}
	c.Another().Get("/api/session/events").Want(401)
}

func TestStreamsOfOneSessionAreBounded(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	for range 32 {
		c.Events("").Await("state")
	}
	c.Get("/api/session/events").Want(429)
}

// A server that shuts down lets its streams go, and says when to come back.
func TestStreamsEndWhenTheServerDrains(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	answer, err := http.DefaultClient.Do(authenticated(c, k))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	for line := ""; line != "event: state\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	k.manager.Drain()
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), "\nretry: ") {
		t.Errorf("%q, %v", rest, err)
	}
	c.State() // everything else goes on
	c.Get("/api/session/events").Want(503)
}

// authenticated asks for the stream with the cookie of a session of its own.
func authenticated(c *sessiontest.Client, k *contract) *http.Request {
	r, err := http.NewRequest("GET", c.URL+"/api/session/events", nil)
	if err != nil {
		panic(err)
	}
	_, token, err := k.manager.Create(context.Background(), session.CreateRequest{UserID: "123"})
	if err != nil {
		panic(err)
	}
	r.Header.Set("Cookie", "vedfolnir="+token.Reveal())
	return r
}

func TestStreamBeatsWhileNothingHappens(t *testing.T) {
	k := newContract(t, session.Config{Sync: session.Sync{HeartbeatInterval: 20 * time.Millisecond}})
	c := sessiontest.NewClient(t, k.served).SignIn("alex")
	answer, err := http.DefaultClient.Do(authenticated(c, k))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	beats := 0
	for lines := bufio.NewScanner(answer.Body); beats < 3 && lines.Scan(); {
		if lines.Text() == "event: heartbeat" {
			beats++
		}
	}
	if beats < 3 {
		t.Errorf("%d beats", beats)
	}
}

// A reader that does not read fails a write, and is dropped.
func TestASlowReaderIsDropped(t *testing.T) {
	k := newContract(t, session.Config{Sync: session.Sync{HeartbeatInterval: time.Millisecond}})
	_, token, err := k.manager.Create(t.Context(), session.CreateRequest{UserID: "123"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "http://localhost/api/session/events", nil)
	r.Header.Set("Cookie", "vedfolnir="+token.Reveal())
	w := &stuck{header: http.Header{}}
	k.served.ServeHTTP(w, r) // returns, or the test does not
	if w.deadline.IsZero() || time.Until(w.deadline) > 10*time.Second {
		t.Errorf("written under the deadline %v", w.deadline)
	}
	if m, err := k.manager.Metrics(t.Context()); err != nil || m.Sessions.Subscriptions != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// stuck behaves as a connection whose reader has gone to sleep: the third write
// fails at its deadline.
type stuck struct {
	header   http.Header
	writes   int
	deadline time.Time
}

func (w *stuck) Header() http.Header { return w.header }
func (w *stuck) WriteHeader(int)     {}
func (w *stuck) FlushError() error   { return nil }
func (w *stuck) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		w.deadline = t
	}
	return nil
}

func (w *stuck) Write(b []byte) (int, error) {
	if w.writes++; w.writes > 2 {
		return 0, &net.OpError{Op: "write", Err: errors.New("i/o timeout")}
	}
	return len(b), nil
}

// 10,000 streams that open and close leave nothing behind.
func TestTenThousandStreamsLeaveNothingBehind(t *testing.T) {
	k := newContract(t, session.Config{Security: session.Security{NoAuditLogging: true}})
	_, token, err := k.manager.Create(t.Context(), session.CreateRequest{UserID: "123"})
	if err != nil {
		t.Fatal(err)
	}
	open := func(n int) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range n / 8 {
					ctx, cancel := context.WithCancel(context.Background())
					r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/api/session/events", nil)
					r.Header.Set("Cookie", "vedfolnir="+token.Reveal())
					k.served.ServeHTTP(&leaving{header: http.Header{}, leave: cancel}, r)
				}
			})
		}
		wg.Wait()
	}
	measure := func() (goroutines int, heap uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	open(800)
	goroutines, heap := measure()
	open(10_000)
	afterwards, heapAfterwards := measure()
	if afterwards > goroutines+2 {
		t.Errorf("goroutines went from %d to %d", goroutines, afterwards)
	}
	if heapAfterwards > heap+1<<20 {
		t.Errorf("the heap went from %d to %d bytes", heap, heapAfterwards)
	}
	if m, err := k.manager.Metrics(t.Context()); err != nil || m.Sessions.Subscriptions != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// leaving is a reader that goes away once it has heard something.
type leaving struct {
	header http.Header
	leave  context.CancelFunc
}

func (w *leaving) Header() http.Header { return w.header }
func (w *leaving) WriteHeader(int)     {}
func (w *leaving) FlushError() error   { return nil }
func (w *leaving) Write(b []byte) (int, error) {
	if !strings.HasPrefix(string(b), "event: heartbeat\n") {
		w.leave()
	}
	return len(b), nil
}

// Lesson 42: flushing and hijacking work behind the middleware.
func TestLesson42_FlushAndHijackReachTheConnection(t *testing.T) {
	k := newContract(t, session.Config{})
	server := httptest.NewServer(k.handler.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.URL.Path == "/flush" {
			io.WriteString(w, "early")
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
			return
		}
		connection, _, err := control.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(connection, "HTTP/1.1 299 Hijacked\r\nContent-Length: 0\r\n\r\n")
		connection.Close()
	})))
	defer server.Close()
	answer, err := http.Get(server.URL + "/hijack")
	if err != nil || answer.StatusCode != 299 {
		t.Errorf("hijack: %v, %v", answer, err)
	}
	answer, err = http.Get(server.URL + "/flush")
	if err != nil {
		t.Fatal(err)
	}
	early := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, early); err != nil || string(early) != "early" {
		t.Errorf("flush: %q, %v", early, err)
	}
	answer.Body.Close()
}
