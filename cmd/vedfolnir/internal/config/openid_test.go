package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheProvidersSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	secret := write(t, "pearl \n")
	s, err := load(t, []string{"VEDFOLNIR_OPENID_CLIENT_SECRET=" + secret, "VEDFOLNIR_OPENID_STRONG=gold, mfa"},
		"--origin=https://accounts.example.org", "--openid-issuer=https://id.example.org/realms/a", "--openid-client-id=v", "--openid-max-age=3600")
	if err != nil {
		t.Fatal(err)
	}
	o := s.OpenID
	if !o.On() || o.Name != "id.example.org" || o.Create || o.MatchEmail || fmt.Sprint(o.Strong) != "[gold mfa]" {
		t.Errorf("%+v", o)
	}
	if c := o.Client; c.Issuer != "https://id.example.org/realms/a" || c.ClientID != "v" || c.Secret.Reveal() != "pearl" || c.MaxAge != time.Hour ||
		c.RedirectURI != "https://accounts.example.org/openid/callback" || fmt.Sprint(c.Scopes) != "[profile email]" ||
		c.Claims.Name != "preferred_username" || c.Claims.Email != "email" || c.Claims.Until != "session_expires_at" {
		t.Errorf("%+v", c)
	}
	if uri := o.LogoutURI(); uri != "https://accounts.example.org/backchannel-logout" {
		t.Error(uri)
	}
	if strings.Contains(fmt.Sprintf("%+v", s), "pearl") {
		t.Error("the settings tell the secret")
	}
	if s, err := load(t, nil); err != nil || s.OpenID.On() {
		t.Errorf("without any: %+v, %v", s.OpenID, err)
	}
}

func TestMistakesInTheProvidersSettings(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	open, two, empty := write(t, "pearl"), write(t, "pearl\nshell"), write(t, "\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	good := []string{"--origin=https://accounts.example.org", "--openid-issuer=https://id.example.org", "--openid-client-id=v"}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no issuer":            {[]string{"--openid-client-id=v"}, "--openid-client-id without --openid-issuer"},
		"a switch alone":       {[]string{"--openid-create"}, "--openid-create without --openid-issuer"},
		"no origin":            {good[1:], "without --origin"},
		"no client":            {good[:2], "without --openid-client-id"},
		"no TLS":               {append(good, "--openid-issuer=http://id.example.org"), "without TLS"},
		"no address":           {append(good, "--openid-issuer=id.example.org"), "no address"},
		"a query":              {append(good, "--openid-issuer=https://id.example.org?x"), "more than a host and a path"},
		"no such file":         {append(good, "--openid-client-secret="+filepath.Join(folder, "none")), "no such file"},
		"a file for everybody": {append(good, "--openid-client-secret="+open), "can be read by others"},
		"two lines":            {append(good, "--openid-client-secret="+two), "on one line"},
		"an empty file":        {append(good, "--openid-client-secret="+empty), "on one line"},
		"a claim of their own": {append(good, "--openid-match-email", "--openid-email-claim=upn"), "only of the claim email"},
		"a negative age":       {append(good, "--openid-max-age=-1"), "whole number of seconds"},
		"a name for no button": {append(good, "--openid-name="+strings.Repeat("a", 61)), "on a button"},
	} {
		_, err := load(t, nil, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "pearl") {
			t.Errorf("%s: the mistake tells the secret: %v", name, err)
		}
	}
	if _, err := load(t, []string{"VEDFOLNIR_OPENID_CREATE=perhaps"}, good...); err == nil || !strings.Contains(err.Error(), "give true or false") {
		t.Errorf("a switch that is a text: %v", err)
	}
}
