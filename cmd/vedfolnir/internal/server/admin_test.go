package server

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/monitor"
)

func scrape(t *testing.T, s *site, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.adminRoutes().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	if w.Code != 200 {
		t.Fatalf("%s: %d\n%s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// busyDay is a sign-in, a switch, refusals, and an end.
func busyDay(t *testing.T) *site {
	s := demo(t)
	b := s.browser(t)
	b.open("/api/session_state") // 401
	b.signIn("alex")
	if _, err := s.manager.Cleanup(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	b.submit("Switch to My Mastodon")
	b.do("GET", "/api/session_state/", nil)
	b.do("GET", "/some/"+strings.Repeat("thing", 10), nil)
	b.do("BREW", "/", nil)
	b.open("/")
	b.submit("Sign out")
	return s
}

func TestMetricsCountWhatHappens(t *testing.T) {
	s := busyDay(t)
	text := scrape(t, s, "/metrics")
	for _, line := range []string{
		`vedfolnir_session_changes_total{action="created"} 1`,
		`vedfolnir_session_changes_total{action="platform_switched"} 1`,
		`vedfolnir_session_ends_total{reason="signed_out"} 1`,
		`vedfolnir_http_refusals_total{error_code="SESSION_REQUIRED"} `,
		`vedfolnir_http_requests_total{code="401",method="GET",route="/api/session_state"} 1`,
		`vedfolnir_http_request_duration_seconds_count{route="/login"} `,
		`vedfolnir_sessions_live 0`,
		`vedfolnir_streams_open 0`,
		`vedfolnir_store_operation_duration_seconds_count{operation="create"} 1`,
		`vedfolnir_store_operation_duration_seconds_count{operation="get"} `,     // what the cache did not know
		`vedfolnir_store_operation_duration_seconds_count{operation="changes"} `, // the feed
		`vedfolnir_store_operation_duration_seconds_count{operation="expire"} `,  // the sweep
		`vedfolnir_store_operation_duration_seconds_count{operation="purge"} `,
		`vedfolnir_store_commit_changes_count `,
		`vedfolnir_store_commit_duration_seconds_count `,
		`vedfolnir_snapshots `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "thing") || strings.Contains(text, "BREW") {
		t.Error("a stranger's words became a label")
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestSummaryIsForAPerson(t *testing.T) {
	text := scrape(t, busyDay(t), "/summary")
	for _, words := range []string{"Sessions: 0 live", "Sessions begun: 1; platforms switched: 1; sessions ended: 1.", "0 failed"} {
		if !strings.Contains(text, words) {
			t.Errorf("no %q in\n%s", words, text)
		}
	}
}

// Whoever has another's id for a name is another all the same.
func TestAnAdministratorsNameMakesNobodyElseOne(t *testing.T) {
	s := demo(t)
	_, err := s.people.Add(t.Context(), directory.Newcomer{
		Username: string(entry(t, s, "alex").ID), Email: "number@example.org", Password: "correct horse battery", Role: directory.Admin,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	b.signIn("alex")
	if p := b.do("GET", "/api/admin/metrics", nil); p.status != 403 {
		t.Errorf("%d %s", p.status, p.body)
	}
}

func TestMetricsAreForAdministratorsOnly(t *testing.T) {
	s := demo(t)
	if p := s.browser(t).do("GET", "/api/admin/metrics", nil, "Accept", "application/json"); p.status != 401 {
		t.Errorf("signed out: %d", p.status)
	}
	b := s.browser(t)
	b.signIn("alex")
	if p := b.do("GET", "/api/admin/metrics", nil); p.status != 403 || !strings.Contains(p.body, `"error_code":"FORBIDDEN"`) {
		t.Errorf("an ordinary person: %d %s", p.status, p.body)
	}
	admin := s.browser(t)
	admin.signIn("admin")
	p := admin.do("GET", "/api/admin/metrics", nil)
	var got struct {
		Success bool
		monitor.Metrics
	}
	if err := json.Unmarshal([]byte(p.body), &got); err != nil || !got.Success {
		t.Fatalf("%d %s: %v", p.status, p.body, err)
	}
	var plain map[string]map[string]any        // as the specification reads it
	_ = json.Unmarshal([]byte(p.body), &plain) // numbers and truths among the groups are passed over
	if plain["session_metrics"]["active_sessions"] != 2.0 {
		t.Errorf("session_metrics.active_sessions is not 2: %s", p.body)
	}
	if got.Sessions.ActiveSessions != 2 || got.Changes["created"] != 2 || got.Store.Commits == 0 || got.Requests.Total == 0 || got.Requests.Refusals["FORBIDDEN"] != 1 {
		t.Errorf("%s", p.body)
	}
	if w := httptest.NewRecorder(); true {
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code == 200 {
			t.Error("/metrics is served to everybody")
		}
	}
}
