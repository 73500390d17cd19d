package cluster

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// faults are what happens to nodes while people work.
type faults struct {
	*run
	everywhere sync.RWMutex // held for reading while one node has a fault
}

// longest is how long one lasts at most: shorter than the overlap of a rotation, in
// which what is held up has to arrive.
const longest = 5 * time.Second

func (f *faults) length(random *rand.Rand) time.Duration {
	return 200*time.Millisecond + time.Duration(random.Int64N(int64(longest-200*time.Millisecond)))
}

// sleep until the time or the run is over.
func (f *faults) sleep(d time.Duration) { time.Sleep(min(d, time.Until(f.until))) }

// befall the node, one fault after the other.
func (f *faults) befall(n *node, random *rand.Rand) {
	for f.going() {
		f.sleep(time.Second + time.Duration(random.Int64N(int64(4*time.Second))))
		length, by, what := f.length(random), time.Duration(20+random.IntN(600))*time.Millisecond, random.IntN(7)
		f.everywhere.RLock()
		began := f.now()
		f.one(n, what, length, by)
		f.troubled(n, began)
		f.everywhere.RUnlock()
	}
}

func (f *faults) one(n *node, what int, length, by time.Duration) {
	if what == 6 && n.island.name == "" {
		what = 3
	}
	f.counted("fault: " + [...]string{"killed", "restarted", "stopped", "database held back", "database slow", "database reset", "database's cable pulled"}[what])
	switch what {
	case 0:
		f.again(n, syscall.SIGKILL, length/2)
	case 1:
		f.again(n, syscall.SIGTERM, 0)
	case 2:
		n.signal(syscall.SIGSTOP)
		f.sleep(length)
		n.signal(syscall.SIGCONT)
	case 3:
		n.database.Swallow()
		f.sleep(length)
		n.database.Heal()
	case 4:
		n.database.Delay(by)
		f.sleep(length)
		n.database.Heal()
	case 5:
		n.database.HangUp()
	case 6:
		mend, err := n.island.pull()
		f.sleep(length)
		if again := mend(); err != nil || again != nil {
			f.odd("the cable of node %d: %v, %v", n.number, err, again)
		}
	}
}

// troubled notes that the node had a fault since then, which is over.
func (f *faults) troubled(n *node, began int64) {
	over := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.troubles[n.number] = append(f.troubles[n.number], trouble{began, over})
}

// again ends the node and starts it a while later.
func (f *faults) again(n *node, s syscall.Signal, pause time.Duration) {
	if err := n.end(s); err != nil {
		f.odd("%v", err)
	}
	f.sleep(pause)
	if err := n.start(); err != nil {
		f.odd("%v", err)
	}
}

// outage takes the database away from all nodes, now and then.
func (f *faults) outage(random *rand.Rand) {
	for f.going() {
		f.sleep(10*time.Second + time.Duration(random.Int64N(int64(20*time.Second))))
		length, reset := f.length(random), random.IntN(2) == 0
		f.everywhere.Lock()
		f.counted("fault: database away from all")
		began := f.now()
		for _, n := range f.cluster.nodes {
			n.database.Swallow()
			if reset {
				n.database.HangUp()
			}
		}
		f.sleep(length)
		for _, n := range f.cluster.nodes {
			n.database.Heal()
			f.troubled(n, began)
		}
		f.everywhere.Unlock()
	}
}
