package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/vedfolnir/session/audit"
)

func TestKeysCannotBePrinted(t *testing.T) {
	keys := audit.NewKeys([][]byte{bytes.Repeat([]byte("k"), 32)})
	sealer := audit.Sealer{Keys: keys}
	var out bytes.Buffer
	for _, v := range []any{keys, &keys, sealer, &sealer} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "keys", v)
	}
	encoded, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	for _, form := range []string{"kkkk", "6b6b", "107 107", "0x6b, 0x6b", "a2tra2tr"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed as %s: %s", form, out.String())
		}
	}
	if n := strings.Count(out.String(), "[redacted]"); n < 4*8+1 {
		t.Errorf("redacted %d times: %s", n, out.String())
	}
}
