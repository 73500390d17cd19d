package keyring_test

import (
	"bytes"
	"testing"

	"github.com/vedfolnir/session/internal/keyring"
)

func TestEachPurposeHasItsOwnKeys(t *testing.T) {
	secrets := [][]byte{bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("b"), 32)}
	ring, err := keyring.New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range append(ring.Derive("csrf"), ring.Derive("fingerprint")...) {
		if len(key) != 32 || seen[string(key)] || bytes.Equal(key, secrets[0]) {
			t.Errorf("key %x", key)
		}
		seen[string(key)] = true
	}
	again, err := keyring.New(secrets[1:])
	if err != nil || !bytes.Equal(again.Derive("csrf")[0], ring.Derive("csrf")[1]) {
		t.Errorf("a key does not follow from its secret and purpose alone (%v)", err)
	}
}

func TestWithoutSecretsThereIsARandomOne(t *testing.T) {
	a, errA := keyring.New(nil)
	b, errB := keyring.New(nil)
	if errA != nil || errB != nil || bytes.Equal(a.Derive("x")[0], b.Derive("x")[0]) {
		t.Error("the same key twice", errA, errB)
	}
}
