package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
	"github.com/vedfolnir/session/sessionhttp"
)

func TestAnApplicationsOwnCookie(t *testing.T) {
	m, err := session.New(memstore.New(), nil, session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	h, err := sessionhttp.New(m, sessionhttp.Config{SameSiteStrict: true})
	if err != nil {
		t.Fatal(err)
	}
	for url, name := range map[string]string{"https://example.org/": "__Host-vedfolnir-own", "http://localhost/": "vedfolnir-own"} {
		r := httptest.NewRequest("GET", url, nil)
		c := h.NewCookie(r, "-own")
		if c.Name != name || c.Secure != (r.TLS != nil) || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s: %v", url, c)
		}
		for header, want := range map[string]string{
			"": "", name + "=a": "a", "x=y; " + name + "=a": "a", name + "=a; " + name + "=b": "", name + "=": "", "x" + name + "=a": "",
		} {
			r.Header.Set("Cookie", header)
			if got := h.CookieValue(r, "-own"); got != want {
				t.Errorf("%s: Cookie: %s: %q", url, header, got)
			}
		}
	}
}
