package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var firstLink = regexp.MustCompile(`(http://\S+/first-start)#(\S+)`)

// A server without people says how to make the first one; the next start does not.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, folder, nil)
	var link []string
	for deadline := time.Now().Add(10 * time.Second); link == nil; time.Sleep(10 * time.Millisecond) {
		if link = firstLink.FindStringSubmatch(p.stdout.String()); link == nil && time.Now().After(deadline) {
			t.Fatalf("no link in:\n%s", p.stdout.String())
		}
	}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	link[1] = strings.Replace(link[1], "localhost", "127.0.0.1", 1) // as the next start is asked
	page := get(t, c, link[1])
	form := url.Values{"csrf_token": {tokenForm.FindStringSubmatch(page)[1]}, "username": {"kim"}, "email": {"kim@example.org"}, "password": {"correct horse battery staple"}, "code": {link[2]}}
	w, err := c.PostForm(link[1], form)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 200 || w.Request.URL.Path != "/" {
		t.Errorf("%d at %s", w.StatusCode, w.Request.URL.Path)
	}
	p.end(syscall.SIGTERM)
	if strings.Contains(p.stderr.String(), link[2]) {
		t.Errorf("the code is in the log:\n%s", p.stderr)
	}
	again := launch(t, folder, nil)
	if body := get(t, c, again.url+"/"); !strings.Contains(body, "kim@example.org") {
		t.Error("the restart signed out")
	}
	again.end(syscall.SIGTERM)
	if firstLink.MatchString(again.stdout.String()) {
		t.Errorf("another link, with somebody there:\n%s", again.stdout)
	}
}
