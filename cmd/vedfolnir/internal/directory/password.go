package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/vedfolnir/session"
)

// Cost of one Argon2id hash.
type Cost struct {
	KiB    uint32 // of memory
	Passes uint32
	Lanes  uint8
}

// StandardCost is the least that the OWASP Password Storage Cheat Sheet
// recommends: 19 MiB, two passes, one lane.
var StandardCost = Cost{KiB: 19 * 1024, Passes: 2, Lanes: 1}

const (
	saltLength = 16
	keyLength  = 32
	// patience of a sign-in that waits for its turn to hash.
	patience = 3 * time.Second
)

// ErrBusy: more people are signing in than the processors can hash for. It is
// worth another try in a few seconds.
var ErrBusy = fmt.Errorf("too many sign-ins at once: %w", session.ErrUnavailable)

// hasher bounds how many hashes run at once, since each takes a processor and
// 19 MiB.
type hasher struct {
	cost  Cost
	turns chan struct{}
	decoy string // what the passwords of unknown people are compared with

	derived func() // for tests: a hash was made
}

func newHasher(cost Cost) *hasher {
	decoy := phc{cost: cost, salt: make([]byte, saltLength), key: make([]byte, keyLength)}
	rand.Read(decoy.salt)
	rand.Read(decoy.key) // which no password has, and which costs no hash at each start
	return &hasher{cost: cost, turns: make(chan struct{}, runtime.GOMAXPROCS(0)), decoy: decoy.String(), derived: func() {}}
}

// hash returns a PHC string at today's cost.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	p := phc{cost: h.cost, salt: salt, key: make([]byte, keyLength)}
	key, err := h.derive(ctx, p, password)
	p.key = key
	return p.String(), err
}

// verify takes exactly one hash, whether or not there is anything to compare
// with. outdated: the hash should be made anew.
func (h *hasher) verify(ctx context.Context, stored, password string) (right, outdated bool, err error) {
	known := stored != ""
	if !known {
		stored = h.decoy
	}
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	key, err := h.derive(ctx, p, password)
	if err != nil {
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(key, p.key) == 1
	return known && right, p.cost != h.cost || len(p.key) != keyLength, nil
}

// derive waits for its turn.
func (h *hasher) derive(ctx context.Context, p phc, password string) ([]byte, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.derived()
	return argon2.IDKey([]byte(password), p.salt, p.cost.Passes, p.cost.KiB, p.cost.Lanes, uint32(len(p.key))), nil
}
