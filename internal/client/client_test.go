package client_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vedfolnir/session/internal/client"
	"github.com/vedfolnir/session/suspicion"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

func TestDevice(t *testing.T) {
	for agent, want := range map[string]string{
		firefox: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                   "Chrome on macOS",
		"curl/8.5.0": "curl",
		"":           "Unknown device",
	} {
		if got := client.Device(agent); got != want {
			t.Errorf("%s: %q, want %q", agent, got, want)
		}
	}
}

func TestStorable(t *testing.T) {
	c := client.Info{UserAgent: "a\xff\x00b" + strings.Repeat("ü", 1000), IPAddress: "192.0.2.7", Language: "\x00"}.Storable()
	if !utf8.ValidString(c.UserAgent) || len(c.UserAgent) > 512 || !strings.HasPrefix(c.UserAgent, "abü") || c.Language != "" || c.IPAddress != "192.0.2.7" {
		t.Errorf("%+v", c)
	}
}

func TestChangesAreNamedAndNoNewsIsNone(t *testing.T) {
	key, other := []byte(strings.Repeat("k", 32)), []byte(strings.Repeat("o", 32))
	was := client.Info{UserAgent: firefox, IPAddress: "192.0.2.7", Language: "en-GB,en;q=0.8"}
	kept := was.Fingerprint([][]byte{key})
	for name, test := range map[string]struct {
		is   client.Info
		keys [][]byte
		want []suspicion.Signal
	}{
		"the same":           {was, [][]byte{key}, nil},
		"an update":          {client.Info{UserAgent: strings.ReplaceAll(firefox, "145", "146"), IPAddress: "192.0.2.200", Language: "EN-gb"}, [][]byte{key}, nil},
		"another program":    {client.Info{UserAgent: "curl/8", IPAddress: was.IPAddress, Language: was.Language}, [][]byte{key}, []suspicion.Signal{suspicion.UserAgentChanged, suspicion.PlatformChanged}},
		"another network":    {client.Info{UserAgent: firefox, IPAddress: "2001:db8::1", Language: was.Language}, [][]byte{key}, []suspicion.Signal{suspicion.NetworkChanged}},
		"everything":         {client.Info{}, [][]byte{other, key}, []suspicion.Signal{suspicion.UserAgentChanged, suspicion.PlatformChanged, suspicion.LanguageChanged, suspicion.NetworkChanged}},
		"the key is unknown": {client.Info{}, [][]byte{other}, nil},
	} {
		if got := test.is.Changes(kept, test.keys); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if strings.Contains(kept, "Firefox") || strings.Contains(kept, "192") {
		t.Errorf("%s says what the client is", kept)
	}
}
