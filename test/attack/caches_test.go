package attack

import (
	"strings"
	"testing"

	"github.com/vedfolnir/session/internal/nginxtest"
)

// caches are attacks by way of what stands in front of the server.
var caches = []attack{
	{
		"another's answer from a cache", "asks through a shared cache that knows nothing of cookies, just after the victim did",
		"no answer of the victim's, from no route, nor their Set-Cookie; what is the same for everybody does come from the cache", sharedCache,
	},
	{
		"cache deception", "has the victim open addresses that look like files, where a cache keeps files whatever their headers say, and asks for them after",
		"404, and nothing of the victim in what was kept", cacheDeception,
	},
}

// behind puts nginx in front of a server of its own on the same database.
func (w *world) behind(t *testing.T, location string) string {
	t.Helper()
	s := start(t, w.folder, w.out, "--trusted-proxy=127.0.0.1")
	l := freeListener(t)
	addr := l.Addr().String()
	l.Close()
	nginxtest.Start(t, w.folder, `
	proxy_cache_path `+t.TempDir()+` keys_zone=all:1m;
	server {
		listen `+addr+` ssl;
		ssl_certificate cert.pem;
		ssl_certificate_key key.pem;
		location / {
			proxy_pass http://`+s.addr+`;
			proxy_set_header Host `+app+`; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr;
			proxy_cache all; proxy_cache_valid any 10m; add_header X-Cache-Status $upstream_cache_status always;
			`+location+`
		}
	}`, addr)
	return addr
}

// cached are all addresses that show something of a person, and some that do not.
var cached = []string{
	"/", "/login", "/nothing", "/api/csrf", "/api/session_state", "/api/user_platforms", "/api/sessions", "/api/session/security", "/?done=switched", "/api/none",
}

func sharedCache(t *testing.T, w *world) {
	addr := w.behind(t, "proxy_cache_key $uri$is_args$args;")
	v := w.browserAt(t, addr).signIn(w.account(t))
	attacker := w.browserAt(t, addr).signIn(w.account(t))
	stranger := w.browserAt(t, addr)
	handle := strings.Split(strings.Trim(v.state().header.Get("ETag"), `"`), ".")[0]
	for range 2 { // the second time it would be there
		for _, path := range cached {
			mine := v.get(path)
			for _, b := range []*browser{attacker, stranger} {
				got := b.get(path)
				if got.header.Get("X-Cache-Status") == "HIT" || mine.header.Get("X-Cache-Status") == "HIT" {
					t.Errorf("%s comes from the cache: %d", path, got.status)
				}
				if strings.Contains(got.body, handle) || strings.Contains(got.body, v.who.name) {
					t.Errorf("%s shows the victim's: %s", path, got.body)
				}
			}
		}
	}
	for _, b := range []*browser{w.browserAt(t, addr), w.browserAt(t, addr)} { // Set-Cookie is one browser's
		b.token()
		if c := b.cookie(sessionCookie + "-prelogin"); c == "" || c == attacker.cookie(sessionCookie+"-prelogin") {
			t.Errorf("the form's cookie is %q", c)
		}
	}
	// And the cache does work.
	script := addressOf(t, v.get("/").body, `src="(/session-sync.js[^"]*)"`)
	v.get(script)
	if got := attacker.get(script); got.header.Get("X-Cache-Status") != "HIT" {
		t.Errorf("the script, which is everybody's: %d %s", got.status, got.header.Get("X-Cache-Status"))
	}
}

func cacheDeception(t *testing.T, w *world) {
	addr := w.behind(t, "proxy_cache_key $request_uri; proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;")
	v := w.browserAt(t, addr).signIn(w.account(t))
	for _, path := range []string{
		"/api/session_state/x.css", "/api/session_state.css", "/api/session_state;x.css", "/api/session_state%2fx.css", "/api/session_state/..%2fx.css",
		"/api/session_state%00.css", "/api/session_state%3fx.css", "/api/session_state%23.css", "/api/sessions/x.css", "/api//session_state/x.js",
		"/x.css", "/login/x.css", "/sessions/x.js", "/index.css", "/assets/x.css", "/favicon.ico", "/robots.txt", "/%2e%2e/x.css", "/session-sync.js/x.css",
	} {
		mine := v.get(path)
		if mine.status != 404 && mine.status != 307 && mine.status != 405 && mine.status != 400 {
			t.Errorf("%s: %d", path, mine.status)
		}
		got := w.browserAt(t, addr).get(path)
		if got.header.Get("X-Cache-Status") != "HIT" && got.status != 400 {
			t.Errorf("%s was not kept (%s): this attack tests nothing", path, got.header.Get("X-Cache-Status"))
		}
		for what, secret := range map[string]string{"their name": v.who.name, "a token": "csrf", "their address": "@example.org"} {
			if strings.Contains(got.body, secret) {
				t.Errorf("%s shows %s to whoever asks next: %.300s", path, what, got.body)
			}
		}
	}
}
