package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/vedfolnir/session/cmd/vedfolnir/internal/config"
	"github.com/vedfolnir/session/cmd/vedfolnir/internal/directory"
)

// address is where a browser on this machine finds the server.
func address(s config.Settings, l net.Listener) string {
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// welcome says where to go, and in a demo who to be.
func (a *App) welcome(out io.Writer, address string) {
	if !a.demo {
		fmt.Fprintf(out, "Vedfolnir serves at %s (Ctrl-C ends it)\n", address)
		return
	}
	fmt.Fprintf(out, "\nVedfolnir, a demo. Open\n\n    %s\n\nand be one of these people, each with the password %s:\n\n", address, directory.DemoPassword)
	for i, p := range directory.DemoPeople {
		fmt.Fprintf(out, "    %-6s  %-18s  %s\n", p.Username, p.Email, demoPeople[i].About)
	}
	fmt.Fprintf(out, "\n%s Ctrl-C ends it.\n\n", a.store.kept())
}

// farewell says what a demo threw away; otherwise nothing.
func (a *App) farewell() string {
	if !a.demo || a.store.lost() == "" {
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
	return fmt.Sprintf("\nThrown away: %s, %s, and %s.\n",
		counted(people, "demo person", "demo people"), counted(metrics.Sessions.ActiveSessions, "session", "sessions"), a.store.lost())
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", n, many))
}
