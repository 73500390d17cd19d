package directory

import (
	"context"
	"errors"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/vedfolnir/session"
)

// counted is a hasher that tells how many hashes it made.
func counted(t *testing.T) (h *hasher, hashes *int) {
	t.Helper()
	h = newHasher(Cost{KiB: 8, Passes: 1, Lanes: 1})
	hashes = new(int)
	h.derived = func() { *hashes++ }
	return h, hashes
}

// An unknown person and a wrong password take the same work, so that time tells
// nothing.
func TestEveryRefusalCostsOneHash(t *testing.T) {
	h, hashes := counted(t)
	stored, err := h.hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, stored, password string }{
		{"wrong password", stored, "wrong"},
		{"unknown person", "", "wrong"},
		{"unknown person, empty password", "", ""},
	} {
		*hashes = 0
		right, _, err := h.verify(t.Context(), c.stored, c.password)
		if right || err != nil || *hashes != 1 {
			t.Errorf("%s: right %v, error %v, %d hashes; want false, nil, 1", c.what, right, err, *hashes)
		}
	}
}

func TestHashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := counted(t)
		for range cap(h.turns) {
			h.turns <- struct{}{}
		}
		if _, _, err := h.verify(t.Context(), "", "x"); !errors.Is(err, ErrBusy) || !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("all busy: %v, want ErrBusy, which is ErrUnavailable", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := h.verify(gone, "", "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("caller gone: %v, want context.Canceled", err)
		}
		<-h.turns
		if _, _, err := h.verify(t.Context(), "", "x"); err != nil {
			t.Errorf("a turn is free: %v", err)
		}
	})
}

func TestDamagedHashIsAnError(t *testing.T) {
	h, _ := counted(t)
	good, err := h.hash(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{
		"x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", good[:len(good)-2], good + "=",
		strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=8", "m=4294967295", 1), strings.Replace(good, "t=1", "t=0", 1),
		strings.Replace(good, "t=1", "t=01", 1), strings.Replace(good, "p=1", "p=256", 1),
	} {
		if _, _, err := h.verify(t.Context(), damaged, "x"); !errors.Is(err, errPHC) {
			t.Errorf("%s: %v, want errPHC", damaged, err)
		}
	}
}

func TestStandardCostIsOWASPs(t *testing.T) {
	p := phc{cost: StandardCost, salt: make([]byte, saltLength), key: make([]byte, keyLength)}
	if want := "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(p.String(), want) {
		t.Errorf("%s does not begin with %s", p, want)
	}
}

// However many people sign in at once, no more memory is in use than for as many
// hashes as there are processors, and what the collector has not yet taken away.
func TestManySignInsTakeTheMemoryOfAFew(t *testing.T) {
	h := newHasher(StandardCost)
	var peak atomic.Uint64
	base := inUse()
	h.derived = func() {
		now := inUse()
		for was := peak.Load(); now > was && !peak.CompareAndSwap(was, now); was = peak.Load() {
		}
	}
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, _, err := h.verify(t.Context(), "", "wrong"); err != nil && !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	one := uint64(StandardCost.KiB) << 10
	took, bound := peak.Load()-min(base, peak.Load()), uint64(3*cap(h.turns)+1)*one
	t.Logf("40 sign-ins, %d at once: %d MiB at the most", cap(h.turns), took>>20)
	if took > bound {
		t.Errorf("%d MiB, more than %d", took>>20, bound>>20)
	}
}

// inUse is the memory of what lives, and of what is dead and not yet collected.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
