package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vedfolnir/session/audit"
)

// exportOf is a line and a checkpoint, as a file has them.
func exportOf(from, last uint64) string {
	line, _ := json.Marshal(audit.Line{Seq: 5}.View())
	checkpoint, _ := json.Marshal(audit.Checkpoint{Number: 1, At: time.Unix(0, 0).UTC(), Oldest: 1, From: from, Last: last, Sign: []byte{1}})
	return fmt.Sprintf("%s\n%s\n", line, checkpoint)
}

func keys() audit.Keys { return audit.NewKeys([][]byte{make([]byte, 32)}) }

// A file comes from anywhere: a checkpoint that makes no sense is a finding.
func TestACheckpointThatMakesNoSenseIsFound(t *testing.T) {
	for _, c := range []struct{ from, last uint64 }{
		{0, math.MaxUint64}, {0, 5}, {1, math.MaxUint64}, {math.MaxUint64, 5}, {7, 5}, {math.MaxUint64, math.MaxUint64},
	} {
		r, err := audit.VerifyExport(strings.NewReader(exportOf(c.from, c.last)), keys())
		if err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if len(r.Findings) == 0 || r.Findings[0].Kind != audit.Forged {
			t.Errorf("%+v: %+v", c, r.Findings)
		}
	}
}

func FuzzVerifyExport(f *testing.F) {
	f.Add([]byte(exportOf(5, 5)))
	f.Add([]byte(exportOf(0, math.MaxUint64)))
	f.Add([]byte(exportOf(1, 4) + exportOf(6, 5)))
	f.Fuzz(func(_ *testing.T, file []byte) {
		_, _ = audit.VerifyExport(bytes.NewReader(file), keys())
	})
}
