package attack

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// siblings are attacks from another host of the same domain, in a real browser: it
// takes the two for one site, and sends SameSite cookies.
var siblings = []attack{{
	"a sibling host in a real browser", "has Chromium open a page of evil.example.test, which sets every cookie that it can for the domain, and posts forms to app.example.test",
	"nobody is signed in as the attacker, the victim is not signed out, and keeps their own session", siblingHost,
}}

func siblingHost(t *testing.T, w *world) {
	attacker := w.victim(t)
	hers := w.browser(t)
	token := hers.token()
	visit := hers.cookie(sessionCookie + "-prelogin")
	// The attacker's host, with a certificate of its own.
	certificate, err := tls.LoadX509KeyPair(filepath.Join(w.folder, "cert.pem"), filepath.Join(w.folder, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	listener := freeListener(t)
	page := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		for _, tossed := range []string{
			"vedfolnir=%s; Domain=example.test; Path=/; Secure", "__Host-vedfolnir=%s; Domain=example.test; Path=/; Secure",
			"=__Host-vedfolnir=%s; Domain=example.test; Path=/; Secure", "__host-vedfolnir=%s; Domain=example.test; Path=/; Secure",
		} {
			rw.Header().Add("Set-Cookie", fmt.Sprintf(tossed, attacker.cookie(sessionCookie)))
		}
		rw.Header().Add("Set-Cookie", "vedfolnir-prelogin="+visit+"; Domain=example.test; Path=/; Secure")
		rw.Header().Add("Set-Cookie", "__Host-vedfolnir-prelogin="+visit+"; Domain=example.test; Path=/; Secure")
		rw.Header().Add("Set-Cookie", "seen=1; Domain=example.test; Path=/; Secure")
		io.WriteString(rw, "<!doctype html><title>Evil</title>")
	})}
	go page.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	t.Cleanup(func() { page.Close() })

	b := newChromium(t, map[string]string{app: w.addr, evil: listener.Addr().String()})
	quoted := func(v any) string { text, _ := json.Marshal(v); return string(text) }
	// post a form from the attacker's page and look where the browser lands.
	post := func(path string, fields map[string]string) {
		b.open("https://" + evil + "/")
		b.run(`{const f = document.createElement("form"); f.method = "post"; f.action = "https://` + app + path + `";
			for (const [name, value] of Object.entries(` + quoted(fields) + `)) { const i = document.createElement("input"); i.name = name; i.value = value; f.append(i); }
			document.body.append(f); setTimeout(() => f.submit()); true}`)
		b.await(`location.hostname == "` + app + `" && document.readyState == "complete"`)
	}
	state := func() string {
		b.open("https://" + app + "/login")
		return b.run(`fetch("/api/session_state").then(async (r) => r.status + " " + await r.text())`)
	}

	for _, fields := range []map[string]string{
		{"username": attacker.who.name, "password": attacker.who.password, "csrf_token": token},
		{"username": attacker.who.name, "password": attacker.who.password},
	} {
		post("/login", fields)
		if got := state(); !strings.HasPrefix(got, "401 ") {
			t.Errorf("the browser is signed in: %s", got)
		}
	}
	if seen := b.run(`document.cookie`); !strings.Contains(seen, "seen=1") {
		t.Errorf("the attacker's cookies do not reach the server's host, so that nothing was tried: %q", seen)
	}

	victim := w.account(t)
	b.open("https://" + app + "/login")
	b.run(`document.getElementById("username").value = ` + quoted(victim.name) + `; document.getElementById("password").value = ` + quoted(victim.password) + `;
		setTimeout(() => document.querySelector("button.main").click()); true`)
	b.await(`location.pathname == "/" && document.readyState == "complete"`)
	signedIn := b.run(`fetch("/api/session_state").then(async (r) => r.status + " " + r.headers.get("etag") + await r.text())`)
	if !strings.HasPrefix(signedIn, "200 ") || !strings.Contains(signedIn, victim.name) {
		t.Fatalf("the victim is not signed in: %s", signedIn)
	}
	handle := strings.Split(signedIn, `"`)[1][:32]
	for _, path := range []string{"/logout", "/sessions/end-others", "/sessions/" + handle + "/end", "/login", "/api/sessions/revoke_others"} {
		post(path, map[string]string{"csrf_token": token, "username": attacker.who.name, "password": attacker.who.password})
	}
	b.open("https://" + evil + "/")
	b.run(`Promise.all(["/logout", "/api/session/refresh", "/api/sessions/revoke_others", "/api/session_state"].map((p) =>
		fetch("https://` + app + `" + p, { method: p == "/api/session_state" ? "GET" : "POST", mode: "no-cors", credentials: "include" }).catch(() => "it may not read the answer")))`)
	read := b.run(`fetch("https://` + app + `/api/session_state", { credentials: "include" }).then((r) => r.text(), () => "refused")`)
	if read != "refused" {
		t.Errorf("the attacker's page reads %s", read)
	}
	if got := state(); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, handle) || !strings.Contains(got, victim.name) {
		t.Errorf("afterwards the victim's browser has %s", got)
	}
}
