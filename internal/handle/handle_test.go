package handle_test

import (
	"strings"
	"testing"

	"github.com/vedfolnir/session/internal/handle"
)

func TestHandlesBeginWithTheirUsersShard(t *testing.T) {
	a, err := handle.New("1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := handle.New("1")
	if err != nil || a == b {
		t.Fatal("the same handle twice", err)
	}
	if shard := handle.Shard("1"); [2]byte(a[:2]) != shard || [2]byte(b[:2]) != shard || shard == handle.Shard("2") {
		t.Errorf("%x, %x, shard %x", a, b, shard)
	}
}

// One value has one text, and one text has one value.
func FuzzTexts(f *testing.F) {
	hex := strings.Repeat("0123456789abcdef", 2)
	for _, seed := range []string{"", hex, strings.ToUpper(hex), hex + "." + strings.Repeat("A", 43), hex + "." + strings.Repeat("A", 42) + "B"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := handle.Parse([]byte(text)); err == nil && string(handle.Append(nil, id)) != text {
			t.Errorf("%q is read as %x", text, id)
		} else if err != nil && id != [16]byte{} {
			t.Errorf("%q is refused and gives a handle", text)
		}
		if id, secret, err := handle.ParseToken(text); err == nil && handle.Token(id, secret) != text {
			t.Errorf("%q is read as another token", text)
		} else if err != nil && (id != [16]byte{} || secret != [32]byte{}) {
			t.Errorf("%q is refused and gives a token", text)
		}
	})
}
