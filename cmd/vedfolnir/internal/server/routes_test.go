package server

import (
	"strings"
	"testing"
)

func TestNoOtherPathIsHome(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	b.signIn("alex")
	for _, path := range []string{"/nothing", "/home", "/index.html", "/login/x", "/api2", "/switch", "/api/session_state/x.css"} {
		if p := b.open(path); p.status != 404 {
			t.Errorf("GET %s: %d", path, p.status)
		}
	}
	b.open("/nothing")
	b.sees("There is nothing here", "Sign out")
	for _, path := range []string{"/nothing.css", "/login/x.js", "/assets/none", "/a.b"} { // what a cache may keep
		b.open(path)
		b.sees("There is nothing here")
		if p := b.page; p.status != 404 || strings.Contains(p.body, "alex") || strings.Contains(p.body, "csrf") {
			t.Errorf("%s: %d is of a person: %s", path, p.status, p.body)
		}
	}
}

func TestDemoAnswersThisMachineOnly(t *testing.T) {
	s := demo(t)
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"Host", "localhost:8080", 200},
		{"Host", "[::1]:8080", 200},
		{"Host", "[::1]", 200},
		{"Host", "127.0.0.2", 200},
		{"Accept", "*/*", 200},
		{"Host", "evil.example", 421},
		{"Host", "evil.example:8080", 421},
		{"Host", "localhost.evil.example", 421},
		{"Host", "10.0.0.1", 421},
		{"X-Forwarded-For", "127.0.0.1", 421},
		{"Forwarded", "for=127.0.0.1", 421},
		{"X-Real-IP", "127.0.0.1", 421},
		{"X-Forwarded-Host", "localhost", 421},
	} {
		for _, path := range []string{"/login", "/api/csrf", "/livez"} {
			if p := s.browser(t).do("GET", path, nil, c.name, c.value); p.status != c.status {
				t.Errorf("%s with %s: %s: %d, want %d", path, c.name, c.value, p.status, c.status)
			}
		}
	}
}

func TestReadiness(t *testing.T) {
	s := demo(t)
	b := s.browser(t)
	if p := b.open("/readyz"); p.status != 200 {
		t.Errorf("at first: %d", p.status)
	}
	s.draining.Store(true)
	if p := b.open("/readyz"); p.status != 503 || p.header.Get("Retry-After") == "" {
		t.Errorf("draining: %d %v", p.status, p.header)
	}
	s.draining.Store(false)
	s.store.Store.Close()
	if p := b.open("/readyz"); p.status != 503 {
		t.Errorf("without a database: %d", p.status)
	}
	if p := b.open("/livez"); p.status != 200 {
		t.Errorf("a process without a database lives: %d", p.status)
	}
}
