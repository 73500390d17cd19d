package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// address is where a browser on this machine finds the server: by the name localhost
// where people use it without TLS, for browsers have no passkeys at an address.
func address(s config.Settings, at net.Addr) string {
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(at.String())
	if ip := net.ParseIP(host); ip.IsUnspecified() || s.Plain && (host == "127.0.0.1" || host == "::1") {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// welcome says where to go, and in a demo who to be.
func (a *App) welcome(out io.Writer, address string) {
	if !a.demo {
		fmt.Fprintf(out, "Vedfolnir serves at %s and keeps its sessions %s. Ctrl-C ends it.\n", address, a.store)
		if a.first != nil {
			fmt.Fprintf(out, "\nNobody can sign in yet. Whoever opens this link within %d minutes becomes the first person, an administrator:\n\n    %s%s#%s\n\nOr add people in a terminal: vedfolnir user add NAME --email ADDRESS\n\n",
				int(firstStartTime.Minutes()), address, strings.TrimPrefix(firstStartPath, "/"), a.code)
			a.code = ""
		}
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nVedfolnir, the demo. Open\n\n    %s\n\nand be one of these people; the password of each is %s.\n\n", address, directory.DemoPassword)
	for i, p := range directory.DemoPeople {
		fmt.Fprintf(&b, "    %-6s  %-18s  %s\n", p.Username, p.Email, demoPeople[i].About)
	}
	fate := "is thrown away at the end"
	if a.store.stays() {
		fate = "stays there"
	}
	fmt.Fprintf(&b, "\nEverything is kept %s and %s. Ctrl-C ends it.\n\n", a.store, fate)
	io.WriteString(out, b.String())
}

// warnOfSetUp says what of the settings keeps people from signing in, or puts them
// in danger, and the way out. What could never work is no setting.
func warnOfSetUp(s config.Settings, log *slog.Logger) {
	if s.OpenID.On() {
		log.Info("people can sign in through an OpenID provider, which has to know these two addresses", "issuer", s.OpenID.Client.Issuer,
			"redirect_uri", s.OpenID.Client.RedirectURI, "backchannel_logout_uri", s.OpenID.LogoutURI())
	}
	if s.Demo {
		return
	}
	switch {
	case s.Plain && s.Loopback:
		log.Warn("plain HTTP, for this machine only: cookies are not marked Secure, and nobody can sign in from elsewhere. If a proxy with HTTPS stands in front, name it: --trusted-proxy 127.0.0.1")
	case s.Plain:
		log.Warn("DANGEROUS: plain HTTP beyond this machine; whoever is on the way can read every password and take every session. Give --tls-cert and --tls-key, or name the proxy that speaks HTTPS with --trusted-proxy, and leave --dangerous-plain-http out")
	case s.TLS == nil:
		log.Info("people can sign in through the named proxy only, when it says X-Forwarded-Proto: https and hands on Host; vedfolnir doctor --url https://... tells whether it does", "trusted_proxy", s.Proxies)
	}
	if s.Origin == "" && !(s.Plain && s.Loopback) {
		log.Info("nobody can have a passkey: give --origin with the address that people use, such as https://accounts.example.org")
	}
	if s.Danger && (!s.Plain || s.Loopback) {
		log.Warn("--dangerous-plain-http does nothing beside a certificate, a trusted proxy, or an address of this machine only: leave it out")
	}
	if never := s.Unreachable(); len(never) > 0 {
		log.Warn("no connection can come from these trusted proxies to the address that is listened on: leave them out, or name them as this machine sees them", "trusted_proxy", never, "addr", s.Addr)
	}
}

// farewell says what a demo is about to throw away; otherwise nothing.
func (a *App) farewell() string {
	if !a.demo || a.store.stays() {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	people, err := a.people.People(ctx)
	if err != nil {
		return ""
	}
	metrics, err := a.manager.Metrics(ctx)
	if err != nil {
		return ""
	}
	text := fmt.Sprintf("\nThrown away: %s, %s", counted(people, "person", "people"), counted(metrics.Sessions.ActiveSessions, "live session", "live sessions"))
	if a.store.where.Temporary {
		text += " and the file " + a.store.path
	}
	return text + ".\n"
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
