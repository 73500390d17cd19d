//go:build unix

package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// SIGHUP takes what can be taken without a restart, says what cannot, and takes
// nothing from a file with a mistake.
func TestHangupReadsTheSettingsAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := certificate(t, folder)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "v.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n")
	p := launch(t, folder, nil, "--demo", "--config=v.toml", "--database=sqlite:v.db")
	dial := func() error {
		c, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{RootCAs: roots})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := dial(); err != nil {
		t.Fatal(err)
	}
	hangUp := func(want string) {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.stderr.await(t, want)
	}

	old := roots
	roots = certificate(t, folder)
	write("tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\nlog_level = \"debug\"\naddr = \"127.0.0.1:0\"\ntrusted_prox = \"::1\"\n")
	hangUp("trusted_prox")
	if err := dial(); err == nil {
		t.Error("a file with a mistake was taken")
	}

	write("tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\nlog_level = \"debug\"\n[timeout]\nidle_timeout = 3600\n")
	hangUp("timeout.idle_timeout")
	if err := dial(); err != nil {
		t.Errorf("the new certificate is not served: %v", err)
	}
	if strings.Contains(p.stderr.String(), "/livez") {
		t.Fatal("a probe is in the log already")
	}
	get(t, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}, p.url+"/livez")
	p.stderr.await(t, "/livez") // at the level debug

	roots = old
	if err := dial(); err == nil {
		t.Error("the old certificate is still served")
	}
	if out, err := command(t, folder, nil, "keys", "rotate", "--database=sqlite:v.db").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hangUp(`"keys"]`)
	p.end(syscall.SIGTERM)
}
