package assurance

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAProofSufficesToTheInstantAndByItsLevel(t *testing.T) {
	now := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		proof    Proof
		required Required
		reason   string // empty: it suffices
	}{
		{Proof{}, Required{}, ""},
		{Proof{now, OneFactor}, Required{MaxAge: time.Microsecond}, ""},
		{Proof{now.Add(-time.Hour + time.Microsecond), OneFactor}, Required{MaxAge: time.Hour}, ""},
		{Proof{now.Add(-time.Hour), OneFactor}, Required{MaxAge: time.Hour}, TooOld},
		{Proof{now.Add(time.Hour), OneFactor}, Required{MaxAge: time.Minute}, ""}, // a clock was set back
		{Proof{}, Required{MaxAge: 1<<63 - 1}, TooOld},
		{Proof{now, OneFactor}, Required{MaxAge: -1}, TooOld},
		{Proof{}, Required{Level: OneFactor}, ""},
		{Proof{now, 0}, Required{Level: OneFactor}, ""},
		{Proof{now, OneFactor}, Required{Level: TwoFactors}, LevelTooLow},
		{Proof{now, TwoFactors}, Required{Level: TwoFactors}, ""},
		{Proof{now, PhishingResistant}, Required{Level: TwoFactors}, ""},
		{Proof{}, Required{Level: TwoFactors, MaxAge: time.Hour}, LevelTooLow},
		{Proof{now.Add(-time.Hour), TwoFactors}, Required{Level: TwoFactors, MaxAge: time.Hour}, TooOld},
	} {
		err := test.required.Check(test.proof, now)
		var e *Error
		if errors.As(err, &e); err != nil && (e == nil || e.Reason != test.reason || e.Required != test.required) || (err == nil) != (test.reason == "") {
			t.Errorf("%+v of %+v: %v, want %q", test.required, test.proof, err, test.reason)
		}
	}
}

func TestAProofAgainKeepsTheHigherLevel(t *testing.T) {
	now := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct{ before, now, want Level }{
		{0, 0, OneFactor}, {OneFactor, TwoFactors, TwoFactors}, {TwoFactors, OneFactor, TwoFactors}, {TwoFactors, PhishingResistant, PhishingResistant},
	} {
		if got := (Proof{now.Add(-time.Hour), test.before}).Again(now, test.now); got != (Proof{now, test.want}) {
			t.Errorf("%d, then %d: %+v", test.before, test.now, got)
		}
	}
}

func ExampleRequired_Check() {
	now := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	proof := Proof{At: now.Add(-time.Hour), Level: OneFactor} // an hour ago, by a password
	toPay := Required{MaxAge: 10 * time.Minute}
	fmt.Println(toPay.Check(proof, now))
	proof = proof.Again(now, OneFactor)
	fmt.Println(toPay.Check(proof, now))
	// Output:
	// what was proved does not suffice (authentication_too_old): have the person prove anew who they are, then try again
	// <nil>
}

func TestTheProofOfASignInIsOfNowAtTheLatest(t *testing.T) {
	now := time.Date(2025, 1, 11, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ earlier, want time.Time }{
		"nobody else has seen it": {time.Time{}, now},
		"an hour ago":             {now.Add(-time.Hour), now.Add(-time.Hour)},
		"in time to come":         {now.Add(time.Second), now},
	} {
		if p := First(now, c.earlier, 0); !p.At.Equal(c.want) || p.Level != OneFactor {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
