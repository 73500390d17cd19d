package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The example of the specification's own libraries.
func TestSignaturesAreTheStandards(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	got := Sign([][]byte{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got != want {
		t.Errorf("%s", got)
	}
	if both := Sign([][]byte{secret, secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); both != want+" "+want {
		t.Errorf("%s", both)
	}
}

func TestWhichAddressesAReceiverMayHave(t *testing.T) {
	own := map[string][]config.Network{
		"127.0.0.1": {config.LoopbackNetwork, config.PrivateNetwork}, "::1": {config.LoopbackNetwork, config.PrivateNetwork}, "::ffff:127.0.0.1": {config.LoopbackNetwork, config.PrivateNetwork},
		"10.1.2.3": {config.PrivateNetwork}, "172.16.0.1": {config.PrivateNetwork}, "192.168.1.1": {config.PrivateNetwork}, "fd00::1": {config.PrivateNetwork}, "::ffff:10.0.0.1": {config.PrivateNetwork},
		"93.184.215.14": {config.PublicNetwork, config.PrivateNetwork}, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": {config.PublicNetwork, config.PrivateNetwork},
	}
	for _, nobodys := range []string{
		"0.0.0.0", "::", "100.64.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
		"64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:4136:e378::1", "2001:db8::1", "::7f00:1", "fec0::1",
	} {
		own[nobodys] = nil
	}
	for text, networks := range own {
		for _, n := range []config.Network{config.PublicNetwork, config.PrivateNetwork, config.LoopbackNetwork} {
			want := false
			for _, may := range networks {
				want = want || may == n
			}
			if err := allowed(n, netip.MustParseAddr(text)); (err == nil) != want {
				t.Errorf("%s, %s: %v", text, n, err)
			}
		}
	}
}

func send(t *testing.T, to config.Webhook, m directory.Message) error {
	t.Helper()
	s := NewSender(to, "test")
	defer s.Close()
	return s.Send(t.Context(), m, noon)
}

var secrets = [][]byte{[]byte(strings.Repeat("n", 32)), []byte(strings.Repeat("o", 32))}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	e := directory.Entry{ID: "7", Username: "kim", Email: "kim@example.org"}
	n := notice.At(noon, notice.PasskeyAdded)
	n.Device, n.Address, n.Detail = "Firefox on Linux", "192.0.2.1", "YubiKey"
	m := Messages(config.Settings{Origin: "https://id.example", Webhook: config.Webhook{URL: "https://x"}})(e, n, 0)
	received := make(chan *http.Request, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		received <- r
	}))
	defer receiver.Close()
	if err := send(t, config.Webhook{URL: receiver.URL + "/hook", Secrets: secrets, Network: config.LoopbackNetwork}, m); err != nil {
		t.Fatal(err)
	}
	r := <-received
	body, _ := io.ReadAll(r.Body)
	if r.Method != "POST" || r.URL.Path != "/hook" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") != "Vedfolnir/test" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	if r.Header.Get("webhook-id") != m.ID || !strings.HasPrefix(m.ID, "msg_") || len(m.ID) < 26 || r.Header.Get("webhook-timestamp") != fmt.Sprint(noon.Unix()) ||
		r.Header.Get("webhook-signature") != Sign(secrets, m.ID, noon, body) {
		t.Errorf("%v", r.Header)
	}
	want := `{"type":"safety.passkey_added","timestamp":"2026-03-01T12:00:00Z","data":{"kind":"passkey_added","text":"A passkey was added: YubiKey","detail":"YubiKey","times":1,` +
		`"first_at":"2026-03-01T12:00:00Z","at":"2026-03-01T12:00:00Z",` +
		`"device":"Firefox on Linux","ip_address":"192.0.2.1","several":false,"person":{"id":7,"username":"kim","email":"kim@example.org"},"safety_url":"https://id.example/safety"}}`
	if string(body) != want {
		t.Errorf("%s", body)
	}
}

func TestWhatIsWorthAMessage(t *testing.T) {
	line := func(kind notice.Kind, times int) notice.Notice {
		n := notice.At(noon, kind)
		n.Times = times
		return n
	}
	messages := Messages(config.Settings{Webhook: config.Webhook{URL: "https://x", Kinds: []notice.Kind{notice.FailedAttempts, notice.PasswordChanged}}})
	sent := func(n notice.Notice, before int) bool { return messages(directory.Entry{}, n, before).ID != "" }
	var at []int
	for times := 1; times <= 100; times++ {
		if sent(line(notice.FailedAttempts, times), times-1) {
			at = append(at, times)
		}
	}
	if fmt.Sprint(at) != "[5 10 20 40 80]" {
		t.Errorf("failed attempts are sent at %v", at)
	}
	if !sent(line(notice.FailedAttempts, 7), 2) || sent(line(notice.FailedAttempts, 9), 7) || !sent(line(notice.FailedAttempts, 100), 0) {
		t.Error("what came in one step")
	}
	if !sent(line(notice.PasswordChanged, 2), 1) || sent(line(notice.NewDevice, 1), 0) {
		t.Error("the kinds that are sent")
	}
	if Messages(config.Settings{}) != nil {
		t.Error("messages for nobody")
	}
}

// What is no 2xx in time is a failure, and says nothing of the receiver's address.
func TestWhatCountsAsNotDelivered(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect) })
	followed := false
	mux.HandleFunc("/ok", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(503)
		w.Write([]byte(strings.Repeat("x", 1<<20)))
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat("x", 1<<10))); err != nil {
				return
			}
		}
	})
	receiver := httptest.NewServer(mux)
	defer receiver.Close()
	to := config.Webhook{Secrets: secrets, Network: config.LoopbackNetwork}
	for path, want := range map[string]string{
		"/moved?key=SECRET": "it answered with a redirect (307), which is not followed", "/busy?key=SECRET": "it answered 503 Service Unavailable", "/none?key=SECRET": "it answered 404 Not Found", "/endless": "",
	} {
		to.URL = receiver.URL + path
		err := send(t, to, directory.Message{ID: "m", Body: []byte("{}")})
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v", path, err)
		}
		var refused *StatusError
		if errors.As(err, &refused) && refused.Status == 503 && refused.RetryAfter != 2*time.Minute {
			t.Errorf("%+v", refused)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
	to.URL = receiver.URL + "/ok?key=SECRET"
	to.Network = config.PublicNetwork
	if err := send(t, to, directory.Message{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1 is no address that --webhook-network public allows") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a forbidden address: %v", err)
	}
	// A name that leads there is no way round.
	to.URL = strings.Replace(receiver.URL, "127.0.0.1", "localhost", 1)
	if err := send(t, to, directory.Message{}); err == nil || !strings.Contains(err.Error(), "--webhook-network public") {
		t.Errorf("a name of a forbidden address: %v", err)
	}
	if followed {
		t.Error("a forbidden address was reached")
	}
	receiver.Close()
	to.Network = config.LoopbackNetwork
	to.URL += "/?key=SECRET"
	if err := send(t, to, directory.Message{}); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("nobody there: %v", err)
	}
}

// shelf is an outbox in memory.
type shelf struct {
	mu      sync.Mutex
	waiting map[string]*shelved
	fail    bool
}

type shelved struct {
	m   directory.Message
	due time.Time
	why string
}

func (s *shelf) put(m directory.Message, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[m.ID] = &shelved{m: m, due: due}
}

func (s *shelf) TakeMessages(_ context.Context, now, until time.Time, most int) (taken []directory.Message, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return nil, errors.New("the database is away")
	}
	for _, w := range s.waiting {
		if !w.due.After(now) && len(taken) < most {
			w.m.Attempts++
			w.due = until
			taken = append(taken, w.m)
		}
	}
	return taken, nil
}

func (s *shelf) DropMessage(_ context.Context, m directory.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, m.ID)
	return nil
}

func (s *shelf) PutBackMessage(_ context.Context, m directory.Message, due time.Time, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[m.ID].due, s.waiting[m.ID].why = due, why
	return nil
}

func (s *shelf) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// run has a courier at work in a bubble of its own time.
func run(t *testing.T, outbox *shelf, send func(context.Context, directory.Message) error, test func(c *Courier, counts map[Outcome]int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		counts := map[Outcome]int{}
		var mu sync.Mutex
		c := New(Courier{
			Outbox: outbox, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			Send: func(ctx context.Context, m directory.Message, _ time.Time) error { return send(ctx, m) },
			Count: func(o Outcome) {
				mu.Lock()
				defer mu.Unlock()
				counts[o]++
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.Run(ctx) })
		test(c, counts)
		stop()
		running.Wait()
	})
}

func TestACourierTriesAgainAndEverMoreSeldom(t *testing.T) {
	s := &shelf{waiting: map[string]*shelved{}}
	var tries []time.Time
	run(t, s, func(context.Context, directory.Message) error {
		tries = append(tries, time.Now())
		return errors.New("nobody there")
	}, func(c *Courier, counts map[Outcome]int) {
		s.put(directory.Message{ID: "a", Made: time.Now()}, time.Now())
		start := time.Now()
		c.Wake()
		time.Sleep(79 * time.Hour)
		synctest.Wait()
		if s.left() != 0 || counts[GivenUp] != 1 || counts[Delivered] != 0 || counts[Failed] != len(tries)-1 {
			t.Errorf("left: %d; %v", s.left(), counts)
		}
		if n := len(tries); n < 12 || n > 40 {
			t.Errorf("%d attempts in three days", n)
		}
		if tries[0].Sub(start) > 0 || tries[1].Sub(tries[0]) > 12*time.Second {
			t.Errorf("%v", tries)
		}
		for i := 2; i < len(tries); i++ {
			if gap := tries[i].Sub(tries[i-1]); gap > longestPause*5/4+lookEvery {
				t.Errorf("a pause of %v", gap)
			}
		}
	})
}

func TestACourierDeliversOnceTheReceiverIsBack(t *testing.T) {
	s := &shelf{waiting: map[string]*shelved{}}
	var back atomic.Bool
	var delivered atomic.Int32
	run(t, s, func(context.Context, directory.Message) error {
		if !back.Load() {
			return &StatusError{Status: 503, RetryAfter: time.Minute}
		}
		delivered.Add(1)
		return nil
	}, func(c *Courier, counts map[Outcome]int) {
		s.fail = true
		for i := range 40 {
			s.put(directory.Message{ID: fmt.Sprint(i), Made: time.Now()}, time.Now())
		}
		c.Wake()
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.fail = false // the database is back first
		s.mu.Unlock()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if counts[Failed] != 40 {
			t.Errorf("before it said to come back: %v", counts)
		}
		back.Store(true)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s.left() != 0 || delivered.Load() != 40 || counts[Delivered] != 40 {
			t.Errorf("left: %d, delivered %d; %v", s.left(), delivered.Load(), counts)
		}
	})
}

// A courier that has to go puts back what it had under way.
func TestACourierThatGoesPutsBack(t *testing.T) {
	s := &shelf{waiting: map[string]*shelved{}}
	run(t, s, func(ctx context.Context, _ directory.Message) error {
		<-ctx.Done()
		return ctx.Err()
	}, func(c *Courier, _ map[Outcome]int) {
		s.put(directory.Message{ID: "a", Made: time.Now()}, time.Now())
		c.Wake()
		synctest.Wait()
	})
	if w := s.waiting["a"]; w == nil || w.why != "" || w.due.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > time.Second {
		t.Errorf("%+v", w)
	}
}
