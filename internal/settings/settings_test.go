package settings_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/settings"
)

type config struct {
	Wait, Lease time.Duration
	Size, Limit int
	Policy      string
	NoLog       bool
}

var table = settings.Table[config]{
	settings.Duration("a.wait", "X_WAIT_SECONDS", time.Minute, func(c *config) *time.Duration { return &c.Wait }, "how long"),
	settings.DurationOrNone("a.lease", "X_LEASE_SECONDS", time.Second, func(c *config) *time.Duration { return &c.Lease }, "how long, or not"),
	settings.Count("b.size", "X_SIZE", 10, func(c *config) *int { return &c.Size }, "how many"),
	settings.CountOrNone("b.limit", "X_LIMIT", 5, func(c *config) *int { return &c.Limit }, "how many, or any number"),
	settings.Choice("b.policy", "X_POLICY", []string{"old", "idle", "deny"}, func(c *config) *string { return &c.Policy }, "which"),
	settings.Switch("b.enable_log", "X_LOG", func(c *config) *bool { return &c.NoLog }, "whether"),
}

var standard = config{time.Minute, time.Second, 10, 5, "old", false}

func collect(into *[]string) func(setting, problem string) {
	return func(setting, problem string) { *into = append(*into, setting+" "+problem) }
}

func TestComplete(t *testing.T) {
	for name, test := range map[string]struct {
		given, want config
		problem     string
	}{
		"nothing":                 {config{}, standard, ""},
		"none":                    {config{Lease: -1, Limit: -1, NoLog: true, Policy: "deny"}, config{time.Minute, -1, 10, -1, "deny", true}, ""},
		"none where it cannot be": {config{Size: -1}, config{}, "b.size (X_SIZE) is -1: give a positive number, or leave it out for 10"},
		"less than none":          {config{Lease: -2}, config{}, "a.lease (X_LEASE_SECONDS) is -2ns: give a positive duration, or -1 for none, or leave it out for 1s"},
		"another word":            {config{Policy: "new"}, config{}, `b.policy (X_POLICY) is "new": give old, idle or deny`},
	} {
		var problems []string
		c := test.given
		table.Complete(&c, collect(&problems))
		switch {
		case test.problem == "" && (c != test.want || problems != nil):
			t.Errorf("%s: %+v, %v", name, c, problems)
		case test.problem != "" && !slices.Equal(problems, []string{test.problem}):
			t.Errorf("%s: %q, want %q", name, problems, test.problem)
		}
	}
}

func TestFromEnv(t *testing.T) {
	var c config
	var problems []string
	warnings := table.FromEnv(&c, []string{
		"X_WAIT_SECONDS=90 # a comment", "X_LEASE_SECONDS=0", "X_SIZE='7'", "X_LIMIT=many", "X_POLICY=Idle", "X_LOG=off",
		"X_SIZES=1", "X_SOMETHING_ELSE=1", "Y_SIZE=1", "no variable",
	}, "X_", collect(&problems))
	if want := (config{90 * time.Second, -1, 7, 0, "idle", true}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if !slices.Equal(problems, []string{`X_LIMIT is "many": give a whole number`}) {
		t.Errorf("problems %q", problems)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "X_SIZES is not known and was not used; did you mean X_SIZE?") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestTooLittleIsRefusedWithTheLeastThereIs(t *testing.T) {
	var problems []string
	table.FromEnv(&config{}, []string{"X_WAIT_SECONDS=0", "X_LEASE_SECONDS=-2", "X_SIZE=0", "X_LIMIT=-2"}, "X_", collect(&problems))
	if !slices.Equal(problems, []string{
		`X_WAIT_SECONDS is "0": give more than 0`, `X_LEASE_SECONDS is "-2": give 0 for none, or more`,
		`X_SIZE is "0": give more than 0`, `X_LIMIT is "-2": give 0 for none, or more`,
	}) {
		t.Errorf("problems %q", problems)
	}
}

// What a setting says of itself reads back as the default.
func TestDefault(t *testing.T) {
	var environ []string
	for _, s := range table {
		environ = append(environ, s.Env+"="+s.Default())
	}
	var c config
	var problems []string
	table.FromEnv(&c, environ, "X_", collect(&problems))
	if c != standard || problems != nil {
		t.Errorf("%q reads as %+v, %v", environ, c, problems)
	}
}

func TestJSON(t *testing.T) {
	got, err := table.JSON(config{90 * time.Second, -1, 7, -1, "idle", true})
	const want = `{"a":{"lease":0,"wait":90},"b":{"enable_log":false,"limit":0,"policy":"idle","size":7}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
