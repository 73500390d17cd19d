package clocks

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheKindsLimitsGiveWay(t *testing.T) {
	usual := Kinds{2 * time.Hour, 12 * time.Hour, 30 * time.Minute, time.Hour, day}
	for _, c := range []struct {
		given    Kinds
		clocks   Clocks
		want     Kinds
		reported []string
	}{
		{Kinds{}, Clocks{IdleTimeout: day, AbsoluteTimeout: 7 * day}, usual, nil},
		{Kinds{}, Presets["aal3"], Kinds{15 * time.Minute, 12 * time.Hour, 30 * time.Minute, 15 * time.Minute, 12 * time.Hour}, nil},
		{Kinds{}, Clocks{IdleTimeout: time.Minute, AbsoluteTimeout: 10 * time.Minute}, Kinds{time.Minute, 10 * time.Minute, 10 * time.Minute, time.Minute, 10 * time.Minute}, nil},
		{Kinds{UnrememberedIdleTimeout: time.Hour, GuestLifetime: day}, Presets["aal2"], Kinds{time.Hour, 12 * time.Hour, 30 * time.Minute, time.Hour, day}, nil},
		{Kinds{61 * time.Minute, 25 * time.Hour, 25 * time.Hour, 61 * time.Minute, 25 * time.Hour}, Presets["aal2"], Kinds{}, []string{
			"kinds.unremembered_idle_timeout", "kinds.unremembered_lifetime", "kinds.impersonation_lifetime", "kinds.guest_idle_timeout", "kinds.guest_lifetime",
		}},
	} {
		k := c.given
		for _, v := range []struct{ given, standard *time.Duration }{
			{&k.UnrememberedIdleTimeout, &usual.UnrememberedIdleTimeout},
			{&k.UnrememberedLifetime, &usual.UnrememberedLifetime},
			{&k.ImpersonationLifetime, &usual.ImpersonationLifetime},
			{&k.GuestIdleTimeout, &usual.GuestIdleTimeout},
			{&k.GuestLifetime, &usual.GuestLifetime},
		} {
			if *v.given == 0 {
				*v.given = *v.standard
			}
		}
		var reported []string
		FitKinds(c.given, c.clocks, &k, func(setting, problem string) {
			reported = append(reported, strings.Fields(setting)[0])
			if !strings.Contains(problem, "would never matter") || !strings.Contains(setting, "(SESSION_") {
				t.Errorf("%s %s", setting, problem)
			}
		})
		if !slices.Equal(reported, c.reported) || reported == nil && k != c.want {
			t.Errorf("%+v beside %+v: %+v, want %+v; %q", c.given, c.clocks, k, c.want, reported)
		}
	}
}

func TestTheTighterLimitHolds(t *testing.T) {
	at := func(minute int) time.Time {
		return time.Date(2025, 1, 11, 10, minute, 0, 999, time.FixedZone("", 3600))
	}
	held := func(minute int) time.Time { return at(minute).UTC().Truncate(time.Microsecond) }
	for _, c := range []struct{ a, b, want Limits }{
		{Limits{}, Limits{}, Limits{}},
		{Limits{Idle: 3}, Limits{Idle: time.Hour, Until: at(1)}, Limits{time.Hour, held(1)}}, // less than a store can hold is none
		{Limits{time.Minute, at(2)}, Limits{}, Limits{time.Minute, held(2)}},
		{Limits{time.Minute, at(2)}, Limits{time.Hour, at(1)}, Limits{time.Minute, held(1)}},
		{Limits{time.Hour, at(1)}, Limits{time.Minute, at(2)}, Limits{time.Minute, held(1)}},
		{Limits{Idle: -time.Minute}, Limits{}, Limits{}},
	} {
		if got := c.a.Within(c.b); got != c.want {
			t.Errorf("%v within %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
