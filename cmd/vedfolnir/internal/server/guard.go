package server

import (
	"net"
	"net/http"
	"net/netip"
)

// forwardedHeaders are what proxies add.
var forwardedHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// demoOnly lets in what came straight from this machine, and was meant for it: a
// demo's passwords are public, so neither a proxy nor a page that rebinds its
// name may reach it.
func demoOnly(next http.Handler, refuse http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range forwardedHeaders {
			if r.Header.Get(name) != "" {
				refuse.ServeHTTP(w, r)
				return
			}
		}
		if !loopbackHost(r.Host) || !loopbackHost(r.RemoteAddr) {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopbackHost reports whether a host, with or without port, is this machine by
// name or number.
func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
