package attack

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// streams are attacks by connections that stay open.
var streams = []attack{
	{
		"a stream held open across the end", "keeps the event stream open while the session ends: by signing out, by an operator, by another device, by disabling the account",
		"the stream ends within 4 seconds with the reason, sends nothing after it, and cannot be opened again", heldStreams,
	},
	{
		"a flood of streams", "opens more and more event streams with one cookie",
		"429 at the bound, and the others' streams are served", streamFlood,
	},
}

// bound is the lease of two seconds, and as much for a machine that does other
// things.
const bound = 4 * time.Second

// stream opens the events.
func (b *browser) stream() *http.Response {
	b.t.Helper()
	client := *b.http
	client.Timeout = 0
	r := b.request("GET", "/api/session/events", "")
	res, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { res.Body.Close() })
	return res
}

func heldStreams(t *testing.T, w *world) {
	for what, c := range map[string]struct {
		end    func(v, other *browser)
		reason string
	}{
		"signing out in another tab": {func(v, _ *browser) { v.post("/logout", "") }, "signed_out"},
		"ended by an operator":       {func(v, _ *browser) { w.command(t, "", "session", "revoke", "--user", v.who.name) }, "revoked_by_admin"},
		"ended from another device":  {func(_, other *browser) { other.post("/api/sessions/revoke_others", "") }, "revoked_by_user"},
		"a disabled account":         {func(v, _ *browser) { w.command(t, "", "user", "disable", v.who.name) }, "user_disabled"},
	} {
		a := w.account(t)
		v, other := w.browser(t).signIn(a), w.browser(t).signIn(a)
		pair := v.pair()
		events := v.stream()
		lines := bufio.NewReader(events.Body)
		for line := ""; !strings.HasPrefix(line, "data:"); { // the first state
			var err error
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		c.end(v, other)
		ended := time.Now()
		rest := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(lines)
			rest <- string(text)
		}()
		select {
		case text := <-rest:
			last := text[max(0, strings.LastIndex(text, "event: ")):]
			if !strings.HasPrefix(last, "event: ended\n") || !strings.Contains(last, `"reason":"`+c.reason+`"`) || strings.Count(last, "\n\n") != 1 {
				t.Errorf("%s: the stream's last word is %q", what, last)
			}
			if after := text[:strings.Index(text+"event: ended", "event: ended")]; strings.Contains(after, "ended") {
				t.Errorf("%s: %q", what, text)
			}
		case <-time.After(bound):
			t.Errorf("%s: the stream is open %v later", what, time.Since(ended))
		}
		again := w.browser(t).sending(pair).get("/api/session/events")
		if again.status != 401 || again.field(t, "reason") != c.reason {
			t.Errorf("%s: opened again: %d %s", what, again.status, again.body)
		}
	}
}

func streamFlood(t *testing.T, w *world) {
	v, other := w.victim(t), w.victim(t)
	open, refused := 0, 0
	for range 50 {
		switch res := v.stream(); res.StatusCode {
		case 200:
			open++
		case 429:
			refused++
			if res.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		default:
			t.Errorf("%d", res.StatusCode)
		}
	}
	if open == 0 || refused == 0 {
		t.Errorf("%d streams are open, and %d were refused", open, refused)
	}
	if res := other.stream(); res.StatusCode != 200 {
		t.Errorf("another's stream: %d", res.StatusCode)
	}
}
