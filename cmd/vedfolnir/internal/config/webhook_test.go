package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
)

func TestWebhook(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 3 { // the one in front, and the one that it replaced
		if _, err := config.AddSecret("secrets"); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("secrets")
	if err != nil || strings.Count(string(text), "\n"+config.SecretPrefix) != 2 {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat("secrets"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	three := strings.Repeat(strings.Repeat("A", 43)+"=\n", 3)
	for name, content := range map[string]string{"short": "whsec_c2hvcnQ=\n", "three": three} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("open", text, 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(args ...string) (config.Settings, error) {
		return load(t, nil, append([]string{"--database=sqlite::memory:", "--origin=https://id.example"}, args...)...)
	}
	s, err := with("--webhook-url=https://mail.example/hook", "--webhook-secrets=secrets", "--webhook-kinds=new_device", "--webhook-kinds=passkey_added")
	if err != nil || s.Webhook.URL != "https://mail.example/hook" || len(s.Webhook.Secrets) != 2 || len(s.Webhook.Kinds) != 2 || s.Webhook.Network != config.PublicNetwork {
		t.Errorf("%+v, %v", s.Webhook, err)
	}
	for _, args := range [][]string{
		nil,
		{"--webhook-url=http://127.0.0.1:1/", "--webhook-secrets=secrets", "--webhook-network=loopback"},
		{"--webhook-url=http://localhost:1/", "--webhook-secrets=secrets", "--webhook-network=loopback"},
		{"--webhook-url=https://10.0.0.1/", "--webhook-secrets=secrets", "--webhook-network=private"},
	} {
		if _, err := with(args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for want, args := range map[string][]string{
		"without --webhook-secrets":        {"--webhook-url=https://x.example"},
		"do nothing without --webhook-url": {"--webhook-secrets=secrets"},
		"give https://":                    {"--webhook-url=http://x.example", "--webhook-secrets=secrets"},
		"say so with --webhook-network":    {"--webhook-url=http://[::1]:1", "--webhook-secrets=secrets"},
		"or http:// on this machine":       {"--webhook-url=http://10.0.0.1", "--webhook-secrets=secrets", "--webhook-network=private"},
		"which others could see":           {"--webhook-url=https://kim:secret@x.example", "--webhook-secrets=secrets"},
		"give it as https://HOST/PATH":     {"--webhook-url=mail", "--webhook-secrets=secrets"},
		"there is no such kind":            {"--webhook-url=https://x.example", "--webhook-secrets=secrets", "--webhook-kinds=all"},
		"give public, private or loopback": {"--webhook-network=any"},
		"line 1: this is no key":           {"--webhook-url=https://x.example", "--webhook-secrets=short"},
		"holds 3 secrets":                  {"--webhook-url=https://x.example", "--webhook-secrets=three"},
		"can be read by others":            {"--webhook-url=https://x.example", "--webhook-secrets=open"},
		"--notice-days":                    {"--notice-days=0"},
	} {
		if _, err := with(args...); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "kim:secret") {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, err := load(t, nil, "--database=sqlite::memory:", "--webhook-url=https://x.example", "--webhook-secrets="+filepath.Join(".", "secrets")); err == nil || !strings.Contains(err.Error(), "--webhook-url without --origin") {
		t.Errorf("without an origin: %v", err)
	}
}
