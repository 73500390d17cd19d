package server

import (
	"bytes"
	"errors"
	"testing"
)

func newTestSeals(t *testing.T, keys ...byte) seals {
	t.Helper()
	var list [][]byte
	for _, k := range keys {
		list = append(list, bytes.Repeat([]byte{k}, 32))
	}
	s, err := newSeals(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASealIsGoodUnderEachKeyAndShowsWhatWasChanged(t *testing.T) {
	old := newTestSeals(t, 1)
	text, err := old.seal(trip{Next: "/safety"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := old.seal(trip{Next: "/safety"}); err != nil || again == text {
		t.Errorf("sealed twice alike, %v", err)
	}
	var got trip
	if err := newTestSeals(t, 2, 1).open(text, &got); err != nil || got.Next != "/safety" {
		t.Errorf("with the key replaced: %+v, %v", got, err)
	}
	if err := newTestSeals(t, 2).open(text, &got); !errors.Is(err, errSeal) {
		t.Errorf("with the old key dropped: %v", err)
	}
	for i := range text {
		bent := []byte(text)
		bent[i] ^= 1
		if err := old.open(string(bent), &got); err == nil {
			t.Fatalf("byte %d changed, and it opens", i)
		}
	}
	for _, text := range []string{"", "a", text[:20], text + "A"} {
		if err := old.open(text, &got); !errors.Is(err, errSeal) {
			t.Errorf("%q opens: %v", text, err)
		}
	}
}

// Whatever a browser sends for one opens nothing, and breaks nothing.
func FuzzSeal(f *testing.F) {
	s, err := newSeals([][]byte{bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		f.Fatal(err)
	}
	good, err := s.seal(trip{Next: "/"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add(good[1:])
	f.Fuzz(func(t *testing.T, text string) {
		var got trip
		if err := s.open(text, &got); text != good && (!errors.Is(err, errSeal) || got != (trip{})) {
			t.Errorf("%q opens: %+v, %v", text, got, err)
		}
	})
}
