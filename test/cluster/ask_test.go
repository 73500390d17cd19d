package cluster

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// hurry is how long people wait for an answer.
const hurry = 6 * time.Second

// answer is what became of a request.
type answer struct {
	call, ret int64
	status    int // 0: none came
	header    http.Header
	body      []byte
	node      int // that answered
	tried     int // nodes that may have done it before and did not answer
	problem   struct {
		Code   string `json:"error_code"`
		Reason string `json:"reason"`
	}
}

// outcome of a request that wants something of the session.
func (a *answer) outcome() (o outcome, why string) {
	switch {
	case a.status == 0 || a.status >= 500:
		return unknown, ""
	case a.status == http.StatusUnauthorized && (a.problem.Code == "SESSION_ENDED" || a.problem.Code == "SESSION_EXPIRED"):
		return refused, a.problem.Reason
	case a.status == http.StatusUnauthorized:
		return refused, a.problem.Code // nobody gave that as a reason
	}
	if a.status == http.StatusConflict {
		return nothing, ""
	}
	return done, ""
}

// op is the answer as an op of a session.
func (a *answer) op(k kind) op {
	o := op{kind: k, node: a.node, call: a.call, ret: a.ret}
	o.outcome, o.why = a.outcome()
	return o
}

// request is what a tab asks. A form is sent as one.
type request struct {
	method, path string
	body         string
	form         url.Values
}

// prepare the request for the way: straight to the node of that number, or else through
// nginx. Everybody comes as through a proxy that speaks HTTPS to people.
func (r *run) prepare(ctx context.Context, way int, cookies map[string]string, csrf string, q request) *http.Request {
	addr := r.cluster.nginx
	if way < len(r.cluster.nodes) {
		addr = r.cluster.nodes[way].addr
	}
	body, kind := q.body, "application/json"
	if q.form != nil {
		body, kind = q.form.Encode(), "application/x-www-form-urlencoded"
	}
	to, err := http.NewRequestWithContext(ctx, q.method, "http://"+addr+q.path, strings.NewReader(body))
	if err != nil {
		panic(err) // the address is no address
	}
	to.Host = host
	to.Header.Set("User-Agent", "cluster/1")
	to.Header.Set("Accept", "application/json")
	to.Header.Set("X-Forwarded-Proto", "https")
	to.Header.Set("X-Forwarded-For", "127.0.0.1") // as nginx says, or they would be remarkable
	if q.method != http.MethodGet {
		to.Header.Set("Content-Type", kind)
		to.Header.Set("Origin", "https://"+host)
		to.Header.Set("X-CSRFToken", csrf)
	}
	for _, name := range slices.Sorted(maps.Keys(cookies)) {
		to.AddCookie(&http.Cookie{Name: name, Value: cookies[name]})
	}
	return to
}

// ask sends the request by the way, and waits for the answer.
func (t *tab) ask(way int, cookies map[string]string, csrf string, q request) (a *answer) {
	a = &answer{node: way, ret: forever}
	ctx, cancel := context.WithTimeout(context.Background(), hurry)
	defer cancel()
	if way >= len(t.cluster.nodes) {
		a.node = nobody
	}
	r := t.prepare(ctx, way, cookies, csrf, q)
	a.call = t.now()
	w, err := t.client.Do(r)
	if err == nil {
		defer w.Body.Close()
		a.body, err = io.ReadAll(w.Body)
	}
	a.ret = t.now()
	if err != nil {
		return a
	}
	a.status, a.header = w.StatusCode, w.Header
	if way >= len(t.cluster.nodes) {
		a.servedBy(t.cluster, w.Header.Get("X-Served-By"))
	}
	if a.status >= 400 {
		_ = json.Unmarshal(a.body, &a.problem) // it may be a page
	}
	return a
}

// servedBy reads which nodes nginx asked, the last of which has answered.
func (a *answer) servedBy(c *cluster, upstreams string) {
	asked := strings.FieldsFunc(upstreams, func(r rune) bool { return r == ',' || r == ' ' })
	a.tried = max(0, len(asked)-1)
	if len(asked) > 0 {
		a.node = slices.IndexFunc(c.nodes, func(n *node) bool { return n.addr == asked[len(asked)-1] })
	}
}
