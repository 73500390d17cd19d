package main

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/openid/openidtest"
	"github.com/vedfolnir/session/internal/testservers"
)

// beside returns the flags of a server with that origin beside the provider.
func beside(t *testing.T, p *openidtest.Provider, folder, origin string) []string {
	t.Helper()
	secret := filepath.Join(folder, "client.secret")
	if err := os.WriteFile(secret, []byte(openidtest.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"--origin=" + origin, "--openid-issuer=" + p.URL, "--openid-client-id=" + openidtest.ClientID,
		"--openid-client-secret=" + secret, "--openid-name=Example", "--openid-create",
	}
}

var formForm = regexp.MustCompile(`(?s)action="/openid/sign-in".*?name="csrf_token" value="([^"]*)"`)

// signInThere goes through the provider.
func (p *process) signInThere() *http.Client {
	p.t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	token := formForm.FindStringSubmatch(get(p.t, c, p.url+"/login"))[1]
	w, err := c.PostForm(p.url+"/openid/sign-in", url.Values{"csrf_token": {html.UnescapeString(token)}})
	if err != nil {
		p.t.Fatal(err)
	}
	w.Body.Close()
	there, ok := strings.CutPrefix(w.Header.Get("Refresh"), "0;url=")
	if !ok {
		p.t.Fatalf("%s, and no way to the provider", w.Status)
	}
	if w, err = c.Get(there); err != nil {
		p.t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 200 || w.Request.URL.Path != "/" {
		p.t.Fatalf("signing in there: %s at %s", w.Status, w.Request.URL)
	}
	return c
}

// Somebody signs out at the provider, which tells one node: tabs at both have heard of
// it within the two seconds that are promised, and both refuse the session.
func TestASignOutAtTheProviderReachesTabsOnEveryNode(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	folder := t.TempDir()
	flags := []string{"--database=" + testservers.PostgreSQL(t), "--keys=" + filepath.Join(folder, "shared.keys")}
	if out, err := command(t, folder, nil, append([]string{"keys", "make"}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, port, _ := strings.Cut(freeAddress(t), ":")
	flags = append(append([]string{"--demo"}, flags...), beside(t, p, folder, "http://localhost:"+port)...)
	here := launch(t, folder, nil, append(flags, "--addr=127.0.0.1:"+port)...)
	there := launch(t, folder, nil, flags...)
	for _, node := range []*process{here, there} {
		node.url = strings.Replace(node.url, "127.0.0.1", "localhost", 1) // as the origin has it
	}
	var took []time.Duration
	for range 10 {
		c := here.signInThere()
		tabs := []<-chan string{here.stream(c), here.stream(c), there.stream(c)}
		token := p.Logout(nil)
		began := time.Now()
		w, err := http.PostForm(there.url+"/backchannel-logout", url.Values{"logout_token": {token}})
		if err != nil || w.StatusCode != 200 {
			t.Fatalf("%v, %v", w, err)
		}
		w.Body.Close()
		for _, tab := range tabs {
			await(t, tab, "ended")
		}
		took = append(took, time.Since(began))
		for _, node := range []*process{here, there} {
			if status, body := node.state(c); status != 401 || !strings.Contains(string(body), "signed_out") {
				t.Errorf("%d %s", status, body)
			}
		}
		if w, err = http.PostForm(here.url+"/backchannel-logout", url.Values{"logout_token": {token}}); err != nil || w.StatusCode != 400 {
			t.Errorf("the same token, at the other node: %v, %v", w, err)
		}
		w.Body.Close()
	}
	slices.Sort(took)
	t.Logf("all three tabs have heard of it after %v in the middle, %v at most", took[len(took)/2], took[len(took)-1])
	if most := took[len(took)-1]; most > 2*time.Second {
		t.Errorf("%v", most)
	}
	for _, node := range []*process{here, there} {
		if text := node.stderr.String() + node.stdout.String(); strings.Contains(text, openidtest.Secret) || strings.Contains(text, "kim-at-the-provider") {
			t.Error("the log holds what it must not")
		}
	}
}

// The doctor asks the provider, and says what that has to know.
func TestTheDoctorLooksAtTheProvider(t *testing.T) {
	t.Parallel()
	p := openidtest.Start(t)
	folder := t.TempDir()
	codes := func(more ...string) (list []string) {
		var environ []string
		for _, flag := range append(beside(t, p, folder, "https://accounts.example.org"), more...) {
			name, value, given := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
			if !given {
				value = "true"
			}
			environ = append(environ, config.Env(name)+"="+value)
		}
		for _, f := range diagnose(t, folder, environ) {
			if strings.HasPrefix(f.Code, "OPENID_") {
				list = append(list, f.Code)
				if f.Problem && !strings.Contains(f.Fix, "https://accounts.example.org/openid/callback") {
					t.Errorf("%s does not say the redirect URI: %s", f.Code, f.Fix)
				}
			}
		}
		return list
	}
	if got := codes(); got != nil {
		t.Errorf("all is well, and it finds %v", got)
	}
	if got := codes("--openid-client-secret="); !slices.Equal(got, []string{"OPENID_PUBLIC_CLIENT"}) {
		t.Errorf("without a secret: %v", got)
	}
	if got := codes("--openid-issuer=" + p.URL + "/other"); !slices.Equal(got, []string{"OPENID_UNREACHABLE"}) {
		t.Errorf("an issuer that it is not: %v", got)
	}
}
