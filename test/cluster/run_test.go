package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// run is one life of a cluster and its people.
type run struct {
	cluster *cluster
	seed    uint64
	began   time.Time
	until   time.Time
	people  []*person

	mu       sync.Mutex
	sums     sums
	counts   map[string]int
	owners   map[string]*person // of sessions, by handle
	troubles map[int][]trouble  // of nodes, by number
}

func (r *run) now() int64  { return int64(time.Since(r.began)) }
func (r *run) going() bool { return time.Now().Before(r.until) }

// random is a source of its own for each that draws, so that what one draws does not
// depend on how fast the others are.
func (r *run) random(of int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(of))) }

func (r *run) count(o op) {
	r.counted(o.kind.String() + " " + o.outcome.String())
}

func (r *run) counted(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

func (r *run) odd(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sums.odd = append(r.sums.odd, fmt.Sprintf("%.3f: ", time.Since(r.began).Seconds())+fmt.Sprintf(format, args...))
}

func (r *run) own(handle string, p *person) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners[handle] = p
}

// view is what an answer may say of whom it speaks.
type view struct {
	User    *struct{ Username string }
	Session struct {
		ID      string `json:"session_id"`
		Version int
	}
	Platform struct{ Name string }
	Sessions []struct {
		ID string `json:"session_id"`
	}
	Platforms []struct {
		ID   json.RawMessage
		Name string
	}
}

func stateOf(body []byte) (v view) {
	_ = json.Unmarshal(body, &v) // what is missing is found by whoever needs it
	return v
}

// check that an answer to the person's session has nothing of anybody else's, and no
// more sessions than there may be.
func (r *run) check(p *person, handle, path string, body []byte) {
	v := stateOf(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	foreign := func(what, which string) {
		r.sums.foreign = append(r.sums.foreign, fmt.Sprintf("%s of %s on %s: %s %q", handle, p.name, path, what, which))
	}
	if v.User != nil && v.User.Username != p.name {
		foreign("user", v.User.Username)
	}
	if v.Session.ID != "" && v.Session.ID != handle {
		foreign("session", v.Session.ID)
	}
	names := slices.Collect(maps.Values(p.platforms))
	if v.Platform.Name != "" && !slices.Contains(names, v.Platform.Name) {
		foreign("platform", v.Platform.Name)
	}
	for _, one := range v.Platforms {
		if !slices.Contains(names, one.Name) {
			foreign("platform", one.Name)
		}
	}
	for _, one := range v.Sessions {
		if owner := r.owners[one.ID]; owner != nil && owner != p {
			foreign("session", one.ID)
		}
	}
	if len(v.Sessions) > limit {
		r.sums.exceeded = append(r.sums.exceeded, fmt.Sprintf("%s is shown %d live sessions", p.name, len(v.Sessions)))
	}
}

// watch the limit in the database itself, until the run is over.
func (r *run) watch(database *pgx.Conn) error {
	for again := true; again; again = r.going() {
		rows, err := database.Query(context.Background(), `SELECT convert_from(user_id, 'UTF8'), count(*) FROM sessions WHERE ended_at IS NULL GROUP BY 1`)
		if err != nil {
			return err
		}
		live, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
			User string
			Live int
		}])
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.counts["looks at the limit"]++
		for _, one := range live {
			if one.Live > limit {
				r.sums.exceeded = append(r.sums.exceeded, fmt.Sprintf("user %s has %d live sessions", one.User, one.Live))
			}
		}
		r.mu.Unlock()
		time.Sleep(25 * time.Millisecond)
	}
	return nil
}

// truths adds to each history what the database says in the end.
func (r *run) truths(database *pgx.Conn) error {
	call := r.now()
	rows, err := database.Query(context.Background(), `SELECT encode(id, 'hex'), convert_from(platform_id, 'UTF8'), version::int, ended_at IS NOT NULL, end_reason FROM sessions`)
	if err != nil {
		return err
	}
	type row struct {
		Handle, Platform string
		Version          int
		Ended            bool
		Reason           string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	ret := r.now()
	byHandle := map[string]row{}
	for _, one := range all {
		byHandle[one.Handle] = one
	}
	r.counts["rows"] = len(all)
	for _, p := range r.people {
		for _, h := range p.everything {
			o := op{kind: truth, outcome: gone, node: nobody, call: call, ret: ret}
			if one, ok := byHandle[h.handle]; ok {
				o.outcome, o.version, o.platform, o.why = done, one.Version, p.platforms[one.Platform], one.Reason
				if one.Ended {
					o.outcome = refused
				}
			}
			h.add(o)
		}
	}
	return nil
}

// settle asks every node for every session that its person believes in, until each has
// answered: when all is mended they have to agree, and be there.
func (r *run) settle(client *http.Client) {
	time.Sleep(lease)
	deadline := time.Now().Add(30 * time.Second)
	for _, p := range r.people {
		t := &tab{person: p, client: client}
		for _, b := range slices.Clone(p.browsers) {
			for way := range len(r.cluster.nodes) + 1 {
				for {
					a := t.called(b, way, request{method: "GET", path: "/api/session_state"}, 200)
					o := a.op(look)
					if o.outcome == unknown && time.Now().Before(deadline) {
						time.Sleep(50 * time.Millisecond)
						continue
					}
					if o.outcome == unknown {
						r.odd("mended, way %d still answers %d", way, a.status)
					}
					if o.outcome == done {
						s := stateOf(a.body)
						o.version, o.platform = s.Session.Version, s.Platform.Name
					}
					t.note(b, a, o)
					break
				}
			}
		}
	}
}

// summary is what was done, and what came of it.
func (r *run) summary(sessions, ops int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d people, %d sessions, %d ops in %v\n", r.seed, len(r.people), sessions, ops, time.Since(r.began).Round(time.Second))
	for _, what := range slices.Sorted(maps.Keys(r.counts)) {
		fmt.Fprintf(&b, "%6d %s\n", r.counts[what], what)
	}
	b.WriteString("which have to be zero:\n" + r.sums.String())
	return b.String()
}
