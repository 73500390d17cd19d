package rotation_test

import (
	"testing"
	"time"

	"github.com/vedfolnir/session/internal/rotation"
)

func TestStanding(t *testing.T) {
	now := time.Date(2025, 1, 11, 10, 0, 0, 0, time.UTC)
	newer, older, wrong, none := [32]byte{1}, [32]byte{2}, [32]byte{3}, [32]byte{}
	const overlap = 10 * time.Second
	for name, test := range map[string]struct {
		tokens    rotation.Tokens
		presented [32]byte
		want      rotation.Standing
		settled   bool
		mayRotate bool
	}{
		"never rotated":                    {rotation.Tokens{Current: newer}, newer, rotation.Current, true, true},
		"wrong":                            {rotation.Tokens{Current: newer}, wrong, rotation.Unknown, false, false},
		"nothing, and none before":         {rotation.Tokens{Current: newer}, none, rotation.Unknown, false, false},
		"new, first time":                  {rotation.Tokens{Current: newer, Previous: older}, newer, rotation.Unconfirmed, false, true},
		"new, again":                       {rotation.Tokens{Current: newer, Previous: older, FirstUsed: now}, newer, rotation.Current, true, true},
		"old, the new one not used":        {rotation.Tokens{Current: newer, Previous: older}, older, rotation.Previous, true, true},
		"old, the new one on its way":      {rotation.Tokens{Current: newer, Previous: older, Rotated: now.Add(-2*overlap + 1)}, older, rotation.Previous, true, false},
		"old, the new one lost":            {rotation.Tokens{Current: newer, Previous: older, Rotated: now.Add(-2 * overlap)}, older, rotation.Previous, true, true},
		"new, just made":                   {rotation.Tokens{Current: newer, Previous: older, Rotated: now}, newer, rotation.Unconfirmed, false, true},
		"old, within the overlap":          {rotation.Tokens{Current: newer, Previous: older, FirstUsed: now.Add(-overlap + 1)}, older, rotation.Previous, true, false},
		"old, after it":                    {rotation.Tokens{Current: newer, Previous: older, FirstUsed: now.Add(-overlap)}, older, rotation.Replayed, false, false},
		"wrong is no replay, whenever":     {rotation.Tokens{Current: newer, Previous: older, FirstUsed: now.Add(-time.Hour)}, wrong, rotation.Unknown, false, false},
		"nothing is never the one before":  {rotation.Tokens{Current: newer, FirstUsed: now}, none, rotation.Unknown, false, false},
		"new, long after the old one went": {rotation.Tokens{Current: newer, Previous: older, FirstUsed: now.Add(-time.Hour)}, newer, rotation.Current, true, true},
	} {
		got := test.tokens.Standing(test.presented, now, overlap)
		if got != test.want || got.Settled() != test.settled || test.tokens.MayRotate(got, now, overlap) != test.mayRotate {
			t.Errorf("%s: %v (settled %v, may rotate %v)", name, got, got.Settled(), test.tokens.MayRotate(got, now, overlap))
		}
	}
}
