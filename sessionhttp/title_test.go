package sessionhttp

import "testing"

func TestTitle(t *testing.T) {
	for kind, want := range map[string]string{"": "", "mastodon": "Mastodon", "élan": "Élan", "7": "7"} {
		if got := title(kind); got != want {
			t.Errorf("title(%q) = %q, want %q", kind, got, want)
		}
	}
}
