package session_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/vedfolnir/session"
	"github.com/vedfolnir/session/memstore"
)

func TestATokenCannotBePrinted(t *testing.T) {
	_, token := signIn(t, open(t, memstore.New(), people, session.Config{}), "1")
	secret := strings.SplitN(token.Reveal(), ".", 2)[1]
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d", token, token, token, token, token, token, token)
	fmt.Fprintf(&out, "%v %+v", &token, struct{ T session.Token }{token})
	encoded, err := json.Marshal(map[string]any{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "token", token, "in", struct{ T session.Token }{token})
	}
	if strings.Contains(out.String(), secret) || !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("printed: %s", out.String())
	}
}

func TestKeysCannotBePrinted(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Security: session.Security{Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}}})
	c := m.Config()
	if len(c.Security.Keys) != 1 {
		t.Fatalf("%d keys", len(c.Security.Keys))
	}
	var out bytes.Buffer
	for _, v := range []any{c, &c, c.Security, c.Security.Keys} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("x", "config", v)
		}
	}
	for _, form := range []string{"kkkk", "6b6b", "107 107", "0x6b, 0x6b", "a2tra2tr"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed as %s: %s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("printed: %s", out.String())
	}
}

func TestTokensAreUnique(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{Security: session.Security{MaxConcurrentPerUser: 1}})
	seen := map[string]bool{}
	for range 2000 {
		_, token := signIn(t, m, "1")
		if text := token.Reveal(); seen[text] || len(text) != 76 {
			t.Fatalf("token of %d bytes seen before: %v", len(text), seen[text])
		} else {
			seen[text] = true
		}
	}
}

func TestNoRandomnessNoSession(t *testing.T) {
	m := open(t, memstore.New(), people, session.Config{})
	defer func(r interface{ Read([]byte) (int, error) }) { rand.Reader = r }(rand.Reader)
	rand.Reader = strings.NewReader("too little")
	if _, _, err := m.Create(t.Context(), session.CreateRequest{UserID: "1"}); err == nil {
		t.Error("a session was made without randomness")
	}
}

func TestParseToken(t *testing.T) {
	good := strings.Repeat("0123456789abcdef", 2) + "." + strings.Repeat("A", 43)
	if token, err := session.ParseToken(good); err != nil || token.Reveal() != good {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing":                "",
		"the handle alone":       good[:32],
		"upper-case handle":      strings.ToUpper(good[:32]) + good[32:],
		"no dot":                 strings.Replace(good, ".", "-", 1),
		"longer":                 good + "A",
		"padding":                good[:len(good)-1] + "=",
		"a second text of it":    good[:len(good)-1] + "B",
		"standard base64":        good[:len(good)-1] + "+",
		"a line break within":    good[:40] + "\n" + good[41:],
		"NUL":                    good[:40] + "\x00" + good[41:],
		"unicode of that length": strings.Repeat("é", len(good)/2),
	} {
		if _, err := session.ParseToken(bad); !errors.Is(err, session.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { session.ParseToken(good) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(strings.Repeat("0123456789abcdef", 2) + "." + strings.Repeat("A", 43))
	f.Add("")
	f.Add(".")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := session.ParseToken(text)
		if err == nil && token.Reveal() != text {
			t.Errorf("%q is read as another token", text)
		}
		if err != nil && token != (session.Token{}) {
			t.Errorf("%q is refused and gives a token", text)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add(strings.Repeat("0123456789abcdef", 2))
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := session.ParseID(text); err == nil && id.String() != text {
			t.Errorf("%q is read as %v", text, id)
		}
	})
}

func TestStampText(t *testing.T) {
	want := session.Stamp{Epoch: 1, Version: 22, Rev: 333}
	if got, err := session.ParseStamp(want.String()); err != nil || got != want || want.String() != "1.22.333" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "1.2", "1.2.3.4", "1.2.x", "-1.2.3", "1.2.3 ", "01.2.3", "1.2.99999999999999999999"} {
		if _, err := session.ParseStamp(bad); !errors.Is(err, session.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
