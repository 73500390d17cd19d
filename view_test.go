package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/suspicion"
)

// keys returns the names of an object's members, nested ones with a dot.
func keys(t *testing.T, v any) map[string]bool {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(encoded, &object); err != nil {
		t.Fatalf("%s: %v", encoded, err)
	}
	found := map[string]bool{}
	var walk func(prefix string, object map[string]any)
	walk = func(prefix string, object map[string]any) {
		for name, member := range object {
			found[prefix+name] = true
			if inner, ok := member.(map[string]any); ok {
				walk(prefix+name+".", inner)
			}
		}
	}
	walk("", object)
	return found
}

func TestResultsMarshalWithTheSpecificationsKeys(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	security, err := m.SecurityInfo(t.Context(), c.Session.ID, firefox)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := m.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		value any
		want  string
	}{
		"context":      {&c, "session_id user_id platform_connection_id platform_name platform_info user_info"},
		"pool":         {session.PoolStatus{}, "checked_out pool_size"},
		"security":     {security, "session_age_seconds last_activity_seconds is_suspicious"},
		"metrics":      {metrics, "session_metrics session_metrics.active_sessions"},
		"request info": {firefox, "user_agent ip_address"},
		"config":       {m.Config(), "timeout.session_lifetime timeout.idle_timeout cleanup.cleanup_interval features.enable_cross_tab_sync features.enable_background_cleanup"},
	} {
		found := keys(t, test.value)
		for _, key := range strings.Fields(test.want) {
			if !found[key] {
				t.Errorf("%s lacks %s: %v", name, key, found)
			}
		}
	}
}

// The client sees this and nothing else: whoever adds a member changes this test.
func TestClientViewIsAnAllowList(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	c, token := signIn(t, m, "1")
	now.Add(30 * time.Minute)
	got := strings.Replace(string(c.ClientView()), c.Session.ID.String(), "HANDLE", 1)
	got = strings.Replace(got, c.Stamp().String(), "STAMP", 1)
	want := `{"user":{"id":1,"username":"alex","email":"alex@example.com"},` +
		`"platform":{"id":11,"name":"My Pixelfed","type":"pixelfed","instance_url":"https://pixelfed.social","is_default":true},` +
		`"session":{"session_id":"HANDLE","created_at":"2025-01-11T10:00:00Z","last_activity":"2025-01-11T10:00:00Z",` +
		`"expires_at":"2025-01-13T10:00:00Z","idle_expires_at":"2025-01-12T10:01:00Z","version":1},"stamp":"STAMP"}`
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(string(c.ClientView()), token.Reveal()[33:]) {
		t.Error("it holds the secret")
	}
}

func TestIDsAreNumbersWhereJavaScriptCanHoldThem(t *testing.T) {
	for id, want := range map[session.UserID]string{
		"123": "123", "0": "0", "9007199254740991": "9007199254740991",
		"9007199254740992": `"9007199254740992"`, "007": `"007"`, "-1": `"-1"`, "1e3": `"1e3"`, "abc": `"abc"`,
		`a"b`: `"a\"b"`, "<i>": `"\u003ci\u003e"`,
	} {
		if got, err := json.Marshal(id); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", id, got, err)
		}
	}
}

func TestContextInAContext(t *testing.T) {
	if c := session.FromContext(context.Background()); c.SignedIn() || c.User() != (session.User{}) || c.Platform() != (session.Platform{}) || c.Platforms() != nil || c.Stated() || c.Stamp() != (session.Stamp{}) || c.Deadlines() != (session.Deadlines{}) || string(c.ClientView()) != "null" {
		t.Errorf("signed out, and yet %+v", c)
	}
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	got := session.FromContext(session.NewContext(t.Context(), &c))
	if !got.SignedIn() || got.User().Username != "alex" || got.Platform().Name != "My Pixelfed" || len(got.Platforms()) != 3 {
		t.Errorf("%+v as %+v", got.User(), got.Platform())
	}
}

func TestLesson33_ARequestActsAsThePlatformItStates(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	c, _ := signIn(t, m, "1")
	acting, err := c.ActAs("13")
	if err != nil || acting.Platform().Name != "Work" || !acting.Stated() {
		t.Fatal(err)
	}
	if c.Stated() || c.Platform().ID != "11" {
		t.Error("the original changed")
	}
	if !strings.Contains(string(acting.ClientView()), `"platform":{"id":11`) {
		t.Error("the client view speaks of the stated platform")
	}
	for _, not := range []session.PlatformID{"21", "99", ""} {
		if _, err := c.ActAs(not); !errors.Is(err, session.ErrPlatform) {
			t.Errorf("as %q: %v", not, err)
		}
	}
}

func TestSecurityInfoNamesItsSignals(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{
		Now: now.Now, Timeout: session.Timeout{IdleTimeout: 48 * time.Hour}, Security: session.Security{MaxPlatformSwitchesPerHour: 2},
	})
	c, _ := signIn(t, m, "1")
	now.Add(90 * time.Second)
	look := func(client session.Client) session.SecurityInfo {
		info, err := m.SecurityInfo(t.Context(), c.Session.ID, client)
		if err != nil || info.SessionAgeSeconds != int64(now.Now().Sub(c.Session.CreatedAt)/time.Second) {
			t.Fatalf("%+v, %v", info, err)
		}
		return info
	}
	want := func(what string, got session.SecurityInfo, score int, answer suspicion.Answer, signals ...string) {
		t.Helper()
		if !slices.Equal(got.Signals, signals) || got.Signals == nil || got.Score != score || got.Answer != answer || got.IsSuspicious != (answer > suspicion.None) {
			t.Errorf("%s: %+v, want %v: %d, %s", what, got.Verdict, signals, score, answer)
		}
		if !strings.HasSuffix(got.Explanation, fmt.Sprintf("score %d: %s", score, answer)) {
			t.Errorf("%s is explained as %q", what, got.Explanation)
		}
	}
	newer := firefox
	newer.UserAgent = strings.ReplaceAll(firefox.UserAgent, "145", "146")
	newer.IPAddress = "192.0.2.200"
	for _, same := range []session.Client{firefox, newer} {
		want("lesson 22: the same", look(same), 0, suspicion.None)
	}
	older := firefox
	older.UserAgent = strings.ReplaceAll(firefox.UserAgent, "145", "115")
	want("an older one", look(older), 20, suspicion.None, "user_agent_older")
	moved := session.Client{UserAgent: "curl/8", IPAddress: "2001:db8::1", Language: "de"}
	want("another", look(moved), 85, suspicion.StepUp, "user_agent_changed", "platform_changed", "language_changed", "network_changed")
	for _, platform := range []session.PlatformID{"12", "13"} {
		if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, platform); err != nil {
			t.Fatal(err)
		}
	}
	want("as many switches as are allowed", look(firefox), 0, suspicion.None)
	if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "13"); err != nil {
		t.Errorf("to the active one, which is none: %v", err)
	}
	_, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12")
	var limited *session.SwitchLimitError
	if !errors.As(err, &limited) || limited.RetryAfter != time.Hour {
		t.Errorf("one more: %v", err)
	}
	want("one more", look(firefox), 20, suspicion.None, "many_platform_switches")
	now.Add(23 * time.Hour)
	if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); err != nil {
		t.Errorf("in another hour: %v", err)
	}
	want("within a day", look(firefox), 20, suspicion.None, "many_platform_switches")
	now.Add(time.Hour)
	want("a day later", look(firefox), 0, suspicion.None)
}

func TestLesson22_FingerprintsSurviveARestartWithTheKey(t *testing.T) {
	store, key, otherKey := memstore.New(), []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))
	m := open(t, store, people, session.Config{Security: session.Security{Keys: [][]byte{key}}})
	c, _ := signIn(t, m, "1")
	curl := session.Client{UserAgent: "curl/8"}
	for name, test := range map[string]struct {
		keys [][]byte
		off  bool
		want int
	}{
		"same key": {[][]byte{key}, false, 4}, "rotated key": {[][]byte{otherKey, key}, false, 4},
		"lost key": {[][]byte{otherKey}, false, 0}, "SESSION_ENABLE_FINGERPRINTING=false": {[][]byte{key}, true, 0},
	} {
		m := open(t, store, people, session.Config{Security: session.Security{Keys: test.keys, NoFingerprinting: test.off}})
		info, err := m.SecurityInfo(t.Context(), c.Session.ID, curl)
		if err != nil || len(info.Signals) != test.want {
			t.Errorf("%s: %v, %v", name, info.Signals, err)
		}
	}
	r, err := store.Get(t.Context(), c.Session.ID)
	if err != nil || r.Fingerprint == "" || strings.Contains(r.Fingerprint, "Firefox") || strings.Contains(r.Fingerprint, "192") {
		t.Errorf("fingerprint %q, %v", r.Fingerprint, err)
	}
	off := open(t, store, people, session.Config{Security: session.Security{NoFingerprinting: true}})
	c, _ = signIn(t, off, "2")
	if r, err := store.Get(t.Context(), c.Session.ID); err != nil || r.Fingerprint != "" {
		t.Errorf("switched off, and yet taken: %q, %v", r.Fingerprint, err)
	}
}

func TestWhatAClientSaysOfItselfIsStorable(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	_, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1", Client: session.Client{UserAgent: "a\xff\x00b" + strings.Repeat("ü", 1000)}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := m.List(t.Context(), "1")
	if err != nil || !utf8.ValidString(list[0].Client.UserAgent) || len(list[0].Client.UserAgent) > 512 || !strings.HasPrefix(list[0].Client.UserAgent, "abü") {
		t.Errorf("%q, %v", list[0].Client.UserAgent, err)
	}
}

// recorder keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	events []session.AuditEvent
}

func (r *recorder) Audit(_ context.Context, e session.AuditEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func TestEveryChangeIsAudited(t *testing.T) {
	for _, off := range []bool{false, true} {
		told := &recorder{}
		m := open(t, memstore.New(), people, session.Config{Audit: told, Security: session.Security{NoAuditLogging: off}})
		c, token := signIn(t, m, "1")
		if _, err := m.SwitchPlatform(t.Context(), c.Session.ID, "12"); err != nil {
			t.Fatal(err)
		}
		c, err := m.Get(t.Context(), c.Session.ID)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = m.Refresh(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Rotate(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if err := m.Revoke(t.Context(), c.Session.ID, session.RevokedByAdmin, "operator kim"); err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range told.events {
			actions = append(actions, e.Action)
			if e.User != "1" || e.Session != c.Session.ID || e.Time.IsZero() || e.By == "" {
				t.Errorf("%+v", e)
			}
		}
		want := "created platform_switched refreshed rotated ended"
		if off {
			want = "" // SESSION_ENABLE_AUDIT_LOGGING=false
		}
		if got := strings.Join(actions, " "); got != want {
			t.Errorf("audited %q, want %q", got, want)
		}
		if !off {
			if last := told.events[4]; last.Reason != session.RevokedByAdmin || last.By != "operator kim" {
				t.Errorf("%+v", last)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	now := newClock()
	m := open(t, memstore.New(), people, session.Config{Now: now.Now})
	signIn(t, m, "1")
	now.Add(25 * time.Hour) // the first is past its deadline, and not swept
	signIn(t, m, "1")
	signIn(t, m, "2")
	metrics, err := m.Metrics(t.Context())
	if err != nil || metrics.Sessions.ActiveSessions != 2 {
		t.Errorf("%+v, %v", metrics, err)
	}
}

func TestPoolOfAStoreWithoutOne(t *testing.T) {
	m := open(t, memstore.New(), nil, session.Config{})
	if _, err := m.PoolStatus(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := m.OptimizePool(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}
