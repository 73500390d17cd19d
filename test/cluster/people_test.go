package cluster

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// tabs are how many requests of one person are under way at once.
	tabs = 3
	// tooMany is how many changes of a session may be without an answer before its
	// person lets it be: porcupine has to try out which of them happened.
	tooMany = 10
	// between is how long a session keeps a new token: within the overlap of ten
	// seconds two more would make the first one's late requests strangers.
	between = int64(25 * time.Second)
	// haunting is how long tabs go on asking for a session that is over.
	haunting = int64(8 * time.Second)
)

// person has a name, a password, and sessions in several browsers.
type person struct {
	*run
	name      string
	platforms map[string]string // names by id
	changing  sync.Mutex        // one change of the password at a time

	mu         sync.Mutex
	passwords  []string   // what it may be: more than one after a change without an answer
	changes    int        // of it that began
	browsers   []*browser // signed in, as far as the person knows
	over       []*browser
	everything []*history
	events     []event
}

// event is what one session, or a sign-in, did to the person's other sessions.
type event struct {
	op
	by *history // nil: a sign-in without an answer
}

// browser holds a session's cookies.
type browser struct {
	*history
	csrf string

	mu      sync.Mutex
	cookies map[string]string
	guessed int
	rotated int64
	ended   int64
}

func (b *browser) jar() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.cookies)
}

// tab is one of those by which a person acts, all of them on any of their sessions.
type tab struct {
	*person
	number int
	random *rand.Rand
	client *http.Client
}

// live acts until the run is over.
func (t *tab) live() {
	for t.going() {
		t.act()
		time.Sleep(time.Duration(10+t.random.IntN(80)) * time.Millisecond)
	}
}

// act once. What is drawn does not depend on what was answered before.
func (t *tab) act() {
	what, who, way, which := t.random.IntN(1000), t.random.Int(), t.random.IntN(len(t.cluster.nodes)+1), t.random.Int()
	b := t.choose(who, what%10 == 0)
	if b == nil || what < 20 {
		t.signIn(way, which%3 == 0)
		return
	}
	for _, c := range []struct {
		share int
		do    func(*browser, int, int)
	}{
		{550, t.look}, {230, t.switchPlatform}, {40, t.refresh}, {50, t.list}, {20, t.signOut}, {30, t.endAnother}, {10, t.endOthers}, {10, t.changePassword}, {40, t.look},
	} {
		if what -= c.share; what < 20 { // as many more sign in, above
			c.do(b, way, which)
			return
		}
	}
}

// choose one of the sessions; sometimes one that is over, for it must not be served.
func (t *tab) choose(who int, haunt bool) *browser {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.over = slices.DeleteFunc(t.over, func(b *browser) bool { return now-b.ended > haunting })
	if haunt && len(t.over) > 0 {
		return t.over[who%len(t.over)]
	}
	if len(t.browsers) == 0 {
		return nil
	}
	return t.browsers[who%len(t.browsers)]
}

// note an op of the tab on the browser's session, and what the person learns by it.
func (t *tab) note(b *browser, a *answer, o op) {
	o.tab = t.number
	t.count(o)
	if o.outcome == refused {
		t.counted("refused: " + o.why)
	}
	b.add(o)
	guesses := a.tried
	if o.outcome == unknown {
		guesses++
	}
	for range a.tried {
		o := o
		o.outcome = unknown
		b.add(o)
	}
	if o.kind == look {
		guesses = 0
	}
	b.mu.Lock()
	b.guessed += guesses
	enough := b.guessed > tooMany
	b.mu.Unlock()
	if enough || o.outcome == refused || o.outcome == gone || o.kind == end && o.outcome == done {
		t.bury(b)
	}
}

func (t *tab) bury(b *browser) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.browsers, b)
	if i < 0 {
		return
	}
	t.browsers = slices.Delete(t.browsers, i, i+1)
	b.ended = t.now()
	t.over = append(t.over, b)
}

// happened notes what was done to all other sessions of the person. Which of them that
// meets is found out in the end.
func (t *tab) happened(by *history, a *answer, o op) {
	o.tab = t.number
	if o.outcome == unknown {
		o.ret, o.node = forever, nobody
	}
	t.count(o)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, event{o, by})
	if a.tried > 0 {
		o.outcome, o.ret, o.node = unknown, forever, nobody
		if o.kind == mayEnd {
			by = nil // the sign-in before this one's
		}
		t.events = append(t.events, event{o, by})
	}
}

// histories of the person's sessions, with what others did to them.
func (p *person) histories() []*history {
	for _, h := range p.everything {
		began, over := h.span()
		for _, e := range p.events {
			if e.by == h || e.ret < began.call || e.call > over {
				continue
			}
			o := e.op
			if o.kind == end && o.outcome == done && o.call <= began.ret {
				o.kind = mayEnd // it may not have been there yet
			}
			h.add(o)
		}
	}
	return p.everything
}

func (p *person) platformIDs() []string { return slices.Sorted(maps.Keys(p.platforms)) }
