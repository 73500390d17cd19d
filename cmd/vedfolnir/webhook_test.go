package main

import (
	"bytes"
	databasesql "database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/webhook"
)

// received is a message as it came.
type received struct {
	ID, Type, Username, Device string
	At                         time.Time
}

// receiver is a program of the operator's.
type receiver struct {
	t       *testing.T
	url     string
	secrets [][]byte

	mu      sync.Mutex
	answer  func(http.ResponseWriter, *http.Request)
	arrived []received
}

func newReceiver(t *testing.T, secretFile string) *receiver {
	t.Helper()
	secrets, err := config.ReadKeys(secretFile)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, secrets: secrets, answer: func(http.ResponseWriter, *http.Request) {}}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	r.url = server.URL + "/hook"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // whoever sends it was killed
	}
	at, err := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute ||
		q.Header.Get("webhook-signature") != webhook.Sign(r.secrets, q.Header.Get("webhook-id"), time.Unix(at, 0), body) {
		r.t.Errorf("not signed as it should be: %v %s", q.Header, body)
	}
	var m struct {
		Type string
		Data struct {
			At     time.Time
			Device string
			Person struct{ Username string }
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Errorf("%v: %s", err, body)
	}
	r.mu.Lock()
	r.arrived = append(r.arrived, received{q.Header.Get("webhook-id"), m.Type, m.Data.Person.Username, m.Data.Device, m.Data.At})
	answer := r.answer
	r.mu.Unlock()
	answer(w, q)
}

func (r *receiver) answers(how func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = how
}

// await returns what has arrived once it is so many.
func (r *receiver) await(n int) []received {
	r.t.Helper()
	for patience := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r.mu.Lock()
		arrived := slices.Clone(r.arrived)
		r.mu.Unlock()
		if len(arrived) >= n {
			return arrived
		}
		if time.Now().After(patience) {
			r.t.Fatalf("%d messages arrived, not %d", len(arrived), n)
		}
	}
}

func (r *receiver) flags(secretFile string) []string {
	return []string{"--demo", "--origin=http://localhost:8080", "--webhook-url=" + r.url, "--webhook-secrets=" + secretFile, "--webhook-network=loopback"}
}

func secretFile(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(folder, "webhook.secrets")
	for range 2 { // as while it is replaced
		if out, err := command(t, folder, nil, "webhook", "secret", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return file
}

// What was told is sent, though the server is killed while it sends, and though the
// receiver is away: under one id.
func TestNothingThatWasToldIsLostOnTheWay(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := secretFile(t, folder)
	r := newReceiver(t, file)
	flags := append(r.flags(file), "--database=sqlite:v.db")
	db, err := databasesql.Open("sqlite", "file:"+filepath.Join(folder, "v.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	due := func() { // the time that a message waits has gone by
		t.Helper()
		if _, err := db.ExecContext(t.Context(), `UPDATE directory_outbox SET due_at = 0`); err != nil {
			t.Fatal(err)
		}
	}
	waiting := func(want int) {
		t.Helper()
		n := -1
		for patience := time.Now().Add(20 * time.Second); n != want; time.Sleep(10 * time.Millisecond) {
			if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM directory_outbox`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(patience) {
				t.Fatalf("%d messages wait, not %d", n, want)
			}
		}
	}

	hold := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(hold) }))
	r.answers(func(http.ResponseWriter, *http.Request) { <-hold })
	p := launch(t, folder, nil, flags...)
	p.signIn("alex")
	first := r.await(1)[0]
	if first.Type != "safety.new_device" || first.Username != "alex" {
		t.Errorf("%+v", first)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	waiting(1)

	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	due()
	p = launch(t, folder, nil, flags...)
	r.await(2)
	p.stderr.await(t, "it answered 503 Service Unavailable")
	for patience := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, _ := command(t, folder, nil, "doctor", "--database=sqlite:v.db").CombinedOutput()
		if strings.Contains(string(out), "PROBLEM WEBHOOK: the webhook's receiver does not take 1 message") && strings.Contains(string(out), "503") {
			break
		}
		if time.Now().After(patience) {
			t.Fatalf("the doctor finds nothing: %s", out)
		}
	}

	r.answers(func(http.ResponseWriter, *http.Request) {})
	due()
	for i, m := range r.await(3) {
		if m != first {
			t.Errorf("%d: %+v", i, m)
		}
	}
	waiting(0)
	p.end(syscall.SIGTERM)
}

// Two nodes share the work: each message is sent once, and each person's in order.
func TestTwoNodesSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	here, there, flags, folder := twoNodes(t)
	file := secretFile(t, folder)
	r := newReceiver(t, file)
	here.end(syscall.SIGTERM)
	there.end(syscall.SIGTERM)
	flags = append(r.flags(file), flags...)
	nodes := []*process{launch(t, folder, nil, flags...), launch(t, folder, nil, flags...)}
	devices := []string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
	}
	var all sync.WaitGroup
	for i, name := range []string{"alex", "sam", "robin"} {
		all.Go(func() {
			for j, agent := range devices {
				nodes[(i+j)%2].signInFrom(name, agent)
			}
		})
	}
	all.Wait()
	r.await(9)
	for _, p := range nodes {
		p.end(syscall.SIGTERM) // and nothing more can come
	}
	arrived := r.await(9)
	if len(arrived) != 9 {
		t.Errorf("%d messages: %+v", len(arrived), arrived)
	}
	ids, last := map[string]bool{}, map[string]time.Time{}
	for _, m := range arrived {
		if ids[m.ID] {
			t.Errorf("%s came twice", m.ID)
		}
		if ids[m.ID] = true; m.At.Before(last[m.Username]) {
			t.Errorf("%s of %s came late", m.Device, m.Username)
		}
		last[m.Username] = m.At
	}
}

// signInFrom is signIn with a browser of that name.
func (p *process) signInFrom(name, agent string) {
	p.t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Transport: named(agent)}
	page := get(p.t, c, p.url+"/login")
	w, err := c.PostForm(p.url+"/login", url.Values{
		"username": {name}, "password": {"vedfolnir-demo"}, "csrf_token": {tokenForm.FindStringSubmatch(page)[1]},
	})
	if err != nil {
		p.t.Error(err)
		return
	}
	w.Body.Close()
	if w.StatusCode != 200 || w.Request.URL.Path != "/" {
		p.t.Errorf("signing in: %d at %s", w.StatusCode, w.Request.URL.Path)
	}
}

type named string

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", string(n))
	return http.DefaultTransport.RoundTrip(r)
}

// The receivers of the documentation take what is sent, once, and nothing else.
func TestTheDocumentedReceivers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := secretFile(t, folder)
	secrets, err := config.ReadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	for language, run := range map[string][]string{"go": {"go", "run", "receiver.go"}, "python": {"python3", "receiver.python"}} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(run[0]); err != nil && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			code := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
			if code == nil {
				t.Fatal("there is none")
			}
			if err := os.WriteFile(filepath.Join(folder, "receiver."+language), code[1], 0o600); err != nil {
				t.Fatal(err)
			}
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := free.Addr().String()
			free.Close()
			_, port, _ := net.SplitHostPort(address)
			said := &output{}
			c := exec.Command(run[0], run[1:]...)
			c.Dir, c.Stdout, c.Stderr = folder, said, said
			c.Env = append(os.Environ(), "WEBHOOK_SECRETS="+file, "PORT="+port, "GOWORK=off", "GOFLAGS=")
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run starts the program
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
				_ = c.Wait()
			})
			for patience := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				connection, err := net.Dial("tcp", address)
				if err == nil {
					connection.Close()
					break
				}
				if time.Now().After(patience) {
					t.Fatalf("%v\n%s", err, said)
				}
			}

			test := command(t, folder, []string{
				"VEDFOLNIR_ORIGIN=http://localhost:8080", "VEDFOLNIR_WEBHOOK_URL=http://" + address + "/", "VEDFOLNIR_WEBHOOK_SECRETS=" + file, "VEDFOLNIR_WEBHOOK_NETWORK=loopback",
			}, "webhook", "test")
			if out, err := test.CombinedOutput(); err != nil || !strings.Contains(string(out), "The receiver took the message msg_") {
				t.Fatalf("%v: %s\n%s", err, out, said)
			}
			said.await(t, `"type":"safety.test"`)

			body := []byte(`{"type":"safety.new_device","n":` + fmt.Sprint(time.Now().UnixNano()) + `}`)
			post := func(id string, at time.Time, body []byte, signature string) int {
				t.Helper()
				r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/", bytes.NewReader(body))
				r.Header.Set("webhook-id", id)
				r.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
				r.Header.Set("webhook-signature", signature)
				w, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				w.Body.Close()
				return w.StatusCode
			}
			now := time.Now()
			old := now.Add(-6 * time.Minute)
			good := webhook.Sign(secrets[1:], "a", now, body) // under the older one alone
			for what, status := range map[string]int{
				"another's secret": post("a", now, body, webhook.Sign([][]byte{bytes.Repeat([]byte("x"), 32)}, "a", now, body)),
				"another body":     post("a", now, []byte("{}"), good),
				"another id":       post("b", now, body, good),
				"no signature":     post("a", now, body, ""),
				"an old message":   post("a", old, body, webhook.Sign(secrets, "a", old, body)),
			} {
				if status != 401 {
					t.Errorf("%s: %d", what, status)
				}
			}
			for range 2 {
				if status := post("a", now, body, good); status != 204 {
					t.Errorf("a good one: %d", status)
				}
			}
			if status := post("c", now, []byte(`"the last"`), webhook.Sign(secrets, "c", now, []byte(`"the last"`))); status != 204 {
				t.Errorf("another good one: %d", status)
			}
			said.await(t, "the last") // and with it everything before
			if n := strings.Count(said.String(), string(body)); n != 1 {
				t.Errorf("it was done %d times", n)
			}
		})
	}
}
