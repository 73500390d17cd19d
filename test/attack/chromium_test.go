package attack

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// chromium is a real browser, driven over its pipe by the DevTools protocol.
type chromium struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	calls   int
	session string // of the one tab
}

// newChromium starts it with each host of the story led to its address. Without
// one the test is skipped, and fails if CI=true.
func newChromium(t *testing.T, hosts map[string]string) *chromium {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is missing: sh tools/need chromium installs it")
		}
		t.Skip("chromium is missing: sh tools/need chromium installs it")
	}
	rules := ""
	for host, addr := range hosts {
		rules += fmt.Sprintf("MAP %s:443 %s, ", host, addr)
	}
	in, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--ignore-certificate-errors", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(),
		"--host-resolver-rules="+rules+"MAP * ~NOTFOUND", "about:blank")
	c.ExtraFiles = []*os.File{in, out} // its descriptors 3 and 4
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	b := &chromium{t: t, to: toBrowser, from: bufio.NewReader(fromBrowser)}
	t.Cleanup(func() {
		b.session = ""
		b.send("Browser.close", nil)
		ended := time.AfterFunc(10*time.Second, func() { _ = c.Process.Kill() })
		_, _ = io.Copy(io.Discard, fromBrowser)
		_ = c.Wait()
		ended.Stop()
	})
	_ = fromBrowser.SetReadDeadline(time.Now().Add(2 * time.Minute))
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Page.enable", nil, nil)
	return b
}

func (b *chromium) send(method string, params any) {
	b.calls++
	message := map[string]any{"id": b.calls, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, _ := json.Marshal(message)
	_, _ = b.to.Write(append(text, 0))
}

// call a method and wait for its result.
func (b *chromium) call(method string, params, into any) {
	b.t.Helper()
	if problem := b.ask(method, params, into); problem != "" {
		b.t.Fatalf("chromium: %s: %s", method, problem)
	}
}

// ask is call for what the browser may refuse: a page that is being left.
func (b *chromium) ask(method string, params, into any) (problem string) {
	b.t.Helper()
	b.send(method, params)
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("chromium: %s: %v", method, err)
		}
		var m struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			b.t.Fatal(err)
		}
		if m.ID != b.calls {
			continue // an event
		}
		if m.Error != nil {
			return m.Error.Message
		}
		if into != nil {
			if err := json.Unmarshal(m.Result, into); err != nil {
				b.t.Fatal(err)
			}
		}
		return ""
	}
}

// open a page, and wait until it is there.
func (b *chromium) open(address string) {
	b.t.Helper()
	var result struct{ ErrorText string }
	b.call("Page.navigate", map[string]any{"url": address}, &result)
	if result.ErrorText != "" {
		b.t.Fatalf("chromium: %s: %s", address, result.ErrorText)
	}
	b.await(`document.readyState == "complete" && location.href != "about:blank"`)
}

// run a script in the page; a promise is waited for. It returns a text.
func (b *chromium) run(script string) string {
	b.t.Helper()
	text, problem := b.evaluate(script)
	if problem != "" {
		b.t.Fatalf("chromium: %s\n%s", problem, script)
	}
	return text
}

func (b *chromium) evaluate(script string) (text, problem string) {
	b.t.Helper()
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	if problem := b.ask("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &result); problem != "" {
		return "", problem
	}
	if result.ExceptionDetails != nil {
		return "", result.ExceptionDetails.Exception.Description
	}
	return fmt.Sprint(result.Result.Value), ""
}

// await what a page comes to.
func (b *chromium) await(condition string) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got, _ := b.evaluate(condition); got == "true" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("chromium: it does not come to %s; it is at %s", condition, b.run("location.href"))
		}
	}
}

func freeListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
