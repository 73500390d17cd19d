package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

// The block of the specification, comments and all.
var asSpecified = []string{
	"SESSION_LIFETIME_SECONDS=172800  # 48 hours",
	"SESSION_IDLE_TIMEOUT_SECONDS=86400  # 24 hours",
	"SESSION_SYNC_CHECK_INTERVAL_SECONDS=2",
	"SESSION_HEARTBEAT_INTERVAL_SECONDS=30",
	"SESSION_ENABLE_FINGERPRINTING=true",
	"SESSION_ENABLE_AUDIT_LOGGING=true",
	"SESSION_MAX_CONCURRENT_PER_USER=5",
	"SESSION_CLEANUP_INTERVAL_SECONDS=1800  # 30 minutes",
	"SESSION_CLEANUP_BATCH_SIZE=100",
}

// settings returns the configuration in force as its JSON.
func settings(t *testing.T, c session.Config) map[string]map[string]any {
	t.Helper()
	encoded, err := json.Marshal(open(t, memstore.New(), nil, c).Config())
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]map[string]any
	if err := json.Unmarshal(encoded, &groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

func TestLesson15_TheSpecificationsBlockIsReadAndIsTheDefault(t *testing.T) {
	c, warnings, err := session.ConfigFromEnv(asSpecified)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	got := settings(t, c)
	if want := settings(t, session.Config{}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nis not the default\n%v", got, want)
	}
	for path, want := range map[string]any{
		"timeout.session_lifetime": 172800.0, "timeout.idle_timeout": 86400.0, "timeout.absolute_timeout": 604800.0,
		"timeout.warning_threshold": 900.0, "timeout.activity_write_interval": 60.0,
		"cleanup.cleanup_interval": 1800.0, "cleanup.batch_size": 100.0, "cleanup.retention": 604800.0,
		"sync.check_interval": 2.0, "sync.heartbeat_interval": 30.0, "sync.lease": 2.0,
		"security.max_concurrent_per_user": 5.0, "security.max_platform_switches_per_hour": 50.0,
		"security.limit_policy": "oldest", "security.rotation_overlap": 10.0,
		"security.enable_fingerprinting": true, "security.enable_audit_logging": true,
		"features.enable_cross_tab_sync": true, "features.enable_background_cleanup": true,
	} {
		group, name, _ := strings.Cut(path, ".")
		if got[group][name] != want {
			t.Errorf("%s is %v, want %v", path, got[group][name], want)
		}
	}
}

func TestConfigFromEnv(t *testing.T) {
	for _, test := range []struct {
		env  string
		want session.Config
	}{
		{"SESSION_LIFETIME_SECONDS=48h", session.Config{Timeout: session.Timeout{SessionLifetime: 48 * time.Hour}}},
		{"SESSION_LIFETIME_SECONDS= '3600' ", session.Config{Timeout: session.Timeout{SessionLifetime: time.Hour}}},
		{"SESSION_SYNC_CHECK_INTERVAL_SECONDS=0.5", session.Config{Sync: session.Sync{CheckInterval: 500 * time.Millisecond}}},
		{"SESSION_MAX_CONCURRENT_PER_USER=0", session.Config{Security: session.Security{MaxConcurrentPerUser: session.NoLimit}}},
		{"SESSION_LEASE_SECONDS=0 # ask every time", session.Config{Sync: session.Sync{Lease: session.NoLease}}},
		{"SESSION_LIMIT_POLICY=Deny", session.Config{Security: session.Security{LimitPolicy: session.DenyNewest}}},
		{"SESSION_ENABLE_FINGERPRINTING=no", session.Config{Security: session.Security{NoFingerprinting: true}}},
		{"SESSION_ENABLE_AUDIT_LOGGING=off", session.Config{Security: session.Security{NoAuditLogging: true}}},
		{"SESSION_FEATURE_CROSS_TAB_SYNC=0", session.Config{Features: session.Features{NoCrossTabSync: true}}},
		{"SESSION_FEATURE_BACKGROUND_CLEANUP=False", session.Config{Features: session.Features{NoBackgroundCleanup: true}}},
		{"SESSION_IDLE_TIMEOUT_SECONDS=", session.Config{}},
		{"HOME=/", session.Config{}},
		{"SESSION_MANAGER=local/host:@/tmp/.ICE-unix/1", session.Config{}},
	} {
		got, warnings, err := session.ConfigFromEnv([]string{test.env})
		if err != nil || len(warnings) > 0 || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v, %v", test.env, got, warnings, err)
		}
	}
}

func TestLesson15_EveryMistakeOfTheEnvironmentIsReportedWithItsFix(t *testing.T) {
	_, _, err := session.ConfigFromEnv([]string{
		"SESSION_LIFETIME_SECONDS=-5", "SESSION_IDLE_TIMEOUT_SECONDS=a day", "SESSION_CLEANUP_BATCH_SIZE=0",
		"SESSION_ENABLE_FINGERPRINTING=maybe", "SESSION_MAX_CONCURRENT_PER_USER=2.5", "SESSION_LIMIT_POLICY=random",
		"SESSION_ABSOLUTE_TIMEOUT_SECONDS=1h", "SESSION_CLEANUP_INTERVAL_SECONDS=NaN", "SESSION_ROTATION_OVERLAP_SECONDS=1e300",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`SESSION_LIFETIME_SECONDS is "-5": give more than 0`, `SESSION_IDLE_TIMEOUT_SECONDS is "a day": give seconds`,
		`SESSION_CLEANUP_BATCH_SIZE is "0": give more than 0`, `SESSION_ENABLE_FINGERPRINTING is "maybe": give true or false`,
		`SESSION_MAX_CONCURRENT_PER_USER is "2.5": give a whole number`, "give oldest, idlest or deny",
		"longer than timeout.absolute_timeout (SESSION_ABSOLUTE_TIMEOUT_SECONDS), 1h0m0s: shorten the one or lengthen the other",
		`SESSION_CLEANUP_INTERVAL_SECONDS is "NaN"`, `SESSION_ROTATION_OVERLAP_SECONDS is "1e300"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %s:\n%v", want, err)
		}
	}
}

func TestContradictionsAreReported(t *testing.T) {
	for name, test := range map[string]struct {
		timeout session.Timeout
		sync    session.Sync
		want    string
	}{
		"lifetime over absolute":   {session.Timeout{SessionLifetime: 8 * 24 * time.Hour}, session.Sync{}, "timeout.session_lifetime"},
		"idle over lifetime":       {session.Timeout{SessionLifetime: time.Hour, IdleTimeout: 2 * time.Hour}, session.Sync{}, "timeout.idle_timeout"},
		"warning before the start": {session.Timeout{IdleTimeout: time.Hour, WarningThreshold: time.Hour}, session.Sync{}, "timeout.warning_threshold"},
		"interval over idle":       {session.Timeout{IdleTimeout: time.Minute, ActivityWriteInterval: time.Minute}, session.Sync{}, "timeout.activity_write_interval"},
		"heartbeat over idle":      {session.Timeout{IdleTimeout: time.Minute}, session.Sync{HeartbeatInterval: time.Minute}, "sync.heartbeat_interval"},
	} {
		_, err := session.New(memstore.New(), nil, session.Config{Timeout: test.timeout, Sync: test.sync})
		var mistake *session.ConfigError
		if !errors.As(err, &mistake) || !strings.HasPrefix(mistake.Setting, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDefaultsGiveWayToWhatIsExplicit(t *testing.T) {
	got := open(t, memstore.New(), nil, session.Config{Timeout: session.Timeout{IdleTimeout: 10 * time.Second, SessionLifetime: 20 * time.Second}}).Config().Timeout
	want := session.Timeout{
		IdleTimeout: 10 * time.Second, SessionLifetime: 20 * time.Second, AbsoluteTimeout: 7 * 24 * time.Hour,
		WarningThreshold: 2500 * time.Millisecond, ActivityWriteInterval: time.Second,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAnUnknownVariableIsAWarningOnlyIfItLooksLikeAKnownOne(t *testing.T) {
	for env, want := range map[string]string{
		"SESSION_LIFETIME_SECOND=1":      "SESSION_LIFETIME_SECONDS",
		"SESSION_IDLE_TIMEOUT=1":         "SESSION_IDLE_TIMEOUT_SECONDS",
		"SESSION_MAX_CONCURENT_PER_USER": "",
		"SESSION_MANAGER=x":              "",
		"SESSION_SECRET=x":               "",
	} {
		_, warnings, err := session.ConfigFromEnv([]string{env})
		if err != nil || (want == "") != (len(warnings) == 0) || want != "" && !strings.Contains(warnings[0], want) {
			t.Errorf("%s: %v, %v", env, warnings, err)
		}
	}
	if _, warnings, _ := session.ConfigFromEnv(os.Environ()); len(warnings) > 0 {
		t.Logf("of this environment: %v", warnings)
	}
}

func FuzzConfigFromEnv(f *testing.F) {
	for _, line := range asSpecified {
		f.Add(line)
	}
	f.Add("SESSION_LIFETIME_SECONDS=48h#")
	f.Add("SESSION_LIFETIME_SECONDS='")
	f.Fuzz(func(t *testing.T, line string) {
		c, _, err := session.ConfigFromEnv([]string{line})
		if err != nil {
			return
		}
		m, err := session.New(memstore.New(), nil, c)
		if err != nil {
			t.Fatalf("%q is accepted and then refused: %v", line, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Whoever lets people choose settings finds each with a default that reads back as
// itself.
func TestSettingsDescribeThemselves(t *testing.T) {
	var environ []string
	for _, s := range session.Settings() {
		if s.Help == "" || s.Path == "" {
			t.Errorf("%+v says too little", s)
		}
		environ = append(environ, s.Env+"="+s.Default)
	}
	if len(environ) == 0 {
		t.Fatal("there are no settings")
	}
	chosen, warnings, err := session.ConfigFromEnv(environ)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v", err, warnings)
	}
	m, err := session.New(memstore.New(), nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got, _ := json.Marshal(chosen)
	want, _ := json.Marshal(m.Config())
	if !bytes.Equal(got, want) {
		t.Errorf("the defaults read as\n%s\nnot\n%s", got, want)
	}
}
