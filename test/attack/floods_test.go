package attack

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// floods are too much of everything, and what no browser sends.
var floods = []attack{
	{
		"a flood of headers and cookies", "sends megabytes of headers and thousands of cookies, from many connections at once",
		"431 or 400; the process stays small, and answers everybody else", headerFlood,
	},
	{
		"a flood of bodies", "sends endless bodies, forms with thousands of fields, and deeply nested JSON",
		"413, 400 or 403, without reading them to the end", bodyFlood,
	},
	{
		"malformed requests", "sends cookies, headers and request lines that make no sense, and two lengths for one body",
		"4xx, no 500, and no second request from one", malformed,
	},
}

// memory that the process holds, in MB.
func (s *server) memory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("how much memory a process holds is told by Linux only: %v", err)
	}
	kb, _ := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+)`).FindStringSubmatch(string(status))[1])
	return kb >> 10
}

// raw sends bytes as they are and returns the first line of the answer, and what
// follows.
func (w *world) raw(t *testing.T, request string) (status string, all string) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: w.roots, ServerName: app})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, request) // the server may have answered and gone before its end
	reader := bufio.NewReader(conn)
	status, _ = reader.ReadString('\n')
	rest, _ := io.ReadAll(reader)
	return strings.TrimSpace(status), status + string(rest)
}

func headerFlood(t *testing.T, w *world) {
	v := w.victim(t)
	before, was := v.state(), w.memory(t)
	floods := []string{
		"Cookie: " + strings.Repeat("a=b; ", 400_000),
		strings.Repeat("Cookie: a=b\r\n", 100_000) + "X: y",
		"Cookie: " + strings.Repeat("__Host-vedfolnir=x; ", 50_000),
		"X-Forwarded-For: " + strings.Repeat("1.2.3.4, ", 200_000),
		"Accept-Language: " + strings.Repeat("x", 2<<20),
		strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 2000) + "X: y",
	}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			status, _ := w.raw(t, "GET /api/session_state HTTP/1.1\r\nHost: "+app+"\r\nConnection: close\r\n"+floods[i%len(floods)]+"\r\n\r\n")
			if !strings.Contains(status, " 431 ") && status != "" { // or the connection is gone
				t.Errorf("flood %d: %s", i%len(floods), status)
			}
		})
	}
	all.Wait()
	// What is just small enough to be read.
	for _, cookies := range []string{strings.Repeat("a=b; ", 3000), strings.Repeat("__Host-vedfolnir=x; ", 700), strings.Repeat("=;", 7000)} {
		if got := v.sending(cookies).state(); got.status != 400 && got.status != 401 {
			t.Errorf("%.30q...: %d", cookies, got.status)
		}
	}
	if grown := w.memory(t) - was; grown > 64 {
		t.Errorf("the process has grown by %d MB", grown)
	}
	v.unharmed(before, "afterwards")
}

// endless is a body that never ends by itself; read tells how much was taken, also
// while the client's own goroutine goes on sending.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	if e.read.Add(int64(len(b))) > 64<<20 {
		return 0, io.EOF
	}
	return len(b), nil
}

func bodyFlood(t *testing.T, w *world) {
	v := w.victim(t)
	before, was := v.state(), w.memory(t)
	for _, target := range []string{"/login", "/api/session/heartbeat", "/api/session/validate", "/logout", "/switch"} {
		for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
			body := new(endless)
			r := v.request("POST", target, "")
			if target != "/logout" {
				r.Header.Set("X-CSRFToken", v.token())
			}
			r.Header.Set("Content-Type", kind)
			r.Body, r.ContentLength = io.NopCloser(body), -1
			res, err := v.http.Do(r)
			if err == nil {
				res.Body.Close()
				if res.StatusCode < 400 || res.StatusCode >= 500 {
					t.Errorf("%s as %s: %d", target, kind, res.StatusCode)
				}
			}
			if read := body.read.Load(); read > 8<<20 {
				t.Errorf("%s as %s: %d MB were read", target, kind, read>>20)
			}
		}
	}
	for name, body := range map[string]string{
		"nested JSON":   strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000),
		"a long number": `{"active":` + strings.Repeat("1", 60_000) + `}`,
		"many members":  "{" + strings.Repeat(`"active":true,`, 4000) + `"active":true}`,
	} {
		if got := v.post("/api/session/heartbeat", body); got.status != 400 && got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if grown := w.memory(t) - was; grown > 64 {
		t.Errorf("the process has grown by %d MB", grown)
	}
	v.unharmed(before, "afterwards")
}

func malformed(t *testing.T, w *world) {
	v := w.victim(t)
	before := v.state()
	for _, value := range []string{"\x01", `"` + v.cookie(sessionCookie) + `"`, strings.ToUpper(v.cookie(sessionCookie)), "%00", strings.Repeat("A", 8000), "null", "../../etc/passwd", "' OR 1=1 --", "${jndi:ldap://x}"} {
		if got := v.sending(sessionCookie + "=" + value); true {
			r := got.request("GET", "/api/session_state", "")
			res, err := got.http.Do(r)
			if err != nil {
				continue // no such header can be sent
			}
			res.Body.Close()
			if res.StatusCode != 400 && res.StatusCode != 401 {
				t.Errorf("%.30q: %d", value, res.StatusCode)
			}
		}
	}
	host := "\r\nHost: " + app + "\r\n"
	for name, c := range map[string]struct {
		request string
		want    string
	}{
		"two lengths":           {"POST /api/session/validate HTTP/1.1" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", " 400 "},
		"a length and chunks":   {"POST /api/session/validate HTTP/1.1" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1" + host + "\r\n", "HTTP/1.1 4"},
		"a strange encoding":    {"POST /api/session/validate HTTP/1.1" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501"},
		"two hosts":             {"GET / HTTP/1.1" + host + "Host: " + evil + "\r\n\r\n", " 400 "},
		"no host":               {"GET / HTTP/1.1\r\n\r\n", " 400 "},
		"a host of nonsense":    {"GET / HTTP/1.1\r\nHost: a b<script>\r\n\r\n", " 400 "},
		"a space in a name":     {"GET / HTTP/1.1" + host + "Cookie : a=b\r\n\r\n", " 400 "},
		"a folded header":       {"GET / HTTP/1.1" + host + "X: y\r\n z: w\r\nConnection: close\r\n\r\n", "HTTP/1.1 "},
		"a zero byte":           {"GET / HTTP/1.1" + host + "X: a\x00b\r\n\r\n", " 400 "},
		"an encoded zero":       {"GET /%00 HTTP/1.1" + host + "Connection: close\r\n\r\n", "HTTP/1.1 4"},
		"a broken escape":       {"GET /%zz HTTP/1.1" + host + "\r\n\r\n", " 400 "},
		"up and out":            {"GET /assets/../../../../etc/passwd HTTP/1.1" + host + "Connection: close\r\n\r\n", "HTTP/1.1 "},
		"up and out, encoded":   {"GET /assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1" + host + "Connection: close\r\n\r\n", "HTTP/1.1 4"},
		"another's whole URL":   {"GET https://" + evil + "/api/session_state HTTP/1.1" + host + "Connection: close\r\n\r\n", "HTTP/1.1 401"},
		"a tunnel":              {"CONNECT " + evil + ":443 HTTP/1.1" + host + "Connection: close\r\n\r\n", "HTTP/1.1 4"},
		"an upgrade":            {"GET /api/session_state HTTP/1.1" + host + "Connection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", "HTTP/1.1 401"},
		"TRACE, with the token": {"TRACE / HTTP/1.1" + host + "Cookie: " + v.pair() + "\r\nConnection: close\r\n\r\n", "HTTP/1.1 4"},
	} {
		status, all := w.raw(t, c.request)
		if !strings.Contains(status, c.want) || strings.Contains(status, " 500") || strings.Contains(all, "root:") || strings.Count(all, "HTTP/1.1 ") > 1 {
			t.Errorf("%s: %s\n%.600s", name, status, all)
		}
		if _, secret, _ := strings.Cut(v.cookie(sessionCookie), "."); strings.Contains(all, secret) {
			t.Errorf("%s shows the token", name)
		}
	}
	v.unharmed(before, "afterwards")
	if got := w.browser(t).get("/livez"); got.status != http.StatusOK {
		t.Errorf("the server: %d", got.status)
	}
}
