package sessionhttp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/sessiontest"
)

// Who was asked and did not ask to be remembered has a cookie that ends with the
// browser, through rotations too, and shorter limits, to the instant.
func TestRememberThisDevice(t *testing.T) {
	type row struct {
		name       string
		send       any // JSON, or the values of a form
		remembered bool
	}
	form := func(values ...string) url.Values { return url.Values{"remember": values} }
	for _, test := range []row{
		{"JSON, no choice offered", map[string]any{}, true},
		{"JSON true", map[string]any{"remember": true}, true},
		{"JSON false", map[string]any{"remember": false}, false},
		{"JSON null", map[string]any{"remember": nil}, true},
		{"form, no choice offered", form(), true},
		{"form, box not checked", form("0"), false},
		{"form, box checked", form("0", "1"), true},
		{"form, a box alone", form("on"), true},
		{"form, a word", form("perhaps"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newContract(t, session.Config{Kinds: session.Kinds{UnrememberedIdleTimeout: 10 * time.Minute, UnrememberedLifetime: time.Hour}})
			c := sessiontest.NewTLSClient(t, k.served)
			var answer *sessiontest.Response
			switch send := test.send.(type) {
			case map[string]any:
				send["username"], send["password"] = "alex", sessiontest.Password
				answer = c.Post("/login", send).Want(200)
			case url.Values:
				send.Set("username", "alex")
				send.Set("password", sessiontest.Password)
				answer = c.PostForm("/login", send).Want(303)
			}
			outlives := func(header http.Header) bool {
				lines := header["Set-Cookie"]
				if len(lines) != 1 || !strings.HasPrefix(lines[0], "__Host-vedfolnir=") || strings.Contains(lines[0], "Expires") {
					t.Fatalf("%q", lines)
				}
				return strings.Contains(lines[0], "; Max-Age=604800;")
			}
			if got := outlives(answer.Header); got != test.remembered {
				t.Errorf("it outlives the browser: %v, want %v", got, test.remembered)
			}
			if got := c.Get("/api/sessions").Body; !strings.Contains(got, fmt.Sprintf(`"remembered":%t`, test.remembered)) {
				t.Errorf("the list says %s", got)
			}
			idle, expiry := 24*time.Hour, 48*time.Hour
			if !test.remembered {
				idle, expiry = 10*time.Minute, time.Hour
			}
			at := func(d time.Duration) string { return k.clock.Now().Add(d).UTC().Format(time.RFC3339) }
			write := k.manager.Config().Timeout.ActivityWriteInterval
			if s := c.State(); s.Field("session.idle_expires_at") != at(idle+write) || s.Field("session.expires_at") != at(expiry) {
				t.Errorf("%v", s.Field("session"))
			}
			k.clock.Advance(idle + write - time.Microsecond)
			c.State()
			k.clock.Advance(time.Microsecond)
			if got := c.Get("/api/session_state").Want(401).Field("reason"); got != "idle_timeout" {
				t.Errorf("reason %v", got)
			}
		})
	}
}

func TestARotationKeepsWhetherTheDeviceIsRemembered(t *testing.T) {
	k := newContract(t, session.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) {
		if _, err := k.handler.Rotate(w, r); err != nil {
			k.handler.Error(w, r, err)
		}
	})
	served := k.handler.Wrap(mux)
	for _, remember := range []bool{true, false} {
		c := sessiontest.NewClient(t, served)
		c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password, "remember": remember}).Want(200)
		set := fmt.Sprint(c.Post("/rotate", nil).Want(200).Header["Set-Cookie"])
		if !strings.Contains(set, "vedfolnir=") || strings.Contains(set, "Max-Age") != remember {
			t.Errorf("remember %v: %s", remember, set)
		}
	}
}

func TestRememberIsATruth(t *testing.T) {
	k := newContract(t, session.Config{})
	c := sessiontest.NewClient(t, k.served)
	for _, wrong := range []any{"yes", 1, []bool{true}} {
		answer := c.Post("/login", map[string]any{"username": "alex", "password": sessiontest.Password, "remember": wrong}).Want(400)
		if len(answer.Header["Set-Cookie"]) > 0 {
			t.Errorf("%v: %q", wrong, answer.Header["Set-Cookie"])
		}
	}
}
