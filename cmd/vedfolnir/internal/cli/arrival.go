package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	arrivalTimeout = 10 * time.Second
	clockTolerance = 30 * time.Second
)

// arrival looks at what a browser gets at that address, where the settings say that
// people use origin. It fails only if the address makes no sense.
func (d *doctor) arrival(ctx context.Context, address, origin string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
		return hint(misused{fmt.Errorf("--url %q is no address of a server", address)}, "give it as a browser shows it, such as https://sessions.example.org")
	}
	jar, _ := cookiejar.New(nil) // never fails without options
	v := &visitor{ctx: ctx, origin: u.Scheme + "://" + u.Host, client: &http.Client{
		Jar: jar, Timeout: arrivalTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	ready, err := v.ask("GET", "/readyz", nil)
	if err != nil {
		d.problem("UNREACHABLE", "see that name, port and certificate are right, and that the proxy runs", "%v", err)
		return nil
	}
	if ready.StatusCode != http.StatusOK || !strings.HasPrefix(ready.body, "ok") {
		d.problem("NOT_READY", "see that the proxy leads to Vedfolnir, and look into the server's log", "GET /readyz is answered with %s by %s", ready.Status, orUnknown(ready.Header.Get("Server")))
		return nil
	}
	if u.Scheme == "http" && !local(u) {
		d.problem("PLAIN_HTTP", "serve HTTPS, and redirect http:// to it", "%s is reached without TLS", v.origin)
	}
	if origin != "" && origin != v.origin {
		d.problem("OTHER_ORIGIN", "give the address that people use to --origin, unless they should not use this one", "passkeys work at %s, and not at %s", origin, v.origin)
	}
	d.clock(ready)
	d.cookies(v, u)
	d.host(v)
	d.address(v)
	return nil
}

func orUnknown(name string) string {
	if name == "" {
		return "an unknown server"
	}
	return name
}

func local(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

func (d *doctor) clock(a *arrived) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if off := time.Since(date); err == nil && off.Abs() > clockTolerance {
		d.problem("CLOCK", "set both by NTP (timedatectl set-ntp true)", "the server's clock and this machine's are %v apart", off.Abs().Round(time.Second))
	}
}

// cookies looks at the cookie that the sign-in page sets.
func (d *doctor) cookies(v *visitor, u *url.URL) {
	page, err := v.ask("GET", "/login", nil)
	if err != nil {
		d.problem("UNREACHABLE", "look into the proxy's log", "%v", err)
		return
	}
	set := page.Cookies()
	if len(set) == 0 {
		d.problem("NO_COOKIE", "let Set-Cookie through: the proxy must not drop it or answer from a cache", "the sign-in page sets no cookie")
	}
	names := map[string]int{}
	for _, c := range set {
		names[c.Name]++
		if u.Scheme == "https" && (!c.Secure || !strings.HasPrefix(c.Name, "__Host-")) {
			d.problem("COOKIE_NOT_SECURE", "have the proxy send X-Forwarded-Proto, and name its address with --trusted-proxy", "over HTTPS the cookie %s comes without Secure or the __Host- prefix: the server does not know that people use HTTPS", c.Name)
		}
		if !c.HttpOnly || c.SameSite == http.SameSiteDefaultMode || c.Path != "/" || c.Domain != "" {
			d.problem("COOKIE_CHANGED", "have the proxy leave Set-Cookie as it is (proxy_cookie_path, proxy_cookie_flags and the like)", "the cookie %s arrives changed on the way: HttpOnly %v, SameSite %v, path %q, domain %q", c.Name, c.HttpOnly, c.SameSite != http.SameSiteDefaultMode, c.Path, c.Domain)
		}
	}
	for name, n := range names {
		if n > 1 {
			d.problem("COOKIE_TWICE", "see what on the way adds the second", "the cookie %s is set %d times in one answer", name, n)
		}
	}
	if u.Scheme == "https" && page.Header.Get("Strict-Transport-Security") == "" {
		d.problem("NO_HSTS", "have the proxy send X-Forwarded-Proto, and leave the header in", "Strict-Transport-Security does not arrive")
	}
	if page.Header.Get("Age") != "" || strings.Contains(strings.ToUpper(page.Header.Get("X-Cache")+page.Header.Get("X-Cache-Status")), "HIT") {
		d.problem("CACHED", "switch caching off for this server, or have it heed Cache-Control: no-store", "the sign-in page comes from a cache")
	}
}

// host signs in as nobody, to see whether the server knows under which name
// people reach it: if not, it takes every form for another site's.
func (d *doctor) host(v *visitor) {
	token, err := v.ask("GET", "/api/csrf", nil)
	if err != nil {
		d.problem("UNREACHABLE", "look into the proxy's log", "%v", err)
		return
	}
	var csrf struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal([]byte(token.body), &csrf); err != nil {
		d.problem("NO_API", "hand on every path, /api/ too", "GET /api/csrf is answered with %s and no JSON", token.Status)
		return
	}
	nobody, _ := json.Marshal(map[string]string{"username": "doctor-" + rand.Text(), "password": rand.Text()})
	answer, err := v.ask("POST", "/login", nobody, "X-CSRFToken", csrf.Token)
	if err != nil {
		d.problem("UNREACHABLE", "look into the proxy's log", "%v", err)
		return
	}
	var refusal struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(answer.body), &refusal) // no JSON: no code
	switch refusal.Code {
	case "INVALID_CREDENTIALS", "RATE_LIMITED":
	case "CROSS_ORIGIN":
		d.problem("HOST_CHANGED", "have the proxy hand on Host as it came (nginx: proxy_set_header Host $http_host)", "the server is told another name than people use, and takes every form for another site's")
	case "CSRF_INVALID":
		d.problem("COOKIE_LOST", "have the proxy hand on Cookie, and send every request to the same servers with the same keys file", "the cookie that the server set does not come back to it")
	default:
		d.problem("LOGIN", "look into the server's log", "a sign-in as nobody is answered with %s %s, not refused for its credentials", answer.Status, refusal.Code)
	}
}

// pretended is an address for documentation (RFC 5737): nobody has it.
const pretended = "192.0.2.77"

// address pretends to come from elsewhere, as an attacker would, and sees which
// address the server believes.
func (d *doctor) address(v *visitor) {
	answer, err := v.ask("GET", "/api/arrival", nil, "X-Forwarded-For", pretended)
	if err != nil {
		d.problem("UNREACHABLE", "look into the proxy's log", "%v", err)
		return
	}
	var arrival struct{ Address string }
	if json.Unmarshal([]byte(answer.body), &arrival) != nil {
		return // which host has told
	}
	believed, _ := netip.ParseAddr(arrival.Address)
	trusts := func(a netip.Addr) bool {
		return slices.ContainsFunc(d.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	switch {
	case trusts(v.local): // the word of this machine counts, and says nothing of others
	case arrival.Address == pretended:
		d.problem("ADDRESS_FORGED", "have the proxy write X-Forwarded-For itself (nginx: proxy_set_header X-Forwarded-For $remote_addr)", "the proxy hands on an X-Forwarded-For that anybody can send: whoever signs in can pretend to be elsewhere")
	case trusts(believed):
		d.problem("ADDRESS_LOST", "have the proxy send X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr)", "everybody seems to come from the proxy itself, %s", believed)
	}
}

// visitor asks as a browser does.
type visitor struct {
	ctx    context.Context
	origin string
	client *http.Client
	local  netip.Addr // of the last connection, on this side
}

type arrived struct {
	*http.Response
	body string
}

func (v *visitor) ask(method, path string, body []byte, headers ...string) (*arrived, error) {
	r, err := http.NewRequestWithContext(v.ctx, method, v.origin+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "vedfolnir-doctor")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", v.origin)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := v.client.Do(r.WithContext(httptrace.WithClientTrace(v.ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if a, err := netip.ParseAddrPort(i.Conn.LocalAddr().String()); err == nil {
				v.local = a.Addr()
			}
		},
	})))
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	content, err := io.ReadAll(io.LimitReader(w.Body, 1<<20))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return &arrived{w, string(content)}, nil
}
